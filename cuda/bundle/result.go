package bundle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/acumen-ml/acumen/internal/fault"
)

// Status is how a stage ended.
type Status string

// The ways to end.
const (
	Started    Status = "started" // and, as the last word of a stage, that the machine or the runner ended first
	OK         Status = "ok"
	Failed     Status = "failed"
	Crashed    Status = "crashed" // a signal, a panic
	TimedOut   Status = "timed out"
	Unfinished Status = "unfinished" // the run's own time was over
	Skipped    Status = "skipped"
)

// Result is a line of results.jsonl.
type Result struct {
	Stage   string    `json:"stage"`
	Status  Status    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Time    time.Time `json:"time"` // when it began
	Seconds float64   `json:"seconds"`
	Commit  string    `json:"commit"`
	Dry     bool      `json:"dry,omitempty"`
	Figures []string  `json:"figures,omitempty"`
	Rows    []Row     `json:"rows,omitempty"`
}

// Row is a row of a table of the summary.
type Row struct {
	Table string   `json:"table"`
	Cells []string `json:"cells"`
}

// bad reports whether the result is one of those for which the run fails.
func (r Result) bad() bool { return r.Status != OK && r.Status != Skipped }

// append writes the result as a line of a file and waits until it is on the disk.
func (r Result) append(path string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// readResults gives the last result of each stage in files, in the order in which stages first came.
func readResults(paths ...string) (all []Result, err error) {
	at := map[string]int{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, fault.Usagef("the folder of --out has a results.jsonl", "%v", err)
		}
		lines := bufio.NewReader(f)
		for n := 1; ; n++ {
			line, err := lines.ReadBytes('\n')
			if len(bytes.TrimSpace(line)) > 0 {
				var r Result
				if e := json.Unmarshal(line, &r); e != nil {
					if err == io.EOF {
						break // torn: the machine ended while it was written
					}
					f.Close()
					return nil, fault.Usagef("it is a results.jsonl of this program", "%s:%d: %v", path, n, e)
				}
				if i, ok := at[r.Stage]; ok {
					all[i] = r
				} else {
					at[r.Stage] = len(all)
					all = append(all, r)
				}
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				f.Close()
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		f.Close()
	}
	return all, nil
}

// report is what a stage's process tells the runner through a pipe, a line each.
type report struct {
	Figure string `json:"figure,omitempty"`
	Row    *Row   `json:"row,omitempty"`
	Skip   string `json:"skip,omitempty"`
	Fail   string `json:"fail,omitempty"`
}

func (r report) write(w io.Writer) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// take adds a report to the result.
func (r *Result) take(p report) {
	switch {
	case p.Figure != "":
		r.Figures = append(r.Figures, p.Figure)
	case p.Row != nil:
		r.Rows = append(r.Rows, *p.Row)
	case p.Skip != "":
		r.Status, r.Reason = Skipped, p.Skip
	case p.Fail != "":
		r.Status, r.Reason = Failed, p.Fail
	}
}
