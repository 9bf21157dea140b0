package report

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/metric"
)

func TestFoldersCountUp(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "runs")
	_, ok, err := Newest(root, "lenet5")
	require.NoError(t, err)
	assert.False(t, ok)
	for _, want := range []string{"lenet5-001", "lenet5-002"} {
		f, err := Create(root, "lenet5")
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(root, want), f.Path)
	}
	for _, other := range []string{"lenet5-007", "lenet5-wide-011", "lenet5-8", "lenet5-0x9", "xlenet5-100"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, other), 0o777))
	}
	f, err := Create(root, "lenet5")
	require.NoError(t, err)
	assert.Equal(t, "lenet5-008", filepath.Base(f.Path), "one more than the highest of the same name")
	f, ok, err = Newest(root, "lenet5")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "lenet5-008", filepath.Base(f.Path))
}

func TestFoldersMadeAtTheSameTimeDiffer(t *testing.T) {
	root := t.TempDir()
	var wg sync.WaitGroup
	paths := make([]string, 20)
	for i := range paths {
		wg.Go(func() {
			f, err := Create(root, "x")
			if assert.NoError(t, err) {
				paths[i] = f.Path
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, p := range paths {
		assert.False(t, seen[p], p)
		seen[p] = true
	}
	assert.True(t, seen[filepath.Join(root, "x-020")])
}

func TestConfigIsNotOverwritten(t *testing.T) {
	f, err := At(filepath.Join(t.TempDir(), "run"))
	require.NoError(t, err)
	assert.False(t, f.Used())
	require.NoError(t, f.WriteConfig("seed: 1\n"))
	assert.True(t, f.Used())
	err = f.WriteConfig("seed: 2\n")
	require.Error(t, err)
	assert.NotEmpty(t, fault.HintOf(err))
	_, text, err := f.Config()
	require.NoError(t, err)
	assert.Equal(t, "seed: 1\n", string(text))
}

func TestEnvironmentKeepsEveryStart(t *testing.T) {
	f, err := At(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, f.AddEnvironment(Environment{CPU: "one"}))
	require.NoError(t, f.AddEnvironment(Environment{CPU: "two"}))
	b, err := os.ReadFile(filepath.Join(f.Path, EnvironmentFile))
	require.NoError(t, err)
	assert.Less(t, strings.Index(string(b), "one"), strings.Index(string(b), "two"))
}

func TestResultIsReadBack(t *testing.T) {
	f, err := At(t.TempDir())
	require.NoError(t, err)
	r, err := f.Result()
	require.NoError(t, err)
	assert.Nil(t, r)
	want := &trainer.Result{Epochs: 3, Steps: 30, TrainLoss: 0.25, Test: &metric.Result{Top1: 0.9912}, Seconds: 1.5}
	require.NoError(t, f.WriteResult(want))
	r, err = f.Result()
	require.NoError(t, err)
	assert.Equal(t, want, r)
	require.NoError(t, os.WriteFile(filepath.Join(f.Path, ResultFile), []byte("{"), 0o666))
	_, err = f.Result()
	assert.NotEmpty(t, fault.HintOf(err))
}

func event(kind trainer.EventKind, epoch, step int) trainer.Event {
	e := trainer.Event{Kind: kind, Epoch: epoch, Step: step, Steps: 40, StepsPerEpoch: 20, Time: time.Unix(int64(step), 0), Loss: 0.5, Accuracy: 0.75, LR: 0.1, ExamplesPerSecond: 12345.4, TrainLoss: 0.25, TrainAccuracy: 0.5}
	if kind == trainer.EventFinish {
		e.Result = &trainer.Result{Test: &metric.Result{Top1: 0.9912, Top5: 1, Loss: 0.03}}
	}
	return e
}

func observe(t *testing.T, f *Folder, events ...trainer.Event) {
	m, err := f.OpenMetrics()
	require.NoError(t, err)
	for _, e := range events {
		m.Observe(e)
	}
	require.NoError(t, m.Close())
}

func names(t *testing.T, f *Folder) []string {
	rows, err := f.Rows()
	require.NoError(t, err)
	var out []string
	for _, r := range rows {
		out = append(out, r.key())
	}
	b, err := os.Open(filepath.Join(f.Path, TableFile))
	require.NoError(t, err)
	defer b.Close()
	table, err := csv.NewReader(b).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, columns, table[0])
	require.Len(t, table, len(rows)+1, "the table has the same rows")
	for i, r := range rows {
		assert.Equal(t, r.record(), table[i+1])
	}
	return out
}

func TestMetricsOfAResumedRunHaveEachRowOnce(t *testing.T) {
	f, err := At(t.TempDir())
	require.NoError(t, err)
	const start, step, epoch, finish = trainer.EventStart, trainer.EventStep, trainer.EventEpoch, trainer.EventFinish
	observe(t, f, event(start, 0, 0), event(step, 0, 10), event(step, 0, 20), event(epoch, 1, 20), event(step, 1, 30))
	assert.Equal(t, []string{"step10 0", "step20 0", "epoch20 1", "step30 1"}, names(t, f))

	// It was killed after step 30, the last checkpoint is of step 25, and half a line was written.
	lines := filepath.Join(f.Path, MetricsFile)
	b, err := os.ReadFile(lines)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(lines, append(b, `{"kind":"step","ep`...), 0o666))
	observe(t, f, event(start, 1, 25), event(step, 1, 30), event(step, 1, 40), event(epoch, 2, 40), event(finish, 2, 40))
	want := []string{"step10 0", "step20 0", "epoch20 1", "step30 1", "step40 1", "epoch40 2", "test40 2"}
	assert.Equal(t, want, names(t, f))

	observe(t, f, event(start, 2, 40), event(epoch, 2, 40), event(finish, 2, 40))
	assert.Equal(t, want, names(t, f), "validation and test done again")

	rows, err := f.Rows()
	require.NoError(t, err)
	assert.Equal(t, 0.9912, *rows[6].Accuracy)
	assert.Equal(t, 12345.0, *rows[0].ExamplesPerSecond)
	assert.Nil(t, rows[0].GradNorm)
}

func TestADamagedLineIsNamed(t *testing.T) {
	f, err := At(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.Path, MetricsFile), []byte("{\"kind\":\"step\"}\nnonsense\n{\"kind\":\"step\"}\n"), 0o666))
	_, err = f.Rows()
	require.Error(t, err)
	assert.Contains(t, err.Error(), MetricsFile+":2: ")
}

func TestPlainLines(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress("auto", &b, 2) // a buffer is no terminal
	s := event(trainer.EventStart, 0, 0)
	s.Params, s.StateBytes, s.ArenaBytes = 61706, 3<<20, 1536
	p.Observe(s)
	p.Observe(event(trainer.EventStep, 0, 10))
	p.Observe(event(trainer.EventStep, 0, 12)) // too soon after the last line
	e := event(trainer.EventEpoch, 1, 20)
	e.Validation, e.Best = &metric.Result{Loss: 0.125, Top1: 0.875}, true
	p.Observe(e)
	p.Observe(trainer.Event{Kind: trainer.EventNote, Text: "a note"})
	p.Observe(trainer.Event{Kind: trainer.EventCheckpoint, Path: "x"})
	p.Close()
	assert.Equal(t, `61,706 parameters, 40 steps in 2 epochs, 3 MiB for the network and the optimiser, 1.5 KiB for a step
epoch 1/2  step 10/40  loss 0.5000  accuracy 75.0 %  lr 0.1  12,345 images/s  ETA 30s
epoch 1/2  train loss 0.2500  accuracy 50.00 %  validation loss 0.1250  accuracy 87.50 %  (best)  12,345 images/s
a note
`, b.String())
}

func TestBar(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress("bar", &b, 2)
	p.Observe(event(trainer.EventStart, 0, 0))
	p.Observe(event(trainer.EventStep, 0, 10))
	p.Observe(event(trainer.EventEpoch, 1, 20))
	p.Observe(event(trainer.EventStep, 1, 40))
	p.Observe(event(trainer.EventFinish, 2, 40))
	p.Close()
	s := b.String()
	assert.Contains(t, s, "epoch 1/2  loss 0.5000  accuracy 75.0 %  12,345 images/s")
	assert.Contains(t, s, "25%")
	assert.Contains(t, s, "epoch 1/2  train loss 0.2500  accuracy 50.00 %")
	assert.Equal(t, 2, strings.Count(s, "\n"), "only the lines above the bar end: %q", s)
}

func TestNoProgress(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress("none", &b, 2)
	p.Observe(event(trainer.EventStart, 0, 0))
	p.Observe(event(trainer.EventEpoch, 1, 20))
	p.Close()
	assert.Empty(t, b.String())
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteResult(&b, &trainer.Result{Epochs: 5, Steps: 4690, TrainLoss: 0.0123, TrainAccuracy: 0.9961, BestEpoch: 4, Seconds: 83,
		Validation: &metric.Result{Loss: 0.04, Top1: 0.9899, Top5: 1}, Test: &metric.Result{Loss: 0.0301, Top1: 0.9912, Top5: 0.9999}, Stopped: "early stop"}))
	assert.Equal(t, `               loss     top-1     top-5
  training   0.0123   99.61 %
validation   0.0400   98.99 %  100.00 %
      test   0.0301   99.12 %   99.99 %
5 epochs, 4,690 steps, best epoch 4, ended by early stop, 1m23s
test accuracy 99.12 %
`, b.String())
}

func TestLog(t *testing.T) {
	f, err := At(t.TempDir())
	require.NoError(t, err)
	for range 2 {
		l, err := f.OpenLog(2)
		require.NoError(t, err)
		l.Observe(event(trainer.EventStep, 0, 10))
		l.Observe(trainer.Event{Kind: trainer.EventCheckpoint, Path: "last.safetensors"})
		require.NoError(t, l.Close())
	}
	b, err := os.ReadFile(filepath.Join(f.Path, LogFile))
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(b), " saved last.safetensors\n"))
	assert.Equal(t, 2, strings.Count(string(b), "\n"))
}

func TestTimesAndNumbers(t *testing.T) {
	for d, want := range map[time.Duration]string{1234 * time.Millisecond: "1.2s", 59600 * time.Millisecond: "1m00s", 61 * time.Second: "1m01s", 3661 * time.Second: "1h01m01s", 12 * time.Second: "12s"} {
		assert.Equal(t, want, Time(d))
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		assert.Equal(t, want, thousands(n))
	}
}

func TestDownload(t *testing.T) {
	var b bytes.Buffer
	d := NewDownload("auto", &b)
	for i := range 101 {
		d.Observe("a.gz", int64(i)<<20, 100<<20)
	}
	d.Observe("b.gz", 512, -1)
	d.Close()
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	assert.Len(t, lines, 12)
	assert.Equal(t, "a.gz  30 %  30 MiB of 100 MiB", lines[3])
	assert.Equal(t, "b.gz  512 bytes", lines[11])

	b.Reset()
	d = NewDownload("bar", &b)
	d.Observe("a.gz", 5<<20, 10<<20)
	d.Close()
	assert.Contains(t, b.String(), "a.gz")
	assert.True(t, strings.HasSuffix(b.String(), "\n"))
}

// Whatever stands in a run's metrics, it is read as rows or refused with the file's name; what was read can be gone on with.
func FuzzRows(f *testing.F) {
	f.Add([]byte("{\"kind\":\"step\",\"epoch\":1,\"step\":3,\"loss\":0.5}\n{\"kind\":\"epoch\",\"epoch\":1,\"step\":3}\n"))
	f.Add([]byte("{\"kind\":\"step\"}\n{\"ki"))
	f.Add([]byte("\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		folder, err := At(dir)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, MetricsFile), raw, 0o666))
		rows, err := folder.Rows()
		if err != nil {
			assert.Contains(t, err.Error(), MetricsFile)
			return
		}
		m, err := folder.OpenMetrics()
		require.NoError(t, err)
		require.NoError(t, m.Close())
		again, err := folder.Rows()
		require.NoError(t, err)
		assert.LessOrEqual(t, len(again), len(rows))
	})
}
