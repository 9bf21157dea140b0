package bundle

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device/devicetest"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/ops/opstest"
)

func TestStages(t *testing.T) {
	names := map[string]bool{}
	for _, s := range hidden() {
		assert.False(t, names[s.Name], "two stages are called %s", s.Name)
		names[s.Name] = true
		assert.NotEqual(t, s.Tests == "", s.Run == nil, s.Name)
		for _, n := range s.Needs {
			assert.True(t, names[n], "%s needs %s, which comes before it", s.Name, n)
		}
		if s.Name == exerciseStage {
			continue
		}
		assert.NotEmpty(t, s.About)
		assert.Positive(t, s.Limit)
		assert.LessOrEqual(t, s.Limit, gpuMinutes)
	}
	assert.Greater(t, len(names), 35)
}

// A test, an op, a conformance test is in one family at most; those in none are in the stage suite-rest.
func TestFamilies(t *testing.T) {
	of := func(choose func(f family) string, name string) (in []string) {
		for _, f := range families {
			if p := choose(f); p != "" && regexp.MustCompile("^("+strings.ReplaceAll(p, " ", "|")+")$").MatchString(name) {
				in = append(in, f.name)
			}
		}
		return in
	}
	some := 0
	once := func(what, name string, in []string) {
		assert.LessOrEqual(t, len(in), 1, "%s %s is in %v", what, name, in)
		if some += len(in); len(in) == 0 {
			t.Logf("%s %s is in no family", what, name)
		}
	}
	for _, name := range devicetest.Names() {
		once("conformance test", name, of(func(f family) string { return f.conformance }, name))
	}
	for _, r := range opstest.Table() {
		once("op", r.Op, of(func(f family) string { return f.table }, r.Op))
	}
	sources, err := filepath.Glob("../*_test.go")
	require.NoError(t, err)
	for _, path := range sources {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^func Test(\w+)\(t `).FindAllSubmatch(b, -1) {
			once("test", string(m[1]), of(func(f family) string { return f.tests }, string(m[1])))
		}
	}
	assert.Greater(t, some, 140)
	p := families[2].pattern()
	assert.Equal(t, `^Test(Copy.*|Fill.*)$|^TestConformance$/^(Fill|Iota|Copy.*)$|^TestTable$/^(Reshape|Transpose|Slice|Pad|Concat)$|^TestTableInHalfPrecision$/^(Reshape|Transpose|Slice|Pad|Concat)$`, p)
}

func TestSpeedCases(t *testing.T) {
	names := map[string]bool{}
	for _, cases := range [][]speedCase{ceilings(), convolutions("conv"), convolutions("conv_dx"), convolutions("conv_dw"), others()} {
		require.NotEmpty(t, cases)
		for _, c := range cases {
			assert.False(t, names[c.String()+c.Comment], "two cases are called %s", c)
			names[c.String()+c.Comment] = true
			assert.Contains(t, kernelCalls, c.Kind)
			assert.Contains(t, dtypes, c.Type)
			assert.Positive(t, c.bytes())
			assert.Positive(t, c.shrunk().bytes())
			assert.LessOrEqual(t, c.shrunk().bytes(), c.bytes())
		}
	}
	c := convolutions("conv")[1]
	assert.Equal(t, "conv f16 2000 x 31x31x24 -> 64, 3x3", c.String())
	assert.InDelta(t, 53e9, c.flops(), 0.2e9, "as docs on speed have it")
	assert.InDelta(t, 92e6+246e6+27648, c.bytes(), 1e6)
	assert.Equal(t, 2*math.Pow(8192, 3), ceilings()[1].flops())

	// The layers are those of the networks that train.
	for _, n := range networkLayers {
		name := map[string]string{"94 % network": "cifar94", "resnet18": "resnet18"}[n.name]
		net, err := model.New(name, [3]int{32, 32, 3}, 10)
		require.NoError(t, err)
		shapes := map[string]bool{}
		for _, p := range net.Params() {
			if len(p.Shape) == 4 {
				shapes[speedShape(p.Shape[0], p.Shape[1], p.Shape[3])] = true
			}
		}
		measured := map[string]bool{}
		for _, l := range n.layers {
			assert.Contains(t, shapes, speedShape(l.out, l.kernel, l.in), n.name)
			measured[speedShape(l.out, l.kernel, l.in)] = true
		}
		if name == "cifar94" {
			assert.Len(t, measured, len(shapes))
		}
	}
}

func speedShape(out, kernel, in int) string {
	return speedCase{Kind: "conv", Type: "f16", In: in, Out: out, Kernel: kernel}.String()
}

func TestSanitizerOutput(t *testing.T) {
	for _, c := range []struct {
		out   string
		n     int
		ok    bool
		first string
	}{
		{"========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 0 errors\n", 0, true, "see the log"},
		{"========= COMPUTE-SANITIZER\n========= Invalid __global__ write of size 4 bytes\n=========     at fill+0x70\n========= ERROR SUMMARY: 3 errors\n", 3, true, "Invalid __global__ write of size 4 bytes"},
		{"========= RACECHECK SUMMARY: 2 hazards displayed (1 error, 1 warning)\n", 2, true, "see the log"},
		{"========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n", 0, true, "see the log"},
		{"========= Uninitialized __global__ memory read of size 2 bytes\n========= ERROR SUMMARY: 1 error\n", 1, true, "Uninitialized __global__ memory read of size 2 bytes"},
		{"========= Error: Target application terminated before first instrumented API call\n", 0, false, "Error: Target application terminated before first instrumented API call"},
		{"", 0, false, "see the log"},
	} {
		n, ok := sanitizerErrors(c.out)
		assert.Equal(t, c.ok, ok, c.out)
		assert.Equal(t, c.n, n, c.out)
		assert.Equal(t, c.first, firstFinding(c.out))
	}
}

func TestCIFARFolder(t *testing.T) {
	a, b, c := t.TempDir(), t.TempDir(), t.TempDir()
	put := func(dir, name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	put(a, "data_batch_1.bin", "one")
	put(b, "cifar-10-batches-bin/test_batch.bin", "two")
	put(b, "cifar-10-binary.tar.gz.ab", "world")
	put(c, "cifar-10-binary.tar.gz.aa", "hello ")
	same, done, err := cifarFolder([]string{a})
	require.NoError(t, err)
	assert.Equal(t, a, same, "one folder that has it is taken as it is")
	done()
	dir, done, err := cifarFolder([]string{a, b, c})
	require.NoError(t, err)
	for name, want := range map[string]string{"data_batch_1.bin": "one", "test_batch.bin": "two", "cifar-10-binary.tar.gz": "hello world"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	done()
	assert.NoDirExists(t, dir)
	put(c, "data_batch_1.bin", "again")
	_, _, err = cifarFolder([]string{a, c})
	assert.ErrorContains(t, err, "data_batch_1.bin")
	_, _, err = cifarFolder([]string{a, "/nowhere"})
	assert.ErrorContains(t, err, "/nowhere")
}

func TestSummary(t *testing.T) {
	assert.Equal(t, "No stage has run.\n", summary(nil))
	s := summary([]Result{
		{Stage: environmentStage, Status: OK, Commit: "abc", Figures: []string{"device: an H100", "nvcc: not found"}},
		{Stage: "a", Status: Crashed, Reason: "signal: killed", Seconds: 1.25, Rows: []Row{{"T", []string{"x", "y"}}, {"T", []string{"1", "2"}}}},
		{Stage: "b", Status: OK, Figures: []string{"f", "g"}, Rows: []Row{{"T", []string{"x", "y"}}, {"T", []string{"3", "4"}}}},
	})
	assert.Equal(t, `## 0001-01-01, commit abc

* device: an H100
* nvcc: not found

3 stages: 2 passed, 1 failed, 0 skipped.

| Stage | | Seconds | Figures |
|---|---|---|---|
| environment | ok | 0.0 |  |
| a | crashed | 1.2 | signal: killed |
| b | ok | 0.0 | f; g |

T

| x | y |
|---|---|
| 1 | 2 |
| 3 | 4 |
`, s)
}

// A script plays compute-sanitizer.
func TestSanitized(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for _, c := range []struct{ script, want string }{
		{"echo '========= ERROR SUMMARY: 0 errors'", ""},
		{"echo '========= Invalid __global__ write of size 4 bytes'; echo '========= ERROR SUMMARY: 3 errors'; exit 99", "3 errors, the first: Invalid __global__ write of size 4 bytes"},
		{"echo '========= ERROR SUMMARY: 0 errors'; exit 1", "no error was found, but: exit status 1"},
		{"echo 'Device not supported'; exit 1", "compute-sanitizer: exit status 1: Device not supported"},
		{"exit 0", "told no number of errors"},
		{"test \"$2\" = memcheck && test \"$(basename $8)\" = stage || exit 3; echo '========= ERROR SUMMARY: 0 errors'", ""},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "compute-sanitizer"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755))
		err := sanitized("memcheck")(&Job{})
		if c.want == "" {
			assert.NoError(t, err, c.script)
		} else {
			assert.ErrorContains(t, err, c.want)
		}
	}
	t.Setenv("PATH", "/nowhere")
	var s *skipped
	assert.ErrorAs(t, sanitized("memcheck")(&Job{}), &s)
}
