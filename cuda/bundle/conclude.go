package bundle

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// conclude says how a stage ended: by status and reason if the runner ended it, else by how its process ended, err, and
// what it printed.
func (r *Result) conclude(s Stage, status Status, reason string, err error, out string) {
	tests := countTests(out)
	if status != OK {
		r.Status, r.Reason = status, reason
		if s.Tests != "" {
			r.Reason += tests.where()
		}
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			r.Reason += ": " + err.Error()
		}
		return
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() < 0:
		r.Status, r.Reason = Crashed, exit.Error()
	case err != nil && timedOut(out):
		r.Status, r.Reason = TimedOut, panicLine(out)
	case err != nil && panicLine(out) != "":
		r.Status, r.Reason = Crashed, panicLine(out)
	case err != nil && r.Status != Failed:
		r.Status, r.Reason = Failed, err.Error()
	case err == nil && r.Status == Started:
		r.Status = OK
	}
	if s.Tests == "" {
		return
	}
	r.Figures = append(r.Figures, tests.String())
	switch {
	case r.Status == OK && tests.passed == 0 && tests.skipped == 0:
		r.Status, r.Reason = Failed, "no test has a name that fits "+s.Tests
	case r.Status == Failed && len(tests.failed) > 0:
		r.Reason = strings.Join(tests.failed[:min(5, len(tests.failed))], ", ")
	case r.Status == Crashed || r.Status == TimedOut:
		r.Reason += tests.where()
	}
}

// testCounts are what the lines of `go test -v` tell.
type testCounts struct {
	passed, skipped int
	failed          []string
	last            string // the test that ran when the output ended
}

var testLine = regexp.MustCompile(`(?m)^ *(?:=== (RUN|CONT) +|--- (PASS|FAIL|SKIP): )(\S+)`)

// countTests counts tests; one that has tests of its own counts too.
func countTests(out string) (t testCounts) {
	for _, m := range testLine.FindAllStringSubmatch(out, -1) {
		switch m[2] {
		case "":
			t.last = m[3]
			continue
		case "PASS":
			t.passed++
		case "SKIP":
			t.skipped++
		case "FAIL":
			t.failed = append(t.failed, m[3])
		}
		if t.last == m[3] {
			t.last = ""
		}
	}
	return t
}

// where names the test in which the program ended; after a panic that is the last one that failed.
func (t testCounts) where() string {
	switch {
	case t.last != "":
		return ", in " + t.last
	case len(t.failed) > 0:
		return ", in " + t.failed[len(t.failed)-1]
	}
	return ""
}

func (t testCounts) String() string {
	s := fmt.Sprintf("%d tests passed", t.passed)
	if len(t.failed) > 0 {
		s += fmt.Sprintf(", %d failed", len(t.failed))
	}
	if t.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", t.skipped)
	}
	return s
}

var panics = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*|SIG[A-Z]+: .*|runtime: out of memory.*)$`)

// panicLine is what the Go runtime says first when a process ends by itself.
func panicLine(out string) string { return panics.FindString(out) }

func timedOut(out string) bool {
	return strings.HasPrefix(panicLine(out), "panic: test timed out after")
}

// rounded is a duration as people say it.
func rounded(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Microsecond).String()
}
