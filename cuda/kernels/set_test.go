package kernels_test

import (
	"bytes"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"github.com/acumen-ml/acumen/cuda/kernels"
)

var archs = []string{"sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_120", "compute_80"}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		major, minor int
		archs        []string
		want         string
	}{
		{7, 5, archs, "sm_75"},
		{8, 0, archs, "sm_80"},
		{8, 6, archs, "sm_86"},
		{8, 7, archs, "compute_80"}, // Orin: machine code for cards is not for it
		{8, 7, []string{"sm_86", "sm_87", "compute_80"}, "sm_87"},
		{8, 6, []string{"sm_80", "sm_87"}, "sm_80"},
		{8, 9, archs, "sm_89"},
		{8, 9, []string{"sm_80", "sm_86", "compute_80"}, "sm_86"}, // the highest minor below
		{8, 9, []string{"sm_89", "sm_87"}, "sm_89"},
		{9, 0, archs, "sm_90a"},
		{9, 0, []string{"sm_90a", "sm_90"}, "sm_90a"},
		{9, 0, []string{"sm_90", "compute_80"}, "sm_90"},
		{9, 0, []string{"sm_80", "compute_80"}, "compute_80"}, // no machine code of another major
		{9, 1, archs, "sm_90"},                                // sm_90a on 9.0 alone
		{9, 1, []string{"sm_90a"}, ""},
		{10, 0, archs, "sm_100"},
		{10, 3, archs, "sm_100"},
		{11, 0, archs, "compute_80"},
		{12, 0, archs, "sm_120"},
		{12, 1, archs, "sm_120"},
		{13, 0, archs, "compute_80"}, // a GPU that is newer than this list
		{10, 0, []string{"compute_80", "compute_100a", "compute_90"}, "compute_100a"},
		{12, 0, []string{"compute_80", "compute_100a", "compute_90"}, "compute_90"},
		{8, 0, []string{"sm_86", "compute_80"}, "compute_80"}, // not of a higher minor
		{7, 5, []string{"sm_80", "compute_80"}, ""},
		{7, 0, archs, ""},
		{6, 1, archs, ""},
		{9, 0, nil, ""},
		{9, 0, []string{"", "sm_", "sm", "90", "sm_9x", "sm_-90"}, ""},
	} {
		got, ok := kernels.Choose(c.archs, c.major, c.minor)
		assert.Equal(t, c.want, got, "%d.%d of %v", c.major, c.minor, c.archs)
		assert.Equal(t, c.want != "", ok)
	}
}

func packed(t *testing.T, text string) *fstest.MapFile {
	var b bytes.Buffer
	z, err := xz.NewWriter(&b)
	require.NoError(t, err)
	_, err = z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return &fstest.MapFile{Data: b.Bytes()}
}

func TestSet(t *testing.T) {
	files := fstest.MapFS{
		"index.json": {Data: []byte(`{"compiler": "NVRTC 12.9", "driver": 525, "files": {
			"pool": {"kernels": ["max_pool"], "archs": ["sm_90"]},
			"fill": {"kernels": ["fill", "iota"], "archs": ["sm_80", "sm_90", "sm_90a", "compute_80"], "ptx": "8.0"}}}`)},
		"fill.sm_80.cubin.xz":    packed(t, "code for 80"),
		"fill.sm_90a.cubin.xz":   {Data: []byte("torn")},
		"fill.compute_80.ptx.xz": packed(t, ".version 8.0"),
	}
	s, err := kernels.Open(files)
	require.NoError(t, err)
	assert.Equal(t, "NVRTC 12.9", s.Index().Compiler)
	assert.Equal(t, 525, s.Index().Driver)
	assert.Equal(t, []string{"fill", "pool"}, s.Files())
	assert.Equal(t, []string{"fill", "iota"}, s.Kernels("fill"))
	assert.Nil(t, s.Kernels("none"))

	image, arch, err := s.Image("fill", 8, 9)
	require.NoError(t, err)
	assert.Equal(t, "sm_80", arch)
	assert.Equal(t, "code for 80", string(image))

	again, _, err := s.Image("fill", 8, 6)
	require.NoError(t, err)
	assert.Same(t, &image[0], &again[0], "unpacked once")
	arch, err = s.Arch("fill", 9, 0)
	require.NoError(t, err)
	assert.Equal(t, "sm_90a", arch, "which takes no unpacking")

	image, arch, err = s.Image("fill", 12, 0)
	require.NoError(t, err)
	assert.Equal(t, "compute_80", arch)
	assert.Equal(t, ".version 8.0\x00", string(image), "the driver takes PTX as a C string")

	_, _, err = s.Image("fill", 7, 5)
	assert.EqualError(t, err, "kernels: fill was not compiled for compute capability 7.5, only for sm_80, sm_90, sm_90a, compute_80")
	_, _, err = s.Image("none", 8, 0)
	assert.EqualError(t, err, `kernels: there is no kernel file "none", only fill, pool`)
	_, _, err = s.Image("pool", 9, 0)
	assert.ErrorContains(t, err, "pool.sm_90.cubin.xz")
	assert.ErrorContains(t, err, "make cuda")
	_, _, err = s.Image("fill", 9, 0)
	assert.ErrorContains(t, err, "fill.sm_90a.cubin.xz")
}

func TestOpen(t *testing.T) {
	_, err := kernels.Open(fstest.MapFS{"README.md": {}})
	assert.ErrorIs(t, err, kernels.ErrNotBuilt)
	assert.ErrorContains(t, err, "make cuda")
	_, err = kernels.Open(fstest.MapFS{"index.json": {Data: []byte("{")}})
	assert.ErrorContains(t, err, "index.json")
}
