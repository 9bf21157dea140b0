package vectors

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// words lists what pattern's first group finds in the files of a glob.
func words(t *testing.T, glob, pattern string) (found []string) {
	paths, err := filepath.Glob(glob)
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, p := range paths {
		b, err := os.ReadFile(p)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(b, -1) {
			found = append(found, string(m[1]))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// Every wrapper of a PTX instruction, and every function of CUDA's that a kernel calls, has a case: vectors.cu names it.
func TestEveryInstructionHasACase(t *testing.T) {
	here := words(t, "../kernels/vectors.cu", `\b(\w+)\b`)
	wrappers := words(t, "../kernels/ptx.cuh", `(?m)^(?:template <int N> )?__device__ inline \w+ (\w+)\(`)
	require.Greater(t, len(wrappers), 10)
	for _, w := range wrappers {
		if w != "shared_address" { // part of others
			assert.Contains(t, here, w, "a wrapper of ptx.cuh: add a case to vectors.cu and this package")
		}
	}
	library := append(words(t, "../sim/shim/math.h", `inline \w+ (\w+)\(`), words(t, "../sim/shim/simt.h", `inline \w+ (__shfl\w+|__\w+_sync)\(`)...)
	library = append(library, strings.Fields("exp expf expm1 expm1f log logf log1p log1pf sqrt sqrtf tanh tanhf erf erff erfc erfcf floor floorf fabs fabsf pow powf fma fmaf exp2f log2f sinf cosf fminf fmaxf cbrtf hypotf")...)
	inexact := regexp.MustCompile(`^(__\w+_as_\w+|min|max|abs)$`) // moves of bits, and operators by another name
	used := 0
	for _, w := range words(t, "../kernels/*.cu*", `\b([a-z_]\w*)\b`) {
		if slices.Contains(library, w) && !inexact.MatchString(w) {
			used++
			assert.Contains(t, here, w, "a function that kernels call: add a case to vectors.cu and this package")
		}
	}
	assert.Greater(t, used, 25)
}

func TestCasesFindFaults(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Cases() {
		assert.False(t, names[c.Name], "two cases are called %s", c.Name)
		names[c.Name] = true
		require.GreaterOrEqual(t, c.Count(), 300, c.Name)
		assert.True(t, c.out == outWords || c.Ulps >= 0 && len(c.bound)%c.Count() == 0)
		right := slices.Clone(c.want)
		worst, err := c.Check(right)
		require.NoError(t, err)
		assert.Zero(t, worst)
		_, err = c.Check(right[1:])
		require.Error(t, err)

		size := c.out.size()
		last := c.Count() - 1
		right[(last+1)*size-1] ^= 0x40 // the sign is above: another size by far
		worst, err = c.Check(right)
		require.ErrorContains(t, err, c.Name)
		assert.Greater(t, worst, 1.0)
		assert.Error(t, c.Agree(right, c.want))

		if c.Exact() && c.out == outWords {
			right = slices.Clone(c.want)
			right[0] ^= 1
			_, err = c.Check(right)
			require.Error(t, err, c.Name)
		}
	}
	assert.Greater(t, len(names), 70)
}

func TestDistances(t *testing.T) {
	f32 := func(xs ...float32) (b []byte) {
		for _, x := range xs {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	nan := float32(math.NaN())
	c := &Case{Name: "c", out: outF32, Ulps: 2, want: f32(1, 0, nan, 2)}
	for _, x := range []struct {
		got   []float32
		worst float64
	}{
		{[]float32{1, 0, nan, 2}, 0},
		{[]float32{1 + 0x1p-23, 0, nan, 2}, 0.5},
		{[]float32{1 - 0x1p-23, 0, nan, 2}, 1}, // the numbers below 1 are twice as near
		{[]float32{1, -1e-45, nan, 2}, 0.5},
		{[]float32{1, float32(math.Copysign(0, -1)), -nan, 2}, 0},
		{[]float32{1, 0, nan, 2 + 3*0x1p-22}, 1.5},
		{[]float32{1, 0, 1, 2}, math.Inf(1)},
		{[]float32{nan, 0, nan, 2}, math.Inf(1)},
	} {
		worst, err := c.Check(f32(x.got...))
		assert.Equal(t, x.worst, worst, "%v", x.got)
		assert.Equal(t, x.worst > 1, err != nil, "%v", x.got)
	}
	c.bound = []float64{0.1, 0.1, 0.1, 0.1}
	worst, err := c.Check(f32(1.05, 0, nan, 2))
	assert.NoError(t, err)
	assert.InDelta(t, 0.5, worst, 1e-6)
	assert.NoError(t, c.Agree(f32(1.15, 0, nan, 2), f32(1, 0, nan, 2)), "two results may be on either side of the reference")
	assert.ErrorContains(t, c.Agree(f32(1.25, 0, nan, 2), f32(1, 0, nan, 2)), "the GPU's 1")
}

func TestResultsFile(t *testing.T) {
	c := Cases()[0]
	a := &Results{Format: format, Device: "a GPU", Arch: "sm_90", Cases: []Result{{c.Name, c.Digest(), len(c.want), c.want}, {"gone", "0", 1, []byte{7}}}}
	var b bytes.Buffer
	require.NoError(t, a.Write(&b))
	whole := b.Bytes()
	got, err := Read(bytes.NewReader(whole))
	require.NoError(t, err)
	assert.Equal(t, a, got)
	for _, n := range []int{0, 5, len(whole) / 2, len(whole) - 9} {
		_, err := Read(bytes.NewReader(whole[:n]))
		assert.Error(t, err, "cut off after %d bytes", n)
	}
	a.Format = 99
	b.Reset()
	require.NoError(t, a.Write(&b))
	_, err = Read(&b)
	assert.ErrorContains(t, err, "format 99")

	got.Cases[0].Data = slices.Clone(got.Cases[0].Data)
	n, stale, wrong := got.Compare(got)
	assert.Equal(t, 1, n)
	assert.Empty(t, wrong)
	assert.Equal(t, []string{"gone"}, stale[:1])
	other := *got
	other.Cases = slices.Clone(got.Cases[:1])
	other.Cases[0].Data = slices.Clone(c.want)
	other.Cases[0].Data[len(c.want)-5] ^= 0x40
	_, _, wrong = got.Compare(&other)
	require.Len(t, wrong, 1)
	other.Cases[0].Inputs = "others"
	_, stale, wrong = got.Compare(&other)
	assert.Empty(t, wrong)
	assert.Equal(t, []string{c.Name}, stale)
}
