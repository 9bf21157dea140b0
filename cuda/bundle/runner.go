package bundle

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/acumen-ml/acumen/internal/atomicfile"
)

// Files in the folder of results.
const (
	resultsFile = "results.jsonl"
	logFile     = "log.txt"
	summaryFile = "summary.md"
)

const (
	graceQuit = 3 * time.Second  // from the request for stack traces to the end of a stage that is out of time
	graceKill = 10 * time.Second // a process that hangs in the driver may outlive even that
	leastTime = 20 * time.Second // runner.least
)

// runner runs stages one after the other.
type runner struct {
	Settings
	stages  []Stage
	program string
	budget  time.Duration // of the whole run; 0: no limit
	least   time.Duration // of it must be left for another stage to begin
	say     io.Writer
}

// run gives the program's exit status: 0 if no stage failed, 1 if one did, 3 if time was over before the last one.
func (r *runner) run(ctx context.Context) (status int, err error) {
	runtime.LockOSThread() // the kernel ends the processes of stages with the thread that started them
	defer runtime.UnlockOSThread()
	if err := os.MkdirAll(r.Out, 0o755); err != nil {
		return 1, err
	}
	began, last := time.Now(), map[string]Status{}
	if before, err := readResults(r.path(resultsFile)); err == nil {
		for _, b := range before {
			last[b.Stage] = b.Status
		}
	}
	for i, s := range r.stages {
		limit, cut := s.Limit, false
		if r.budget > 0 {
			left := r.budget - time.Since(began)
			if left < r.least {
				return r.over(status, s.Name), nil
			}
			if left < limit {
				limit, cut = left, true
			}
		}
		fmt.Fprintf(r.say, "[%d/%d] %s: %s, at most %s\n", i+1, len(r.stages), s.Name, s.About, limit.Round(time.Second))
		res := Result{Stage: s.Name, Status: Started, Time: time.Now(), Commit: commit, Dry: r.Dry}
		if err := res.append(r.path(resultsFile)); err != nil {
			return 1, err
		}
		if missing := lacks(s, last); missing != "" {
			res.Status, res.Reason = Skipped, missing
		} else if err := r.one(ctx, s, limit, &res); err != nil {
			return 1, err
		}
		if cut && res.Status == TimedOut {
			res.Status, res.Reason = Unfinished, fmt.Sprintf("the run's %s were over", r.budget)
		}
		res.Seconds = time.Since(res.Time).Seconds()
		last[s.Name] = res.Status
		if err := errors.Join(res.append(r.path(resultsFile)), r.summarise()); err != nil {
			return 1, err
		}
		r.tell(res)
		if ctx.Err() != nil {
			fmt.Fprintf(r.say, "stopped; go on with --from %s\n", s.Name)
			return 1, nil
		}
		if res.Status == Unfinished {
			return r.over(status, s.Name), nil
		}
		if res.bad() {
			status = 1
		}
	}
	return status, nil
}

func (r *runner) path(name string) string { return filepath.Join(r.Out, name) }

func (r *runner) over(status int, next string) int {
	fmt.Fprintf(r.say, "the run's %s are over; go on with --from %s\n", r.budget, next)
	return max(status, 3)
}

func (r *runner) tell(res Result) {
	fmt.Fprintf(r.say, "      %s, %.1f s", res.Status, res.Seconds)
	if res.Reason != "" {
		fmt.Fprintf(r.say, ": %s", res.Reason)
	}
	fmt.Fprintln(r.say)
	for _, f := range res.Figures {
		fmt.Fprintf(r.say, "      %s\n", f)
	}
}

// lacks says which stage that s needs has not passed. One that never ran is taken to be all right.
func lacks(s Stage, last map[string]Status) string {
	for _, n := range s.Needs {
		if st, ok := last[n]; ok && st != OK {
			return fmt.Sprintf("it needs stage %s, which ended as: %s", n, st)
		}
	}
	return ""
}

// one runs a stage in a process of its own and waits for its end, but not for ever.
func (r *runner) one(ctx context.Context, s Stage, limit time.Duration, res *Result) error {
	log, err := os.OpenFile(r.path(logFile), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "\n==== %s %s\n", s.Name, res.Time.Format(time.DateTime))
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	pipe, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer pipe.Close()
	cmd := exec.Command(r.program, r.arguments(s, limit)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{theirs}
	ownGroup(cmd)
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		res.Status, res.Reason = Failed, err.Error()
		return nil
	}
	reports := make(chan []report, 1)
	go func() { reports <- readReports(pipe) }()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	var waited error
	status, reason := OK, ""
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case waited = <-ended:
	case <-ctx.Done():
		status, reason = Unfinished, "stopped"
		waited = end(cmd, ended, 0)
	case <-timer.C:
		status, reason = TimedOut, fmt.Sprintf("after %s", limit.Round(time.Millisecond))
		waited = end(cmd, ended, graceQuit)
	}
	killGroup(cmd) // what it left running
	pipe.SetReadDeadline(time.Now().Add(2 * time.Second))
	for _, p := range <-reports {
		res.take(p)
	}
	out, err := tail(log, from)
	if err != nil {
		return err
	}
	res.conclude(s, status, reason, waited, out)
	return nil
}

// arguments are those of a stage's process.
func (r *runner) arguments(s Stage, limit time.Duration) []string {
	if s.Tests != "" {
		args := []string{"-test.v", "-test.run=" + s.Tests, "-test.skip=" + s.Except, "-test.timeout=" + (limit - limit/20).String()}
		if r.Dry {
			args = append(args, "-test.short")
		}
		return args
	}
	return append([]string{stageCommand, s.Name}, r.Settings.arguments()...)
}

// end ends a process and its group: first it is asked for its stack traces, then killed. What cannot be killed is left.
func end(cmd *exec.Cmd, ended <-chan error, grace time.Duration) error {
	if grace > 0 {
		askTraces(cmd)
		select {
		case err := <-ended:
			return err
		case <-time.After(grace):
		}
	}
	killGroup(cmd)
	select {
	case err := <-ended:
		return err
	case <-time.After(graceKill):
		return errors.New("it does not even end when it is killed: it hangs in the driver")
	}
}

func readReports(r io.Reader) (all []report) {
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadBytes('\n')
		var p report
		if json.Unmarshal(line, &p) == nil {
			all = append(all, p)
		}
		if err != nil {
			return all
		}
	}
}

// tail is what was logged from a place on, of much only the end.
func tail(log *os.File, from int64) (string, error) {
	to, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	const most = 64 << 20
	from = max(from, to-most)
	b := make([]byte, max(0, to-from))
	n, err := log.ReadAt(b, from)
	if err == io.EOF {
		err = nil
	}
	return string(b[:n]), err
}

// summarise writes the summary of all results in the folder.
func (r *runner) summarise() error {
	all, err := readResults(r.path(resultsFile))
	if err != nil {
		return err
	}
	return atomicfile.Write(atomicfile.OS{}, r.path(summaryFile), func(w io.Writer) error {
		_, err := io.WriteString(w, summary(all))
		return err
	})
}
