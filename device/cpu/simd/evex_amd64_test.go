package simd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Instructions that Go's assembler does not know stand in the files as bytes, with what they mean beside them: GNU's
// disassembler says the same.
func TestBytesAreWhatTheyAreSaidToBe(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("objdump (Debian: binutils) is not installed")
	}
	var want []string
	files, err := filepath.Glob("*.s")
	require.NoError(t, err)
	for _, name := range files {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)BYTE .* // (.*)$`).FindAllSubmatch(source, -1) {
			want = append(want, string(m[1]))
		}
	}
	require.Greater(t, len(want), 3000)
	out := filepath.Join(t.TempDir(), "simd.test")
	b, err := exec.Command("go", "test", "-c", "-o", out, ".").CombinedOutput()
	require.NoError(t, err, "%s", b)
	b, err = exec.Command(objdump, "-d", "--no-show-raw-insn", out).Output()
	require.NoError(t, err)
	var got []string
	for _, m := range regexp.MustCompile(`(vdpbf16ps|vcvtne2ps2bf16|ldtilecfg|tilezero|tileloadd|tilestored|tdpbf16ps) +\S+|tilerelease`).FindAll(b, -1) {
		got = append(got, regexp.MustCompile(` +`).ReplaceAllString(string(m), " "))
	}
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(t, want, got)
}
