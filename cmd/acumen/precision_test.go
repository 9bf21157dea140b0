package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/trainer/checkpoint"
)

// A run in half precision is resumed to the same bytes, and its checkpoint predicts in f32 too.
func TestRunsInHalfPrecision(t *testing.T) {
	for _, precision := range []string{"f16", "bf16"} {
		dir := workplace(t)
		sets := []string{"train", "small.yaml", "--set", "precision=" + precision, "--set", "trainer.loss_scale=dynamic"}
		out := succeed(t, dir, append(sets, "--run", "whole")...)
		succeed(t, dir, append(sets, "--run", "parts", "--set", "trainer.max_steps=5")...)
		succeed(t, dir, "train", "--run", "parts", "--resume", "--set", "trainer.max_steps=0")
		assert.Equal(t, weights(t, dir, "whole/last.safetensors"), weights(t, dir, "parts/last.safetensors"), precision)
		for _, run := range []string{"whole", "parts"} {
			ck, err := checkpoint.Load(filepath.Join(dir, run, "last.safetensors"))
			require.NoError(t, err)
			assert.Equal(t, precision, ck.Meta.Precision)
			for path, w := range ck.Weights {
				assert.Equal(t, "float32", w.Dtype().String(), path)
			}
		}

		var row struct {
			Kind    string
			Scale   *float64 `json:"loss_scale"`
			Skipped *float64 `json:"skipped_steps"`
		}
		for line := range strings.Lines(read(t, dir, "whole", "metrics.jsonl")) {
			row.Scale, row.Skipped = nil, nil
			require.NoError(t, json.Unmarshal([]byte(line), &row))
			if row.Kind == "test" {
				assert.Nil(t, row.Scale)
				continue
			}
			require.NotNil(t, row.Scale, line)
			assert.Equal(t, 65536.0, *row.Scale)
			assert.Zero(t, *row.Skipped)
		}
		assert.Contains(t, read(t, dir, "whole", "log.txt"), "loss scale 65536")
		assert.Regexp(t, `(?m)^kind,.*,loss_scale,skipped_steps,`, read(t, dir, "whole", "metrics.csv"))

		accuracy := regexp.MustCompile(`test accuracy (.*) %`)
		want := accuracy.FindStringSubmatch(out)[1]
		assert.Equal(t, want, accuracy.FindStringSubmatch(succeed(t, dir, "eval", "whole/last.safetensors"))[1], "eval computes as training did")
		succeed(t, dir, "eval", "whole/last.safetensors", "--set", "precision=f32")
		writePNG(t, filepath.Join(dir, "a.png"), 28, 28, func(x, y int) byte { return byte(x * y) })
		for _, p := range []string{precision, "f32"} {
			assert.Contains(t, succeed(t, dir, "predict", "whole/last.safetensors", "a.png", "--set", "precision="+p), "a.png")
		}
		o := acumen(t, dir, "train", "--run", "whole", "--resume", "--set", "precision=f32", "--set", "trainer.epochs=3")
		assert.Equal(t, 2, o.status)
		assert.Contains(t, o.errors, "precision: "+precision)
	}
}

// An overflow that the scale gets over is told in rows and log, and the run goes on; a fixed scale ends it.
func TestSkippedStepsAreTold(t *testing.T) {
	dir := workplace(t)
	write(t, filepath.Join(dir, "my.yaml"), []byte(strings.Replace(overflowing, "std: [70]", "std: [7000]", 1))) // 100 times smaller
	sets := []string{"train", "my.yaml", "--run", "job", "--set", "trainer.optimizer.lr=1e-9"}
	succeed(t, dir, sets...)
	assert.Regexp(t, `epoch 4/4 .*  loss scale \d+ \(\d+ skipped\)`, read(t, dir, "job", "log.txt"))
	assert.Regexp(t, `"loss_scale":32768,"skipped_steps":1,`, read(t, dir, "job", "metrics.jsonl"))
	sets[3] = "fixed"
	o := acumen(t, dir, append(sets, "--set", "trainer.loss_scale=65536")...)
	require.Equal(t, 3, o.status, o.errors)
	assert.Regexp(t, `step 1: the gradient .*\n.*let trainer.loss_scale be dynamic, or lower than 65536`, o.errors)
}

// What was trained in tf32 elsewhere is evaluated here in f32; tf32 asked for here is refused.
func TestTF32OnTheCPU(t *testing.T) {
	dir := workplace(t)
	succeed(t, dir, "train", "small.yaml", "--run", "job")
	path := filepath.Join(dir, "job", "last.safetensors")
	table := succeed(t, dir, "eval", "job/last.safetensors")
	o := acumen(t, dir, "eval", "job/last.safetensors", "--set", "precision=tf32")
	assert.Equal(t, 2, o.status)
	assert.Contains(t, o.errors, "precision: device cpu has no tf32")
	ck, err := checkpoint.Load(path)
	require.NoError(t, err)
	ck.Meta.Precision = "tf32"
	ck.Meta.Config = strings.Replace(ck.Meta.Config, "precision: f32", "precision: tf32", 1)
	b, err := ck.Encode()
	require.NoError(t, err)
	write(t, path, b)
	assert.Equal(t, table, succeed(t, dir, "eval", "job/last.safetensors"))

	o = acumen(t, dir, "train", "small.yaml", "--run", "other", "--set", "precision=tf32")
	assert.Equal(t, 2, o.status)
	_, err = os.Stat(filepath.Join(dir, "other"))
	assert.ErrorIs(t, err, os.ErrNotExist, "no folder is made for a run that cannot be")
}
