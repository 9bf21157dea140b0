package report

import (
	"fmt"
	"os"
	"time"

	"github.com/acumen-ml/acumen/trainer"
)

// Log keeps what happened, a line each with its time.
type Log struct {
	file   *os.File
	epochs int
	err    error
}

// OpenLog opens the log of a run at its end.
func (f *Folder) OpenLog(epochs int) (*Log, error) {
	w, err := os.OpenFile(f.file(LogFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, writeFailed(err)
	}
	return &Log{file: w, epochs: epochs}, nil
}

// Observe adds an event; steps are in the metrics.
func (l *Log) Observe(e trainer.Event) {
	if e.Kind == trainer.EventStep {
		return
	}
	if s := Line(e, l.epochs); s != "" {
		l.Printf("%s", s)
	}
}

// Printf adds a line. The first error is kept for Close.
func (l *Log) Printf(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.file, "%s %s\n", time.Now().UTC().Format(time.RFC3339), fmt.Sprintf(format, args...))
	}
}

// Close ends the log and gives the first error that there was.
func (l *Log) Close() error {
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	return writeFailed(l.err)
}
