//go:build cuda

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
)

// standIn skips a test where cuda:0 is not the stand-in driver's: a true GPU does not change its memory.
func standIn(t *testing.T) {
	d, err := device.Open("cuda:0")
	if err != nil {
		t.Skip(err)
	}
	simulated := strings.Contains(device.Describe(d), "acusim")
	require.NoError(t, d.Close())
	if !simulated {
		t.Skip("a true GPU has the memory that it has")
	}
}

// contextMiB is what a context of the stand-in takes of the GPU's memory.
const contextMiB = 512

// onGPU runs the program on an idle GPU with so many MiB for it; 0 means an H100's. It gives the most bytes that were
// allocated, all of which must have been freed.
func onGPU(t *testing.T, dir string, mib int, args ...string) (o outcome, peak int) {
	t.Helper()
	use := filepath.Join(t.TempDir(), "use")
	env := []string{"ACUSIM_USE=" + use}
	if mib > 0 {
		env = append(env, fmt.Sprintf("ACUSIM_MEMORY=%d", contextMiB+mib))
	}
	o = finish(t, command(dir, args, env...))
	b, err := os.ReadFile(use)
	require.NoError(t, err, o.errors)
	m := regexp.MustCompile(`^peak (\d+)\nleft (\d+)\n$`).FindStringSubmatch(string(b))
	require.Len(t, m, 3, string(b))
	assert.Equal(t, "0", m[2], "device memory that was not freed")
	peak, err = strconv.Atoi(m[1])
	require.NoError(t, err)
	return o, peak
}

// planOf is the plan for a configuration on an H100, which the stand-in is.
func planOf(t *testing.T, dir string, args ...string) (p plan) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(succeed(t, dir, append([]string{"plan", "--gpu", "h100", "--json"}, args...)...)), &p))
	return p
}

// The memory of a plan is what the stand-in driver counts at the peak of a run, with its evaluation, to the byte.
func TestPlanIsThePeakOnAccelerators(t *testing.T) {
	standIn(t)
	dir := t.TempDir()
	writeMNIST(t, filepath.Join(dir, "data"), 60, 20)
	writeCIFAR10(t, filepath.Join(dir, "data"), 6, 10)
	for _, c := range []struct{ model, data string }{{"lenet5", "mnist"}, {"cnn-small", "cifar10"}, {"resnet20", "cifar10"}, {"cifar94", "cifar10"}} {
		if testing.Short() && c.model != "lenet5" {
			continue
		}
		for precision, parts := range map[string]int{"f32": 1, "f16": 2} {
			text := fmt.Sprintf("data: {name: %s, dir: data, validation: 5, augment: [flip, {crop: {pad: 2}}]}\nmodel: {name: %s}\nprecision: %s\n"+
				"trainer: {epochs: 1, max_steps: 2, batch: 8, micro_batches: %d, eval_batch: 4}\n", c.data, c.model, precision, parts)
			write(t, filepath.Join(dir, "one.yaml"), []byte(text))
			p := planOf(t, dir, "one.yaml")
			o, peak := onGPU(t, dir, 0, "train", "one.yaml", "--device", "cuda:0", "--run", c.model+"-"+precision)
			require.Equal(t, 0, o.status, o.errors)
			t.Logf("%s in %s, %d parts: %d bytes", c.model, precision, parts, peak)
			assert.Equal(t, p.Bytes, peak, "%s in %s, %d parts: %v", c.model, precision, parts, p.Memory)
		}
	}
}

// tight is a network without batch norm on more pictures than a small GPU has memory for at once.
const tight = `data: {name: mnist, dir: data}
model: {name: lenet5}
trainer: {epochs: 1, max_steps: 2, batch: 480, eval_batch: 20, log_every: 1, optimizer: {name: sgd, lr: 0.05}}
device: cuda:0
progress: plain
`

// roomFor is the MiB with which training takes no more than Auto's share, but not a sixteenth less.
func roomFor(bytes int) int {
	for mib := 1; ; mib++ {
		if bytes <= trainer.Usable(mib<<20) {
			return mib
		}
	}
}

// A batch that does not fit is refused with what fits; that does, and twice that does not; auto finds it, and ends at the
// weights of the batch in one piece.
func TestBatchesThatDoNotFitOnAccelerators(t *testing.T) {
	standIn(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tight.yaml"), []byte(tight))
	writeMNIST(t, filepath.Join(dir, "data"), 960, 20)
	train := func(mib int, run string, sets ...string) outcome {
		args := []string{"train", "tight.yaml", "--run", run}
		for _, s := range sets {
			args = append(args, "--set", s)
		}
		o, peak := onGPU(t, dir, mib, args...)
		assert.LessOrEqual(t, peak, mib<<20)
		return o
	}
	room := roomFor(planOf(t, dir, "tight.yaml", "--set", "trainer.micro_batches=4").Bytes)
	o := train(room, "whole")
	require.Equal(t, 2, o.status, o.errors)
	t.Log(o.errors)
	assert.Regexp(t, `(?m)^acumen: cuda:0: out of memory: [\d.]+ MiB \(\d+ bytes\) wanted for activations and other temporaries of a step; [\d.]+ MiB are free of \d+ MiB, [\d.]+ MiB are in use here, 40 MiB are scratch and workspaces, 512 MiB are the driver's and other programs'\. lenet5 in f32 with batches of 480 in one piece takes [\d.]+ MiB: .*[\d.]+ MiB activations and other temporaries of a step, .*[\d.]+ KiB weights`, o.errors)
	assert.Regexp(t, `(?m)^hint: batches of 480 in 4 micro-batches of 120 fit: set trainer.micro_batches: 4, or trainer.batch: auto, which finds that`, o.errors)
	_, err := os.Stat(filepath.Join(dir, "whole"))
	assert.ErrorIs(t, err, os.ErrNotExist, "the folder is free for the run that fits")

	o = train(room, "half", "trainer.micro_batches=2")
	assert.Equal(t, 2, o.status, o.errors)
	o = train(room, "whole", "trainer.micro_batches=4")
	require.Equal(t, 0, o.status, o.errors)

	o = train(room, "auto", "trainer.batch=auto")
	require.Equal(t, 0, o.status, o.errors)
	assert.Contains(t, o.errors, ", batches of 480 in 4 micro-batches\nmicro_batches auto: batches of 480 in 4 micro-batches of 120, evaluation of 20; they take ")
	assert.Contains(t, read(t, dir, "auto", "log.txt"), "micro_batches auto: batches of 480 in 4 micro-batches of 120, ")
	assert.Contains(t, read(t, dir, "auto", "config.yaml"), "micro_batches: auto\n")
	quarters := weightsOf(t, dir, "whole")
	assert.Equal(t, quarters, weightsOf(t, dir, "auto"))

	o, _ = onGPU(t, dir, 0, "train", "tight.yaml", "--run", "roomy", "--set", "trainer.batch=auto")
	require.Equal(t, 0, o.status, o.errors)
	assert.Contains(t, o.errors, "micro_batches auto: batches of 480 in one piece, ")
	apart, largest := 0.0, 0.0
	for path, w := range weightsOf(t, dir, "roomy") {
		for i, x := range w {
			apart, largest = max(apart, math.Abs(float64(x-quarters[path][i]))), max(largest, math.Abs(float64(x)))
		}
	}
	t.Logf("distance of weights %.1e", apart/largest)
	assert.Less(t, apart/largest, 1e-6) // 2 updates of f32 sums in another order; measured 8e-8

	// With more memory the run goes on as it began, and ends as one that was not stopped.
	o = train(room, "parts", "trainer.batch=auto", "trainer.max_steps=1")
	require.Equal(t, 0, o.status, o.errors)
	o, _ = onGPU(t, dir, 0, "train", "--run", "parts", "--resume", "--set", "trainer.max_steps=2")
	require.Equal(t, 0, o.status, o.errors)
	assert.Contains(t, o.errors, "micro_batches auto: batches of 480 in 4 micro-batches of 120, as the run began\n")
	assert.Equal(t, quarters, weightsOf(t, dir, "parts"))
}

func weightsOf(t *testing.T, dir, run string) map[string][]float32 {
	ck, err := checkpoint.Load(filepath.Join(dir, run, checkpoint.Last))
	require.NoError(t, err)
	all := map[string][]float32{}
	for path, w := range ck.Weights {
		all[path] = w.Data().([]float32)
	}
	return all
}

// Wherever memory lacks, the message says what for, and nothing stays allocated.
func TestOutOfMemoryEverywhereOnAccelerators(t *testing.T) {
	standIn(t)
	dir := t.TempDir()
	writeMNIST(t, filepath.Join(dir, "data"), 960, 20)
	wide := strings.Replace(tight, "{name: lenet5}", "{layers: [flatten, {linear: 4000}, relu, {linear: 10}]}", 1)
	write(t, filepath.Join(dir, "tight.yaml"), []byte(tight))
	write(t, filepath.Join(dir, "wide.yaml"), []byte(wide))
	const own, weights = 40, 13 // MiB: what a handle takes for itself, and 3.2 million numbers
	for _, c := range []struct {
		what string
		mib  int
		args []string
	}{
		{"scratch of kernels", 6, []string{"tight.yaml"}},
		{"cuBLAS's workspace", 30, []string{"tight.yaml"}},
		{"weights", own + 5, []string{"wide.yaml"}},
		{"gradients", own + weights + 5, []string{"wide.yaml"}},
		{"optimiser state", own + 2*weights + 5, []string{"wide.yaml"}},
		{"activations and other temporaries of a step", own + 10, []string{"tight.yaml"}},
		{"data", own + 1, []string{"tight.yaml", "--set", "trainer.micro_batches=auto", "--set", "trainer.eval_batch=20"}},
	} {
		o, _ := onGPU(t, dir, c.mib, append([]string{"train", "--run", "none"}, c.args...)...)
		assert.Equal(t, 2, o.status, "%s: %s", c.what, o.errors)
		assert.Regexp(t, `(?m)^acumen: .*out of memory: `, o.errors, c.what)
		assert.NotContains(t, o.errors, "panic", c.what)
		assert.Regexp(t, `\nhint: .`, "\n"+o.errors, c.what)
		if c.what != "data" { // which auto foresees
			assert.Contains(t, o.errors, "wanted for "+c.what+"; ", c.what)
		} else {
			assert.Regexp(t, `with one picture at a time: .* data, `, o.errors)
		}
	}

	// Evaluation, in training and by itself.
	o, _ := onGPU(t, dir, own+10, "train", "tight.yaml", "--run", "none", "--set", "trainer.batch=8", "--set", "trainer.eval_batch=960")
	assert.Equal(t, 2, o.status, o.errors)
	assert.Regexp(t, `(?m)^hint: evaluation in batches of \d+ fits: set trainer.eval_batch: \d+, or trainer.batch: auto, which finds that`, o.errors)
	o, _ = onGPU(t, dir, 0, "train", "tight.yaml", "--run", "trained", "--set", "trainer.batch=8")
	require.Equal(t, 0, o.status, o.errors)
	writeMNIST(t, filepath.Join(dir, "data"), 60, 4000)
	o, _ = onGPU(t, dir, own+10, "eval", "trained/last.safetensors", "--batch", "4000", "--device", "cuda:0")
	assert.Equal(t, 2, o.status, o.errors)
	m := regexp.MustCompile(`(?m)^acumen: cuda:0: out of memory: .*\. Evaluating lenet5 in f32 with batches of 4000 takes [\d.]+ MiB: .*\nhint: batches of (\d+) fit \(--batch (\d+)\)`).FindStringSubmatch(o.errors)
	require.Len(t, m, 3, o.errors)
	o, _ = onGPU(t, dir, own+10, "eval", "trained/last.safetensors", "--batch", m[2], "--device", "cuda:0")
	assert.Equal(t, 0, o.status, o.errors)
}
