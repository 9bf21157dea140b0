package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/internal/fault"
)

func execute(args ...string) (string, error) {
	var out bytes.Buffer
	c := command(&out, &out)
	c.SetArgs(args)
	err := c.ExecuteContext(context.Background())
	return out.String(), err
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct{ args, message, hint string }{
		{"steps", `unknown argument "steps"`, "bench --only steps"},
		{"--only stpes", `no table "stpes"`, "did you mean steps?"},
		{"--only xyzzy", `no table "xyzzy"`, "one of matmul, "},
		{"--quick --only predict", "--only predict: it compares with peers", "leave out --quick"},
		{"--threads 1000000", "--threads 1000000", "from 1 to "},
		{"--rounds -1", "--rounds -1", "--rounds 5"},
		{"--fast", "unknown flag: --fast", "bench --help"},
		{"--quick", "bench/ was not found", "go run ./bench"}, // tests run in bench/, not in the root
		{"first-step mlp x 1 1", `"x" is no number`, "1 or more"},
	} {
		_, err := execute(strings.Fields(c.args)...)
		require.ErrorContains(t, err, c.message)
		assert.Contains(t, fault.HintOf(err), c.hint)
		assert.Equal(t, fault.Usage, fault.KindOf(err))
	}
}

func TestFirstStep(t *testing.T) {
	out, err := execute("first-step", "mlp", "4", "1", "2")
	require.NoError(t, err)
	assert.Regexp(t, `^first\n\d{7,}\n$`, out, "at least a megabyte")
}

// A table of acumen's alone, from the command line to the file.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures")
	}
	t.Chdir("..")
	file := filepath.Join(t.TempDir(), "speed.md")
	out, err := execute("--quick", "--only", "matmul,step-profile", "--threads", "1", "--rounds", "1", "--out", file)
	require.NoError(t, err)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	text := string(b)
	for _, want := range []string{"# Speed, ", "* processor: ", "## Peaks of the machine", "## Matrix products, f32", "| 1024x2304x256 ", "## One step of cifar94, batch 64, 1 thread", "At their bounds the first three would save "} {
		assert.Contains(t, text, want)
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, text, "void")
	assert.NotContains(t, text, "PyTorch")
}
