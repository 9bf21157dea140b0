package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/model/safetensors"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
)

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	require.NoError(t, err)
	return string(b)
}

func TestARunFromStartToPrediction(t *testing.T) {
	dir := workplace(t)
	out := succeed(t, dir, "train", "small.yaml", "--set", "data.validation=10", "--set", "trainer.epochs=3")
	assert.Regexp(t, `(?m)^ +training +\d\.\d{4} +\d+\.\d\d %`, out)
	assert.Regexp(t, `(?m)^ *validation +\d\.\d{4} +\d+\.\d\d % +\d+\.\d\d %`, out)
	assert.Regexp(t, `(?m)^ +test +\d\.\d{4} +\d+\.\d\d % +\d+\.\d\d %`, out)
	assert.Regexp(t, `(?m)^3 epochs, 15 steps, best epoch \d, \d+\.\ds$`, out)
	assert.Regexp(t, `\ntest accuracy \d+\.\d\d %\nrun folder runs/small-001\nnext: acumen predict runs/small-001/best\.safetensors FILE\.\.\.\n$`, out)

	run := filepath.Join(dir, "runs", "small-001")
	for _, f := range []string{"config.yaml", "environment.json", "metrics.jsonl", "metrics.csv", "log.txt", "result.json", "best.safetensors", "last.safetensors"} {
		_, err := os.Stat(filepath.Join(run, f))
		assert.NoError(t, err, f)
	}
	assert.Contains(t, read(t, run, "config.yaml"), "validation: 10\n")
	var env []map[string]any
	require.NoError(t, json.Unmarshal([]byte(read(t, run, "environment.json")), &env))
	require.Len(t, env, 1)
	assert.Equal(t, runtime.Version(), env[0]["go"])
	assert.Equal(t, []any{"acumen", "train", "small.yaml", "--set", "data.validation=10", "--set", "trainer.epochs=3"}, env[0]["command"])
	for _, k := range []string{"acumen", "cpu", "device", "system", "threads", "cpus", "time"} {
		assert.NotEmpty(t, env[0][k], k)
	}
	assert.Equal(t, 15+3+1, strings.Count(read(t, run, "metrics.jsonl"), "\n"), "steps, epochs, test")
	assert.Equal(t, 15+3+1+1, strings.Count(read(t, run, "metrics.csv"), "\n"))

	again := succeed(t, dir, "train", filepath.Join("runs", "small-001", "config.yaml"))
	assert.Contains(t, again, "run folder runs/small-002", "nothing is overwritten, and the name stays")
	assert.Equal(t, weights(t, dir, "runs/small-001/best.safetensors"), weights(t, dir, "runs/small-002/best.safetensors"), "the stored configuration repeats the run")

	// Only the checkpoint and the data are needed.
	require.NoError(t, os.Rename(filepath.Join(run, "best.safetensors"), filepath.Join(dir, "alone.safetensors")))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "runs")))
	require.NoError(t, os.Remove(filepath.Join(dir, "small.yaml")))
	accuracy := regexp.MustCompile(`test accuracy .*`).FindString(out)
	table := succeed(t, dir, "eval", "alone.safetensors")
	assert.Contains(t, table, accuracy, "eval gives what train said")
	var ev struct {
		Accuracy  float64
		Confusion [][]int
	}
	require.NoError(t, json.Unmarshal([]byte(succeed(t, dir, "eval", "alone.safetensors", "--json")), &ev))
	assert.Equal(t, accuracy, fmt.Sprintf("test accuracy %.2f %%", 100*ev.Accuracy))
	sum, right := 0, 0
	for i, row := range ev.Confusion {
		for j, n := range row {
			sum += n
			if i == j {
				right += n
			}
		}
	}
	assert.Equal(t, 20, sum)
	assert.InDelta(t, ev.Accuracy, float64(right)/20, 1e-12)

	images, _ := digits(10)
	for i := range 10 {
		writePNG(t, filepath.Join(dir, fmt.Sprintf("%d.png", i)), 28, 28, func(x, y int) byte { return images[i*784+y*28+x] })
	}
	var guesses []prediction
	require.NoError(t, json.Unmarshal([]byte(succeed(t, dir, "predict", "alone.safetensors", "--json", "--top", "10", "3.png", "4.png")), &guesses))
	require.Len(t, guesses, 2)
	assert.Equal(t, "4.png", guesses[1].File)
	total := 0.0
	for i, g := range guesses[0].Classes {
		total += g.Probability
		if i > 0 {
			assert.LessOrEqual(t, g.Probability, guesses[0].Classes[i-1].Probability)
		}
	}
	assert.InDelta(t, 1, total, 1e-6, "probabilities of all classes") // f32 outputs, softmax in f64
	assert.Regexp(t, `^3\.png +\S+ +\d+\.\d\d %\n$`, succeed(t, dir, "predict", "alone.safetensors", "3.png", "--top", "1"))

	shown := succeed(t, dir, "inspect", "alone.safetensors")
	assert.Contains(t, shown, "linear_1")
	assert.Contains(t, shown, "28x28x1")
}

// weights is what a checkpoint gives for a picture, exactly.
func weights(t *testing.T, dir, path string) string {
	t.Helper()
	images, _ := digits(3)
	writePNG(t, filepath.Join(dir, "w.png"), 28, 28, func(x, y int) byte { return images[2*784+y*28+x] })
	return succeed(t, dir, "predict", path, "w.png", "--json", "--top", "10")
}

func TestResume(t *testing.T) {
	dir := workplace(t)
	o := acumen(t, dir, "train", "small.yaml", "--run", "job", "--resume")
	assert.Equal(t, 2, o.status)
	assert.Equal(t, "acumen: job: there is no run to go on with\nhint: start it without --resume, or with --resume=auto\n", o.errors)

	first := succeed(t, dir, "train", "small.yaml", "--run", "job", "--resume=auto")
	assert.Contains(t, first, "run folder job\n")
	o = acumen(t, dir, "train", "small.yaml", "--run", "job", "--resume=auto")
	assert.Equal(t, 0, o.status)
	assert.Equal(t, first, o.out, "finished: its table, again")
	assert.Empty(t, o.errors, "nothing runs")

	require.NoError(t, os.Remove(filepath.Join(dir, "job", "result.json"))) // it was killed at the very end
	o = acumen(t, dir, "train", "--run", "job", "--resume")
	assert.Equal(t, 0, o.status, o.errors)
	assert.Equal(t, first, o.out)

	o = acumen(t, dir, "train", "small.yaml", "--run", "job")
	assert.Equal(t, 2, o.status)
	assert.Equal(t, "acumen: job: there is a run in this folder\nhint: go on with it by --resume, or choose another folder\n", o.errors)

	o = acumen(t, dir, "train", "small.yaml", "--run", "job", "--resume=auto", "--set", "trainer.batch=20")
	assert.Equal(t, 2, o.status)
	assert.Equal(t, "acumen: job: the run was started with trainer.batch: 10, now it is 20\nhint: go on with the same value, or start another run\n", o.errors)

	succeed(t, dir, "train", "small.yaml")
	assert.Contains(t, succeed(t, dir, "train", "small.yaml", "--resume"), "run folder runs/small-001\n", "the newest of its name")
}

// started runs a command until it has printed a line that has text, and gives it.
func started(t *testing.T, dir, text string, args ...string) (pid *os.Process, wait func() outcome) {
	t.Helper()
	c := command(dir, args)
	var out bytes.Buffer
	c.Stdout = &out
	pipe, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() { c.Process.Kill() })
	var errs strings.Builder
	s := bufio.NewScanner(pipe)
	for s.Scan() {
		errs.WriteString(s.Text() + "\n")
		if strings.Contains(s.Text(), text) {
			break
		}
	}
	return c.Process, func() outcome {
		for s.Scan() {
			errs.WriteString(s.Text() + "\n")
		}
		c.Wait()
		return outcome{c.ProcessState.ExitCode(), out.String(), errs.String()}
	}
}

func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	for _, c := range []struct {
		signal syscall.Signal
		word   string
		status int
	}{{syscall.SIGTERM, "terminated", 143}, {syscall.SIGINT, "interrupted", 130}} {
		dir := workplace(t)
		long := []string{"train", "small.yaml", "--run", "job", "--resume=auto", "--set", "trainer.epochs=30000"}
		p, wait := started(t, dir, "epoch 2/30000", long...)
		require.NoError(t, p.Signal(c.signal))
		o := wait()
		assert.Equal(t, c.status, o.status, o.errors)
		m := regexp.MustCompile(`\nacumen: stopped after step (\d+): ` + c.word + `; saved in job/last\.safetensors\nhint: go on with: acumen train --run job --resume\n$`).FindStringSubmatch(o.errors)
		require.NotNil(t, m, o.errors)
		assert.Empty(t, o.out)

		p, wait = started(t, dir, "going on after step ", long...)
		require.NoError(t, p.Signal(c.signal))
		assert.Equal(t, c.status, wait().status)
		assert.NotContains(t, read(t, dir, "job", "log.txt"), "finished")
	}
}

// A run of cnn, with augmentation and dropout, that is stopped in the middle of its second epoch and goes on ends in the
// bytes of one that was never stopped, weights, optimiser state and all.
func TestStoppedAndResumedEndsInTheSameBytes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	if testing.Short() {
		t.Skip("it trains cnn")
	}
	dir := t.TempDir()
	writeCIFAR10(t, filepath.Join(dir, "data"), 8, 10)
	job := func(name string) []string {
		return []string{"train", "cifar10/cnn", "--data-dir", "data", "--run", name, "--resume=auto", "--progress", "plain",
			"--set", "trainer.epochs=2", "--set", "trainer.batch=4", "--set", "trainer.log_every=1"}
	}
	succeed(t, dir, job("straight")...)
	p, wait := started(t, dir, "run folder stopped", job("stopped")...)
	require.Eventually(t, func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "stopped", "metrics.jsonl"))
		return bytes.Contains(b, []byte(`"step":12,`))
	}, time.Minute, time.Millisecond)
	require.NoError(t, p.Signal(syscall.SIGTERM))
	o := wait()
	require.Equal(t, 143, o.status, o.errors)
	assert.Regexp(t, `stopped after step 1[2-9]: terminated`, o.errors, "in the second epoch, before its end")
	succeed(t, dir, job("stopped")...)
	want, err := safetensors.Read(strings.NewReader(read(t, dir, "straight", "last.safetensors")))
	require.NoError(t, err)
	got, err := safetensors.Read(strings.NewReader(read(t, dir, "stopped", "last.safetensors")))
	require.NoError(t, err)
	assert.Greater(t, len(want.Tensors), 30, "weights and momentum")
	assert.Equal(t, want.Tensors, got.Tensors)
}

func TestSmoke(t *testing.T) {
	dir := workplace(t)
	out := succeed(t, dir, "train", "small.yaml", "--smoke", "--progress", "none")
	assert.Regexp(t, `^smoke test passed: layers on cpu, 2 steps, loss \d\.\d{4}, evaluated on 20 pictures, checkpoint written and read back\n$`, out)
	left, err := os.ReadDir(filepath.Join(dir, "runs"))
	require.NoError(t, err)
	assert.Empty(t, left, "nothing is kept")
}

func TestProfile(t *testing.T) {
	dir := workplace(t)
	out := succeed(t, dir, "train", "small.yaml", "--profile", "--set", "trainer.epochs=5")
	assert.Regexp(t, `(?m)MatMul`, out)
	assert.Contains(t, out, "test accuracy ")
}

// --no-graph runs steps call by call; graphs of several steps, and none, give the same weights.
func TestNoGraph(t *testing.T) {
	dir := workplace(t)
	weights := func(run string, args ...string) map[string]*tensor.Dense {
		succeed(t, dir, append([]string{"train", "small.yaml", "--run", run}, args...)...)
		c, err := checkpoint.Load(filepath.Join(dir, run, checkpoint.Last))
		require.NoError(t, err)
		return c.Weights
	}
	want := weights("captured")
	assert.Equal(t, want, weights("plain", "--no-graph"))
	assert.Contains(t, read(t, filepath.Join(dir, "plain", "config.yaml")), "capture: false")
	assert.Equal(t, want, weights("several", "--set", "trainer.capture_steps=3", "--set", "trainer.log_every=10"))
}

func TestProgressModes(t *testing.T) {
	dir := workplace(t)
	for mode, has := range map[string]string{"plain": "\nepoch 1/2  train loss ", "bar": "\x1b[", "auto": "\nepoch 1/2  train loss "} {
		o := acumen(t, dir, "train", "small.yaml", "--progress", mode)
		assert.Equal(t, 0, o.status)
		assert.Contains(t, o.errors, has, mode)
	}
	o := acumen(t, dir, "train", "small.yaml", "--progress", "none")
	assert.Empty(t, o.errors)
	o = acumen(t, dir, "train", "small.yaml")
	assert.Regexp(t, `^device cpu, .*, 1 threads?, [^(]*\nlayers on mnist; run folder `, o.errors)
	o = acumen(t, dir, "train", "small.yaml", "--device", "auto")
	assert.Regexp(t, `^device cpu, .* \(no GPU: .+\)\n`, o.errors, "auto says why not")
}

func TestConfigCommand(t *testing.T) {
	dir := t.TempDir()
	bare := succeed(t, dir, "config")
	assert.Equal(t, bare, succeed(t, dir, "config", "mnist/lenet5"))
	assert.Contains(t, bare, "name: lenet5\n")
	write(t, filepath.Join(dir, "again.yaml"), []byte(bare))
	assert.Equal(t, bare, succeed(t, dir, "config", "again.yaml"), "what it prints is a configuration")
	o := finish(t, command(dir, []string{"config", "--seed", "9", "--set", "seed=8"}, "ACUMEN_SEED=7", "ACUMEN_THREADS=2"))
	assert.Contains(t, o.out, "seed: 9\n")
	assert.Contains(t, o.out, "threads: 2\n")
	for _, name := range strings.Fields(succeed(t, dir, "config", "--list")) {
		succeed(t, dir, "config", name)
		succeed(t, dir, "inspect", name)
	}
}

func TestOtherCommands(t *testing.T) {
	dir := t.TempDir()
	assert.Regexp(t, `^acumen \S+ \(go1\.\d+\S*, \w+/\w+.*\)\n$`, succeed(t, dir, "version"))
	assert.Regexp(t, `(?m)^cpu +\S`, succeed(t, dir, "devices"))
	assert.Regexp(t, `^cpu +\S.*\n$`, succeed(t, dir, "devices", "cpu"))
	assert.Equal(t, 2, acumen(t, dir, "devices", "cuda:99").status)
	assert.Contains(t, succeed(t, dir, "completion", "bash"), "acumen")
	assert.Contains(t, succeed(t, dir), "Usage:")
	assert.Regexp(t, `(?m)^mnist `, succeed(t, dir, "data", "list"))
	assert.Contains(t, succeed(t, dir, "inspect", "resnet20", "--classes", "7"), "conv2d")
}

func TestVerify(t *testing.T) {
	dir := workplace(t)
	out := succeed(t, dir, "verify", "small.yaml")
	assert.Regexp(t, `(?m)^ *linear_1 +10x8 +\S+ +\S+ *$`, out)
	assert.Regexp(t, `(?m)^ *linear_2\.weight +10x8 +\S+ *$`, out)
	assert.Regexp(t, `on cpu agrees with its composed kernels: worst relative error \S+, 0.0001 is allowed\n$`, out)
	var rows []verified
	require.NoError(t, json.Unmarshal([]byte(succeed(t, dir, "verify", "small.yaml", "--json")), &rows))
	assert.Len(t, rows, 4+4)

	o := acumen(t, dir, "verify", "small.yaml", "--tolerance", "1e-300", "--set", "trainer.batch=20")
	assert.Equal(t, 1, o.status)
	assert.Regexp(t, `^acumen: (output|gradient|weight gradient) of \S+: relative error \S+ on cpu, over 1e-300: the first in the order of computing\nhint: `, o.errors)
}

func TestPlan(t *testing.T) {
	dir := t.TempDir()
	out := succeed(t, dir, "plan", "cifar10/resnet20", "--gpu", "rtx4060", "--set", "trainer.batch=32")
	assert.Regexp(t, `^resnet20 in f32 on rtx4060 \(NVIDIA GeForce RTX 4060\): 269722 parameters\nbatches of 32 in one piece, evaluation of 500; data set cifar10, 50000 \+ 10000 pictures\n\n`, out)
	assert.Regexp(t, `(?m)^it fits into the 7 GiB that may be used of 8 GiB\nthe largest batch that fits in one piece is about \d+\n`, out)
	assert.Regexp(t, `(?m)^Conv2D\w* +19 +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ % +(memory|operations)$`, out)
	var one, two plan
	require.NoError(t, json.Unmarshal([]byte(succeed(t, dir, "plan", "cifar10/resnet20", "--json")), &one))
	require.NoError(t, json.Unmarshal([]byte(succeed(t, dir, "plan", "cifar10/resnet20", "--json", "--set", "trainer.batch=256")), &two))
	assert.Greater(t, two.Bytes, one.Bytes)
	assert.InEpsilon(t, 2*one.Total.Flops, two.Total.Flops, 0.01) // but for the optimiser's, operations go with the batch
	// 40,551,040 multiply-adds a picture forward; backward twice that, but for the first layer's input.
	assert.InEpsilon(t, 2*3*40551040.0*128, one.Total.Flops, 0.05)
	assert.Greater(t, one.LargestBatch, 10000)

	o := acumen(t, dir, "plan", "--gpu", "h1000")
	assert.Equal(t, 2, o.status)
	assert.Regexp(t, `^acumen: device "h1000": no such device is known\nhint: known: a10, .*h100, `, o.errors)

	// What does not fit is planned all the same, with the cut that does; auto takes that one.
	large := []string{"plan", "cifar10/resnet20", "--gpu", "rtx4060", "--set", "trainer.batch=40000"}
	m := regexp.MustCompile(`(?m)^it does not fit into the 7 GiB that may be used of 8 GiB; batches of 40000 in (\d+) micro-batches of \d+ do: set trainer.micro_batches: (\d+), or trainer.batch: auto$`).FindStringSubmatch(succeed(t, dir, large...))
	require.Len(t, m, 3)
	var written, auto plan
	require.NoError(t, json.Unmarshal([]byte(succeed(t, dir, append(large, "--json", "--set", "trainer.micro_batches="+m[2])...)), &written))
	require.NoError(t, json.Unmarshal([]byte(succeed(t, dir, append(large, "--json", "--set", "trainer.micro_batches=auto")...)), &auto))
	assert.True(t, written.Fits)
	assert.Equal(t, m[2], strconv.Itoa(auto.MicroBatches))
	fewer := auto.MicroBatches - 1
	for 40000%fewer != 0 {
		fewer--
	}
	assert.LessOrEqual(t, 40000/auto.MicroBatches, auto.LargestBatch*65/64) // it is known within a 64th
	assert.Greater(t, 40000/fewer, auto.LargestBatch, "the next larger part does not fit")
	assert.Contains(t, succeed(t, dir, append(large, "--set", "trainer.micro_batches=auto")...), "\nbatches of 40000 in "+m[1]+" micro-batches of ")
}

func TestDataGet(t *testing.T) {
	served := 0
	files := http.FileServer(http.Dir("../../trainer/data/mnist"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served++
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	dir := t.TempDir()
	get := []string{"data", "get", "mnist", "--data-dir", "d", "--set", "data.mirrors=[" + server.URL + "]"}
	o := acumen(t, dir, get...)
	require.Equal(t, 0, o.status, o.errors)
	assert.Contains(t, o.out, "mnist is whole\n")
	assert.Contains(t, o.errors, "train-images-idx3-ubyte.gz  100 %")
	assert.Equal(t, 4, served)
	assert.Contains(t, succeed(t, dir, "data", "verify", "mnist", "--data-dir", "d"), "mnist is whole\n")
	succeed(t, dir, get...)
	assert.Equal(t, 4, served, "what is there is not downloaded again")

	o = acumen(t, dir, "data", "get", "minst")
	assert.Equal(t, 2, o.status)
	assert.Contains(t, o.errors, "did you mean mnist?")
	o = acumen(t, dir, "data", "fetch")
	assert.Equal(t, 2, o.status)
	assert.Equal(t, "acumen: acumen data: \"fetch\" is not one of its commands\nhint: write acumen data get|list|verify\n", o.errors)
}
