package bundle

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// Stage is one piece of the run.
type Stage struct {
	Name  string
	About string
	Limit time.Duration // what it may take
	Needs []string      // stages without which it cannot work

	// Tests is the pattern of the program's tests that the stage is, but for those that fit Except; without it Run does the
	// work. Both are in a process of their own.
	Tests, Except string
	Run           func(j *Job) error
}

// Settings are what a person chose; the processes of stages get them too.
type Settings struct {
	Out      string   // folder for results
	Dry      bool     // small sizes, for a stand-in driver
	DataDirs []string // folders that together have CIFAR-10
	Python   string   // with PyTorch, for comparison
	Device   string
}

// Job is a stage at work.
type Job struct {
	Settings
	report *os.File
}

// Figure adds a line to the stage's result.
func (j *Job) Figure(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Println(text)
	j.send(report{Figure: text})
}

// Row adds a row to a table of the summary; all rows of a table have as many cells as its first, the heading.
func (j *Job) Row(table string, cells ...string) {
	fmt.Println(strings.Join(cells, " | "))
	j.send(report{Row: &Row{table, cells}})
}

func (j *Job) send(r report) {
	if j.report == nil {
		return
	}
	if err := r.write(j.report); err != nil {
		fmt.Fprintln(os.Stderr, "bundle: the result line:", err)
	}
}

// pick is size on a GPU and dry in a dry run.
func pick[T any](j *Job, size, dry T) T {
	if j.Dry {
		return dry
	}
	return size
}

// skipped is the error of a stage that does not apply here.
type skipped struct{ reason string }

func (s *skipped) Error() string { return s.reason }

func skip(format string, args ...any) error { return &skipped{fmt.Sprintf(format, args...)} }

// choose gives the stages to run: those of only, or those from one on, or all.
func choose(all []Stage, from string, only []string) ([]Stage, error) {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.Name
	}
	find := func(flag, name string) (int, error) {
		i := slices.Index(names, name)
		if i < 0 {
			hint := "--list shows all"
			if near := nearest.Name(name, names); near != "" {
				hint = "did you mean " + near + "? --list shows all"
			}
			return 0, fault.Usagef(hint, "%s %s: there is no such stage", flag, name)
		}
		return i, nil
	}
	if from != "" && len(only) > 0 {
		return nil, fault.Usagef("give one of them", "--from %s and --only %s", from, strings.Join(only, ","))
	}
	if from != "" {
		i, err := find("--from", from)
		return slices.Clone(all[i:]), err
	}
	if len(only) == 0 {
		return slices.Clone(all), nil
	}
	var keep []int
	for _, name := range only {
		i, err := find("--only", name)
		if err != nil {
			return nil, err
		}
		keep = append(keep, i)
	}
	slices.Sort(keep)
	var some []Stage
	for _, i := range slices.Compact(keep) {
		some = append(some, all[i])
	}
	return some, nil
}
