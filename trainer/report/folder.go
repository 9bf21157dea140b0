// Package report keeps what a run leaves behind: its folder, its rows of metrics, its log, and what a person sees of it
// while it goes on and at its end.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer"
)

// Names of the files in a run folder, beside the checkpoints.
const (
	ConfigFile      = "config.yaml"
	EnvironmentFile = "environment.json"
	ResultFile      = "result.json"
	LogFile         = "log.txt"
	MetricsFile     = "metrics.jsonl"
	TableFile       = "metrics.csv"
)

// Folder is the folder of one run.
type Folder struct{ Path string }

const writeHint = "choose a folder that you may write to, with --run DIR or run.root"

// Create makes the folder root/name-NNN, NNN being one more than the highest there is. Programs that do so at the same
// time get different folders.
func Create(root, name string) (*Folder, error) {
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, fault.Failuref(writeHint, "run folder: %w", err)
	}
	n, err := highest(root, name)
	if err != nil {
		return nil, err
	}
	for {
		n++
		path := filepath.Join(root, fmt.Sprintf("%s-%03d", name, n))
		err := os.Mkdir(path, 0o777)
		if err == nil {
			return &Folder{path}, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fault.Failuref(writeHint, "run folder: %w", err)
		}
	}
}

// Newest is the folder root/name-NNN of the highest number; ok is false if there is none.
func Newest(root, name string) (f *Folder, ok bool, err error) {
	n, err := highest(root, name)
	if err != nil || n == 0 {
		return nil, false, err
	}
	return &Folder{filepath.Join(root, fmt.Sprintf("%s-%03d", name, n))}, true, nil
}

func highest(root, name string) (int, error) {
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fault.Failuref(writeHint, "run folder: %w", err)
	}
	numbered := regexp.MustCompile("^" + regexp.QuoteMeta(name) + `-([0-9]{3,9})$`)
	top := 0
	for _, e := range entries {
		if m := numbered.FindStringSubmatch(e.Name()); m != nil {
			n, _ := strconv.Atoi(m[1])
			top = max(top, n)
		}
	}
	return top, nil
}

// At is the folder at path, made if it is not there.
func At(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, fault.Failuref(writeHint, "run folder: %w", err)
	}
	return &Folder{path}, nil
}

// Used reports whether a run was started in the folder.
func (f *Folder) Used() bool {
	_, err := os.Stat(f.file(ConfigFile))
	return err == nil
}

func (f *Folder) file(name string) string { return filepath.Join(f.Path, name) }

// WriteConfig stores the resolved configuration of a new run. One that is there stays: it is an error.
func (f *Folder) WriteConfig(text string) error {
	w, err := os.OpenFile(f.file(ConfigFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fault.Failuref(writeHint, "run folder: %w", err)
	}
	_, err = w.WriteString(text)
	return writeFailed(errors.Join(err, w.Close()))
}

// Config is the configuration that the run was started with.
func (f *Folder) Config() (name string, text []byte, err error) {
	text, err = os.ReadFile(f.file(ConfigFile))
	if err != nil {
		err = fault.Usagef("give the folder of a run, or start one without --resume", "run folder: %w", err)
	}
	return f.file(ConfigFile), text, err
}

// Environment is what a start of a run ran on.
type Environment struct {
	Time    time.Time `json:"time"`
	Command []string  `json:"command"`
	Version string    `json:"acumen"`
	Commit  string    `json:"commit,omitempty"`
	Go      string    `json:"go"`
	System  string    `json:"system"` // linux/amd64
	CPU     string    `json:"cpu"`
	CPUs    int       `json:"cpus"`
	Threads int       `json:"threads"`
	Device  string    `json:"device"` // one line about it
}

// AddEnvironment adds a start to the list in the folder.
func (f *Folder) AddEnvironment(e Environment) error {
	var all []Environment
	if b, err := os.ReadFile(f.file(EnvironmentFile)); err == nil {
		if err := json.Unmarshal(b, &all); err != nil {
			return fault.Usagef("remove the file", "%s: %w", f.file(EnvironmentFile), err)
		}
	}
	return f.writeJSON(EnvironmentFile, append(all, e))
}

// WriteResult stores the result of a finished run, without its profile.
func (f *Folder) WriteResult(r *trainer.Result) error {
	kept := *r
	kept.Profile = nil
	return f.writeJSON(ResultFile, kept)
}

// Result is the result of the run, nil if it is not finished.
func (f *Folder) Result() (*trainer.Result, error) {
	b, err := os.ReadFile(f.file(ResultFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	r := &trainer.Result{}
	if err == nil {
		err = json.Unmarshal(b, r)
	}
	if err != nil {
		return nil, fault.Usagef("remove the file and resume: it is made again from the last checkpoint", "%s: %w", f.file(ResultFile), err)
	}
	return r, nil
}

// writeJSON puts a whole file in its place, by renaming.
func (f *Folder) writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	temp := f.file("." + name + ".tmp")
	if err := os.WriteFile(temp, append(b, '\n'), 0o666); err != nil {
		return writeFailed(err)
	}
	return writeFailed(os.Rename(temp, f.file(name)))
}

// writeFailed gives an error of writing to the run folder its hint.
func writeFailed(err error) error {
	if err == nil {
		return nil
	}
	return fault.Failuref("see whether the disk is full and the folder may be written to; then go on with --resume", "run folder: %w", err)
}
