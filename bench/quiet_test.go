package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQuietOf(t *testing.T) {
	all := []moment{{0, 95, 90, 96}, {0, 94, 70, 100}, {0, 100, 71, 94}, {0, 100, 92, 100}}
	assert.Equal(t, []float64{90, 92}, quietOf(all, 100), "busy before, or after: left out")
	assert.Empty(t, quietOf(nil, 100))
}

func TestMomentCells(t *testing.T) {
	few := []moment{{99, 100, 90, 100}, {90, 80, 70, 80}, {91, 80, 72, 80}}
	assert.Equal(t, []string{"3", "0.91", "0.80", "0.72", "1", "-"}, momentCells(few, 100), "one quiet moment says nothing")
	many := few
	for range quietFew {
		many = append(many, moment{0, 98, 93, 97})
	}
	assert.Equal(t, []string{"23", "-", "0.97", "0.93", "21", "0.93"}, momentCells(many, 100))
}

func TestQuietMoments(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures")
	}
	t.Chdir("..")
	file := filepath.Join(t.TempDir(), "speed.md")
	_, err := execute("--quick", "--only", quietTable, "--threads", "1", "--out", file)
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(text), "## "+quietTitle)
	assert.Regexp(t, `\| 1024x2304x256|There is no assembly`, string(text))
}
