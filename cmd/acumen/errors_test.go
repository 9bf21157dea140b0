package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the table of docs/errors.md")

// mistake is a row of docs/errors.md.
type mistake struct {
	name    string // what was done wrong
	status  int
	args    []string
	prepare func(t *testing.T, dir string) // makes the mistake in a workplace
	run     func(t *testing.T, dir string, args []string) outcome
}

// train is the command of most mistakes.
var train = []string{"train", "my.yaml"}

// configured replaces the configuration.
func configured(text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { write(t, filepath.Join(dir, "my.yaml"), []byte(text)) }
}

// replaced puts b in the place of a file of the data set.
func replaced(name string, b func(t *testing.T) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) { write(t, filepath.Join(dir, "data", name), b(t)) }
}

const trainImages, trainLabels = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"

func mistakes() []mistake {
	return []mistake{
		{name: "Unknown key", status: 2, args: train, prepare: configured("trainer:\n  epoch: 3\n")},
		{name: "Wrong type", status: 2, args: train, prepare: configured("trainer:\n  epochs: many\n")},
		{name: "Key given twice", status: 2, args: train, prepare: configured("seed: 1\nseed: 2\n")},
		{name: "Batch size 0", status: 2, args: train, prepare: configured("trainer:\n  batch: 0\n")},
		{name: "Micro-batches given twice over", status: 2, args: []string{"train", "my.yaml", "--set", "trainer.batch=auto", "--set", "trainer.micro_batches=2"}},
		{name: "Learning rate NaN", status: 2, args: train, prepare: configured("trainer:\n  optimizer: {lr: NaN}\n")},
		{name: "Early stopping without validation", status: 2, args: train, prepare: configured("trainer:\n  early_stop: 3\n")},
		{name: "Unknown key after --set", status: 2, args: []string{"train", "my.yaml", "--set", "trainer.epoch=3"}},
		{name: "Unknown variable", status: 2, args: train, run: func(t *testing.T, dir string, args []string) outcome {
			return finish(t, command(dir, args, "ACUMEN_TRAINER_EPOCH=3"))
		}},
		{name: "A key as a flag", status: 2, args: []string{"train", "--epochs", "3"}},
		{name: "Unknown flag", status: 2, args: []string{"train", "--profil"}},
		{name: "Key of a flag", status: 2, args: []string{"train", "--data.dir", "DIR"}},
		{name: "Flag without meaning", status: 2, args: []string{"train", "-n", "5"}},
		{name: "Unknown command", status: 2, args: []string{"trian"}},
		{name: "Missing configuration", status: 2, args: []string{"train", "mnist/lenet"}},
		{name: "Unknown model", status: 2, args: []string{"train", "my.yaml", "--set", "model={name: lenet6}"}},
		{name: "Layer that does not fit", status: 2, args: train, prepare: configured(small[:strings.Index(small, "model:")] + "model:\n  layers:\n    - flatten\n    - {conv2d: 8}\n")},
		{name: "Device cuda:0 without a GPU", status: 2, args: []string{"train", "my.yaml", "--device", "cuda:0"}},
		{name: "A device that is none", status: 2, args: []string{"devices", "gpu"}},
		{name: "tf32 on the CPU", status: 2, args: []string{"train", "my.yaml", "--set", "precision=tf32"}},
		{name: "Loss scale that is none", status: 2, args: []string{"train", "my.yaml", "--set", "trainer.loss_scale=0.5"}},
		{name: "Missing data set", status: 2, args: []string{"train", "my.yaml", "--set", "data={name: cifar10, dir: nowhere}"}},
		{name: "Truncated gzip", status: 2, args: train, prepare: func(t *testing.T, dir string) {
			path := filepath.Join(dir, "data", trainImages)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			write(t, path, b[:len(b)/2])
		}},
		{name: "HTML saved as .gz", status: 2, args: train, prepare: replaced(trainImages, func(*testing.T) []byte {
			return []byte("<!DOCTYPE html><html><body>404 Not Found</body></html>")
		})},
		{name: "Wrong magic number", status: 2, args: train, prepare: replaced(trainImages, func(t *testing.T) []byte {
			images, _ := digits(60)
			return gzipped(t, idx(0x802, []int{60, 28, 28}, images))
		})},
		{name: "Label out of range", status: 2, args: train, prepare: replaced(trainLabels, func(t *testing.T) []byte {
			_, labels := digits(60)
			labels[7] = 10
			return gzipped(t, idx(0x801, []int{60}, labels))
		})},
		{name: "CIFAR-100 given as CIFAR-10", status: 2, args: []string{"train", "my.yaml", "--set", "data={name: cifar10, dir: data}"}, prepare: func(t *testing.T, dir string) {
			record := make([]byte, 2+3072)
			for _, name := range []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"} {
				var b []byte
				for i := range 20 {
					record[0], record[1] = byte(i), byte(i*5)
					b = append(b, record...)
				}
				write(t, filepath.Join(dir, "data", "cifar-10-batches-bin", name), b)
			}
		}},
		{name: "Picture of another size", status: 2, args: []string{"predict", "trained.safetensors", "wide.png"}, prepare: func(t *testing.T, dir string) {
			makeTrained(t, dir)
			writePNG(t, filepath.Join(dir, "wide.png"), 40, 30, func(x, y int) byte { return byte(x) })
		}},
		{name: "No picture", status: 2, args: []string{"predict", "trained.safetensors", "my.yaml"}, prepare: makeTrained},
		{name: "Corrupt checkpoint, header", status: 2, args: []string{"eval", "trained.safetensors"}, prepare: damaged(20)},
		{name: "Corrupt checkpoint, numbers", status: 2, args: []string{"eval", "trained.safetensors"}, prepare: damaged(-20)},
		{name: "Corrupt checkpoint, cut off", status: 2, args: []string{"eval", "trained.safetensors"}, prepare: func(t *testing.T, dir string) {
			makeTrained(t, dir)
			b := []byte(read(t, dir, "trained.safetensors"))
			write(t, filepath.Join(dir, "trained.safetensors"), b[:len(b)-100])
		}},
		{name: "No checkpoint", status: 2, args: []string{"eval", "my.yaml"}},
		{name: "Missing checkpoint", status: 2, args: []string{"eval", "untrained.safetensors"}},
		{name: "Folder given as a checkpoint", status: 2, args: []string{"predict", "data", "my.yaml"}},
		{name: "Checkpoint of another model", status: 2, args: []string{"train", "my.yaml", "--run", "job", "--resume"}, prepare: func(t *testing.T, dir string) {
			makeTrained(t, dir)
			succeed(t, dir, "train", "my.yaml", "--run", "job", "--set", "model={layers: [flatten, {linear: 10}]}")
			require.NoError(t, os.Remove(filepath.Join(dir, "job", "result.json")))
			write(t, filepath.Join(dir, "my.yaml"), []byte(read(t, dir, "job", "config.yaml")))
			write(t, filepath.Join(dir, "job", "last.safetensors"), []byte(read(t, dir, "trained.safetensors")))
		}},
		{name: "Resuming with another configuration", status: 2, args: []string{"train", "my.yaml", "--run", "job", "--resume", "--set", "trainer.batch=20"}, prepare: func(t *testing.T, dir string) {
			succeed(t, dir, "train", "my.yaml", "--run", "job")
		}},
		{name: "Read-only run folder", status: 1, args: train, run: readOnly},
		{name: "Disk full", status: 1, args: []string{"train", "my.yaml", "--run", "job"}, run: diskFull},
		{name: "Loss not finite", status: 3, args: []string{"train", "my.yaml", "--set", "trainer.optimizer={name: sgd, lr: 1e30}"}},
		{name: "Gradients outside of f16", status: 3, args: train, prepare: configured(overflowing)},
	}
}

// overflowing is a network whose outputs f16 holds, some 3000, but not their gradients, which each layer makes 8 times
// larger on their way back.
var overflowing = strings.NewReplacer("{linear: 8}, relu, {linear: 10}", strings.Repeat("{linear: {out: 64, init: standard_normal}}, ", 5)+"{linear: {out: 10, init: standard_normal}}",
	"epochs: 2", "epochs: 4, loss: {name: mse}", "dir: data}", "dir: data, mean: [0], std: [70]}").Replace(small) + "precision: f16\n"

// makeTrained puts a checkpoint at trained.safetensors.
func makeTrained(t *testing.T, dir string) {
	succeed(t, dir, "train", "my.yaml", "--run", "first")
	write(t, filepath.Join(dir, "trained.safetensors"), []byte(read(t, dir, "first", "last.safetensors")))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "first")))
}

// damaged changes one byte of a checkpoint, counted from its end if negative.
func damaged(at int) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		makeTrained(t, dir)
		b := []byte(read(t, dir, "trained.safetensors"))
		b[(at+len(b))%len(b)] ^= 0x10
		write(t, filepath.Join(dir, "trained.safetensors"), b)
	}
}

// make shows what a mistake printed, and its status. The workplace's path is left out.
func (m mistake) make(t *testing.T) outcome {
	t.Helper()
	dir := workplace(t)
	require.NoError(t, os.Rename(filepath.Join(dir, "small.yaml"), filepath.Join(dir, "my.yaml")))
	if m.prepare != nil {
		m.prepare(t, dir)
	}
	run := m.run
	if run == nil {
		run = func(t *testing.T, dir string, args []string) outcome { return acumen(t, dir, args...) }
	}
	o := run(t, dir, m.args)
	if i := strings.Index(o.errors, "acumen: "); i >= 0 {
		o.errors = o.errors[i:] // after lines of progress
	}
	o.errors = strings.ReplaceAll(strings.ReplaceAll(o.errors, dir+"/", ""), dir, "DIR")
	o.errors = regexp.MustCompile(`tmp-[0-9]+`).ReplaceAllString(o.errors, "tmp-1")                                  // of the process
	o.errors = regexp.MustCompile(`bytes [0-9]+ to [0-9]+ of`).ReplaceAllString(o.errors, "bytes 3216 to 182059 of") // it depends on how long training took
	return o
}

// row is the mistake as the page shows it.
func (m mistake) row(o outcome) string {
	message, hint, _ := strings.Cut(strings.TrimSpace(o.errors), "\nhint: ")
	code := func(s string) string {
		s = strings.ReplaceAll(s, "|", `\|`)
		if strings.Contains(s, "`") {
			return "`` " + s + " ``"
		}
		return "`" + s + "`"
	}
	var args []string
	for _, a := range m.args {
		if strings.ContainsAny(a, " {") {
			a = "'" + a + "'"
		}
		args = append(args, a)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %d |\n", m.name, code("acumen "+strings.Join(args, " ")), code(strings.TrimPrefix(message, "acumen: ")), code(hint), o.status)
}

// TestMistakes makes every mistake of docs/errors.md and compares what is printed with the page. To write the table:
// go test ./cmd/acumen -run Mistakes -update
func TestMistakes(t *testing.T) {
	const page = "../../docs/errors.md"
	b, err := os.ReadFile(page)
	require.NoError(t, err)
	const begin, end = "<!-- mistakes: made by go test ./cmd/acumen -run Mistakes -update -->\n", "<!-- end of mistakes -->"
	head, rest, ok := strings.Cut(string(b), begin)
	require.True(t, ok)
	table, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	rows := "| Mistake | Command | Message | Hint | Status |\n|---|---|---|---|---|\n"
	complete := true
	for _, m := range mistakes() {
		t.Run(m.name, func(t *testing.T) {
			o := m.make(t)
			if t.Skipped() {
				complete = false
				return
			}
			assert.Equal(t, m.status, o.status, o.errors)
			assert.Empty(t, o.out)
			lines := strings.Split(strings.TrimSpace(o.errors), "\n")
			assert.Len(t, lines, 2, "one line that says what, one with the way out: %q", o.errors)
			assert.True(t, strings.HasPrefix(lines[0], "acumen: "), lines[0])
			assert.True(t, strings.HasPrefix(lines[len(lines)-1], "hint: "), lines[len(lines)-1])
			row := m.row(o)
			rows += row
			if !*update {
				assert.Contains(t, table, row)
			}
		})
	}
	if *update {
		require.True(t, complete, "no mistake may be left out")
		require.NoError(t, os.WriteFile(page, []byte(head+begin+rows+end+tail), 0o666))
	} else if complete {
		assert.Equal(t, strings.Count(rows, "\n"), strings.Count(table, "\n"), "rows that no test makes")
	}
}

// TestEveryByteOfACheckpointCounts damages a checkpoint in each of its regions, byte by byte where it is short.
func TestEveryByteOfACheckpointCounts(t *testing.T) {
	dir := workplace(t)
	require.NoError(t, os.Rename(filepath.Join(dir, "small.yaml"), filepath.Join(dir, "my.yaml")))
	makeTrained(t, dir)
	path := filepath.Join(dir, "trained.safetensors")
	whole := []byte(read(t, path))
	step := max(len(whole)/60, 1)
	for at := 0; at < len(whole); at += step {
		if at > 64 && at < 64+step {
			continue
		}
		b := append([]byte(nil), whole...)
		b[at] ^= 0x01
		write(t, path, b)
		_, err := openTrained(path, nil, 1)
		assert.Error(t, err, "byte %d of %d", at, len(whole))
	}
}
