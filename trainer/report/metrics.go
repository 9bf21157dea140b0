package report

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer"
)

// Row is one row of metrics. A number that a row does not have is nil.
type Row struct {
	Kind  string    `json:"kind"` // step, epoch, test
	Epoch int       `json:"epoch"`
	Step  int       `json:"step"`
	Time  time.Time `json:"time"`

	Loss               *float64 `json:"loss,omitempty"`
	Accuracy           *float64 `json:"accuracy,omitempty"` // 0..1, as all accuracies
	ValidationLoss     *float64 `json:"validation_loss,omitempty"`
	ValidationAccuracy *float64 `json:"validation_accuracy,omitempty"`
	Top5               *float64 `json:"top5,omitempty"`
	LR                 *float64 `json:"lr,omitempty"`
	GradNorm           *float64 `json:"grad_norm,omitempty"`
	LossScale          *float64 `json:"loss_scale,omitempty"`
	SkippedSteps       *float64 `json:"skipped_steps,omitempty"` // since training began
	ExamplesPerSecond  *float64 `json:"examples_per_second,omitempty"`
}

var columns = []string{"kind", "epoch", "step", "time", "loss", "accuracy", "validation_loss", "validation_accuracy", "top5", "lr", "grad_norm", "loss_scale", "skipped_steps", "examples_per_second"}

func (r Row) record() []string {
	rec := []string{r.Kind, strconv.Itoa(r.Epoch), strconv.Itoa(r.Step), r.Time.Format(time.RFC3339)}
	for _, v := range []*float64{r.Loss, r.Accuracy, r.ValidationLoss, r.ValidationAccuracy, r.Top5, r.LR, r.GradNorm, r.LossScale, r.SkippedSteps, r.ExamplesPerSecond} {
		s := ""
		if v != nil {
			s = strconv.FormatFloat(*v, 'g', -1, 64)
		}
		rec = append(rec, s)
	}
	return rec
}

// rowsOf is the rows that an event adds.
func rowsOf(e trainer.Event) []Row {
	num := func(v float64) *float64 {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return &v
	}
	r := Row{Epoch: e.Epoch, Step: e.Step, Time: e.Time.UTC().Truncate(time.Second)}
	switch e.Kind {
	case trainer.EventStep:
		r.Kind, r.Loss, r.Accuracy, r.LR = "step", num(e.Loss), num(e.Accuracy), num(e.LR)
		if e.GradNorm != 0 {
			r.GradNorm = num(e.GradNorm)
		}
	case trainer.EventEpoch:
		r.Kind, r.Loss, r.Accuracy, r.LR = "epoch", num(e.TrainLoss), num(e.TrainAccuracy), num(e.LR)
		if v := e.Validation; v != nil {
			r.ValidationLoss, r.ValidationAccuracy, r.Top5 = num(v.Loss), num(v.Top1), num(v.Top5)
		}
	case trainer.EventFinish:
		if e.Result == nil || e.Result.Test == nil {
			return nil
		}
		t := e.Result.Test
		r.Kind, r.Loss, r.Accuracy, r.Top5 = "test", num(t.Loss), num(t.Top1), num(t.Top5)
	default:
		return nil
	}
	if e.LossScale != 0 && e.Kind != trainer.EventFinish {
		r.LossScale, r.SkippedSteps = num(e.LossScale), num(float64(e.SkippedSteps))
	}
	if e.ExamplesPerSecond > 0 {
		r.ExamplesPerSecond = num(math.Round(e.ExamplesPerSecond))
	}
	return []Row{r}
}

// key says when two rows are the same: a step that is done again after a resume gives the same numbers.
func (r Row) key() string { return fmt.Sprint(r.Kind, r.Step, r.Epoch) }

// Metrics appends rows to metrics.jsonl and metrics.csv.
type Metrics struct {
	folder *Folder
	lines  *os.File
	table  *os.File
	have   map[string]bool
	err    error
}

// OpenMetrics opens the rows of a run. Those there are stay until Observe learns at which step the run goes on.
func (f *Folder) OpenMetrics() (*Metrics, error) {
	m := &Metrics{folder: f, have: map[string]bool{}}
	if err := m.rewrite(math.MaxInt); err != nil {
		return nil, err
	}
	return m, nil
}

// Rows reads the rows of a run. A last line that was cut off by a crash is left out.
func (f *Folder) Rows() ([]Row, error) {
	b, err := os.ReadFile(f.file(MetricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, writeFailed(err)
	}
	var rows []Row
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<20)
	for n := 1; s.Scan(); n++ {
		var r Row
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			if bytes.HasSuffix(b, s.Bytes()) && !bytes.HasSuffix(b, []byte("\n")) {
				break
			}
			return nil, fault.Usagef("remove the line", "%s:%d: %w", f.file(MetricsFile), n, err)
		}
		rows = append(rows, r)
	}
	if err := s.Err(); err != nil {
		return nil, fault.Usagef("remove the line", "%s:%d: %w", f.file(MetricsFile), len(rows)+1, err)
	}
	return rows, nil
}

// rewrite keeps the rows up to a step, and opens both files behind them. The table is made again from the lines, so that
// a crash between two writes leaves no difference.
func (m *Metrics) rewrite(step int) error {
	m.close()
	rows, err := m.folder.Rows()
	if err != nil {
		return err
	}
	var lines, table bytes.Buffer
	w := csv.NewWriter(&table)
	w.Write(columns)
	clear(m.have)
	for _, r := range rows {
		if r.Step > step || m.have[r.key()] {
			continue
		}
		m.have[r.key()] = true
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		lines.Write(append(b, '\n'))
		w.Write(r.record())
	}
	w.Flush()
	if m.lines, err = m.folder.replace(MetricsFile, lines.Bytes()); err != nil {
		return err
	}
	m.table, err = m.folder.replace(TableFile, table.Bytes())
	return err
}

// replace puts a file in its place by renaming and leaves it open at its end.
func (f *Folder) replace(name string, b []byte) (*os.File, error) {
	temp := f.file("." + name + ".tmp")
	if err := os.WriteFile(temp, b, 0o666); err != nil {
		return nil, writeFailed(err)
	}
	if err := os.Rename(temp, f.file(name)); err != nil {
		return nil, writeFailed(err)
	}
	w, err := os.OpenFile(f.file(name), os.O_WRONLY|os.O_APPEND, 0)
	return w, writeFailed(err)
}

// Observe appends what an event says. The first error is kept for Close: a run does not end because of a row.
func (m *Metrics) Observe(e trainer.Event) {
	if m.err != nil {
		return
	}
	if e.Kind == trainer.EventStart {
		m.err = m.rewrite(e.Step)
		return
	}
	for _, r := range rowsOf(e) {
		if m.have[r.key()] {
			continue
		}
		m.have[r.key()] = true
		if m.err = m.append(r); m.err != nil {
			return
		}
	}
}

func (m *Metrics) append(r Row) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := m.lines.Write(append(b, '\n')); err != nil {
		return writeFailed(err)
	}
	w := csv.NewWriter(m.table)
	w.Write(r.record())
	w.Flush()
	return writeFailed(w.Error())
}

func (m *Metrics) close() error {
	var errs []error
	for _, f := range []*os.File{m.lines, m.table} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	m.lines, m.table = nil, nil
	return errors.Join(errs...)
}

// Close ends writing and gives the first error that there was.
func (m *Metrics) Close() error {
	if err := m.close(); m.err == nil {
		m.err = writeFailed(err)
	}
	return m.err
}
