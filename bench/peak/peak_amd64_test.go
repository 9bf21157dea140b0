package peak

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/cpu"
)

func TestTriads(t *testing.T) {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		t.Skip("the loops need AVX2 and FMA")
	}
	for name, f := range map[string]func(a, b, c []float32, s float32){"triad": triad, "stream": stream} {
		for _, n := range []int{32, 64, 1024} {
			a, b, c := aligned(n+32), aligned(n), aligned(n)
			for i := range n {
				b[i], c[i] = float32(i), float32(2*i+1)
			}
			f(a[:n], b, c, 3)
			for i := range n {
				require.Equal(t, float32(i)+3*float32(2*i+1), a[i], "%s, %d elements", name, n)
			}
			assert.Equal(t, make([]float32, 32), a[n:], "%s wrote past the end", name)
		}
	}
}

// Go's assembler does not know the bf16 dot instruction, nor those of AMX, so they stand there as bytes: GNU's disassembler says
// what they are.
func TestDotIsEncodedRight(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("objdump (Debian: binutils) is not installed")
	}
	out := filepath.Join(t.TempDir(), "peak.test")
	if b, err := exec.Command("go", "test", "-c", "-o", out, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	_, err = os.Stat(out)
	require.NoError(t, err)
	b, err := exec.Command(objdump, "-d", "--no-show-raw-insn", "--disassemble=github.com/acumen-ml/acumen/bench/peak.dot512.abi0", out).CombinedOutput()
	require.NoError(t, err, string(b))
	found := regexp.MustCompile(`vdpbf16ps %zmm31,%zmm30,%zmm(\d+)`).FindAllSubmatch(b, -1)
	require.Len(t, found, 24, string(b))
	for i, f := range found {
		assert.Equal(t, strconv.Itoa(i), string(f[1]))
	}
	b, err = exec.Command(objdump, "-d", "--no-show-raw-insn", "--disassemble=github.com/acumen-ml/acumen/bench/peak.tiles.abi0", out).CombinedOutput()
	require.NoError(t, err, string(b))
	var want, got []string
	source, err := os.ReadFile("peak_amd64.s")
	require.NoError(t, err)
	for _, f := range regexp.MustCompile(`(?m)BYTE .* // (.*)$`).FindAllSubmatch(source, -1) {
		if regexp.MustCompile(`^t|^ldt`).Match(f[1]) {
			want = append(want, string(f[1]))
		}
	}
	for _, f := range regexp.MustCompile(`(?m)\t((?:ldtilecfg|tilezero|tdpbf16ps|tilerelease).*?)\s*$`).FindAllSubmatch(b, -1) {
		got = append(got, regexp.MustCompile(` +`).ReplaceAllString(string(f[1]), " "))
	}
	require.Len(t, want, 14)
	assert.Equal(t, want, got)
}
