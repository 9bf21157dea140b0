package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	right = `{"id": "relu/right", "op": "relu", "inputs": {"x": {"shape": [3], "data": [-1, 0, 2]}}, "expected": {"y": {"shape": [3], "data": [0, 0, 2]}}}`
	wrong = `{"id": "relu/wrong", "op": "relu", "inputs": {"x": {"shape": [3], "data": [-1, 0, 2]}}, "expected": {"y": {"shape": [3], "data": [0, 0, 2.5]}}, "rtol": 1e-5}`
	// one step from 1 at rate 0.5 along 1 is 0.5; then the rate of step 1 is 0.4, not 0.5
	trained = `{"id": "sgd/right", "op": "optim.sgd", "params": {"lr": 0.5}, "inputs": {"x0": {"shape": [1], "data": [1]}, "grad_steps": {"shape": [1, 1], "fill": 1}}, "expected": {"final": {"shape": [1], "data": [0.5]}}}`
	rate    = `{"id": "lr/wrong", "op": "lr.exponential", "params": {"initial": 0.5, "gamma": 0.8}, "expected": {"lr": {"shape": [2], "fill": 0.5}}}`
	strange = `{"id": "lr/strange", "op": "lr.step", "params": {"initial": 1, "speed": 3}, "expected": {"lr": {"shape": [1], "fill": 1}}}`
)

func file(t *testing.T, cases string) string {
	path := filepath.Join(t.TempDir(), "cases.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"format": "acumen-golden-v1", "cases": [`+cases+`]}`), 0o600))
	return path
}

func TestRun(t *testing.T) {
	missing, old := filepath.Join(t.TempDir(), "none.json"), filepath.Join(t.TempDir(), "old.json")
	require.NoError(t, os.WriteFile(old, []byte(`{"format": "acumen-golden-v0", "cases": []}`), 0o600))
	for name, c := range map[string]struct {
		args   []string
		status int
		out    string // all of standard output
		err    string // somewhere in standard error
	}{
		"all right":    {[]string{file(t, right+","+trained)}, 0, "2 passed, 0 failed\n", ""},
		"counted":      {[]string{"-v", file(t, right+","+trained), file(t, right)}, 0, "     1 optim.sgd\n     2 relu\n3 passed, 0 failed\n", ""},
		"float32":      {[]string{"-type", "f32", "-device", "cpu", file(t, right)}, 0, "1 passed, 0 failed\n", ""},
		"one wrong":    {[]string{file(t, right+","+wrong)}, 1, "relu/wrong: y: worst element [2]: got 2, wanted 2.5, tolerance 2.6e-05\n1 passed, 1 failed\n", ""},
		"a wrong rate": {[]string{file(t, rate)}, 1, "lr/wrong: lr: worst element [1]: got 0.40000000000000002, wanted 0.5, tolerance 1e-06\n0 passed, 1 failed\n", ""},
		"unknown":      {[]string{file(t, strange)}, 1, "lr/strange: op lr.step: parameter \"speed\" is not known\n0 passed, 1 failed\n", ""},
		"missing file": {[]string{file(t, right), missing}, 2, "", "golden: open " + missing},
		"other format": {[]string{old}, 2, "", `golden: ` + old + `: format "acumen-golden-v0" is not acumen-golden-v1`},
		"no device":    {[]string{"-device", "abacus", file(t, right)}, 2, "", `golden: device "abacus"`},
		"no file":      {nil, 2, "", "usage: golden"},
		"no type":      {[]string{"-type", "i32", file(t, right)}, 2, "", "usage: golden"},
		"no flag":      {[]string{"-fast", file(t, right)}, 2, "", "not defined: -fast"},
		"help":         {[]string{"-h"}, 0, "", "usage: golden"},
	} {
		var out, err bytes.Buffer
		assert.Equal(t, c.status, run(c.args, &out, &err), name)
		assert.Equal(t, c.out, out.String(), name)
		assert.Contains(t, err.String(), c.err, name)
	}
}
