package main

import (
	"bytes"
	"fmt"
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

// Cases at the edges of what the format allows, with numbers by hand.
func TestEdgesOfTheFormat(t *testing.T) {
	lr := func(op, params, want string, n int) string {
		return fmt.Sprintf(`{"id": %q, "op": "lr.%s", "params": {%s}, "expected": {"lr": {"shape": [%d], "data": [%s]}}}`, op, op, params, n, want)
	}
	cases := []string{
		lr("linear", `"initial": 0, "final": 1, "num_iters": 4`, "0, 0.25, 0.5, 0.75, 1, 1", 6),
		lr("piecewise", `"steps": [1], "values": [1, 2]`, "1, 2, 2", 3), // a level more than steps
		lr("piecewise", `"steps": [0, 1], "values": [0, 3]`, "0, 3, 3", 3),
		lr("onecycle", `"max": 2, "num_iters": 4, "warmup": 0.5`, "0, 1, 2, 1, 0, 0", 6), // past its end
		lr("onecycle", `"max": 2, "num_iters": 4, "warmup": 0.5`, "0, 1", 2),
		lr("cosine", `"initial": 1, "min": 0, "num_iters": 2`, "1, 0.5, 0, 0.5, 1", 5),
		lr("cosine", `"initial": 1, "min": 0, "num_iters": 2, "restart": true`, "1, 0.5, 1, 0.5, 1", 5),
		`{"id": "adam", "op": "optim.adam", "params": {"lr": 0.1, "beta1": 0, "eps": 0}, "inputs": {"x0": {"shape": [1], "data": [1]}, "grad_steps": {"shape": [2, 1], "data": [3, 3]}},
		  "expected": {"trajectory": {"shape": [2, 1], "data": [0.9, 0.8]}}, "atol": {"trajectory": 1e-12}}`,
	}
	for _, c := range cases {
		var out, err bytes.Buffer
		assert.Equal(t, 0, run([]string{file(t, c)}, &out, &err), "%s\n%s%s", c, &out, &err)
	}
	for say, c := range map[string]string{
		"final: -2":      lr("linear", `"initial": -1, "final": 2`, "1", 1),
		"final: NaN":     lr("cosine", `"initial": 0`, "0", 1),
		"expected.lr":    `{"id": "a", "op": "lr.step", "expected": {}}`,
		"not l2 or":      `{"id": "a", "op": "optim.sgd", "params": {"decay": "L1"}, "inputs": {}}`,
		"adamw is":       `{"id": "a", "op": "optim.adamw", "params": {"decay": "l2"}, "inputs": {}}`,
		"grad_steps has": `{"id": "a", "op": "optim.sgd", "inputs": {"x0": {"shape": [2], "fill": 1}, "grad_steps": {"shape": [2, 1], "fill": 1}}}`,
	} {
		var out, err bytes.Buffer
		assert.Equal(t, 1, run([]string{file(t, c)}, &out, &err), "%s\n%s", c, &out)
		assert.Contains(t, out.String(), say)
	}
}
