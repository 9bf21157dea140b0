package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/internal/fault"
)

// The test program is its own bundle: as the child of a runner it runs one of these stages.
var testStages = []Stage{
	{Name: "good", About: "passes", Limit: time.Minute, Run: func(j *Job) error {
		fmt.Println("this is in the log")
		j.Figure("%d %% right", 42)
		j.Row("Speeds", "Case", "us")
		j.Row("Speeds", "a|b", "7")
		return nil
	}},
	{Name: "bad", About: "fails", Limit: time.Minute, Run: func(j *Job) error {
		j.Figure("so far so good")
		return fault.Failuref("hit it", "the loss is too %s", "high")
	}},
	{Name: "panics", About: "panics", Limit: time.Minute, Run: func(*Job) error { panic("out of luck") }},
	{Name: "killed", About: "ends by a signal", Limit: time.Minute, Run: func(*Job) error {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		time.Sleep(time.Minute)
		return nil
	}},
	{Name: "hangs", About: "hangs, with a child", Limit: 700 * time.Millisecond, Run: func(j *Job) error {
		child := exec.Command("sleep", "1000")
		if err := child.Start(); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(j.Out, "pid"), []byte(strconv.Itoa(child.Process.Pid)), 0o644); err != nil {
			return err
		}
		j.Figure("half of it")
		theStageHangsHere()
		return nil
	}},
	{Name: "elsewhere", About: "does not apply", Limit: time.Minute, Run: func(*Job) error { return skip("no moon tonight") }},
	{Name: "needy", About: "needs bad", Limit: time.Minute, Needs: []string{"bad"}, Run: func(*Job) error { return nil }},
	{Name: "content", About: "needs good", Limit: time.Minute, Needs: []string{"good", "never run"}, Run: func(j *Job) error {
		// What came before is on the disk by now, and that this one has begun.
		all, err := readResults(filepath.Join(j.Out, resultsFile))
		if err != nil {
			return err
		}
		for _, r := range all {
			j.Figure("%s %s", r.Stage, r.Status)
		}
		return nil
	}},
	{Name: "tests", About: "tests that pass and skip", Limit: time.Minute, Tests: "^TestAsStage$/^(pass|skip)$"},
	{Name: "except", About: "tests but for those that fail", Limit: time.Minute, Tests: "^TestAsStage$", Except: "^TestAsStage$/^(fail|hang|panic)$"},
	{Name: "red", About: "tests that fail", Limit: time.Minute, Tests: "^TestAsStage$/^(pass|fail)$"},
	{Name: "none", About: "no tests", Limit: time.Minute, Tests: "^TestNoSuchThing$"},
	{Name: "slow", About: "a test that hangs", Limit: time.Second, Tests: "^TestAsStage$/^hang$"},
	{Name: "broken", About: "a test that panics", Limit: time.Minute, Tests: "^TestAsStage$/^panic$"},
}

//go:noinline
func theStageHangsHere() { time.Sleep(time.Hour) }

const asBundle = "TEST_AS_BUNDLE"

func TestMain(m *testing.M) {
	if os.Getenv(asBundle) != "" && len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(command(os.Args[1:], testStages, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestAsStage(t *testing.T) {
	if os.Getenv(asBundle) == "" {
		t.Skip("for stages of TestRunner")
	}
	t.Run("pass", func(*testing.T) {})
	t.Run("skip", func(t *testing.T) { t.Skip("today") })
	t.Run("fail", func(t *testing.T) { t.Error("wrong number") })
	t.Run("hang", func(*testing.T) { time.Sleep(time.Hour) })
	t.Run("panic", func(*testing.T) { panic("no way") })
}

// bundleRun runs the program with arguments. Its results are in dir.
func bundleRun(t *testing.T, dir string, args ...string) (said string, status int) {
	if runtime.GOOS != "linux" {
		t.Skip("process groups are Linux's here")
	}
	cmd := exec.Command(os.Args[0], append([]string{"--out", dir}, args...)...)
	cmd.Env = append(os.Environ(), asBundle+"=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func resultsOf(t *testing.T, dir string) map[string]Result {
	all, err := readResults(filepath.Join(dir, resultsFile))
	require.NoError(t, err)
	by := map[string]Result{}
	for _, r := range all {
		by[r.Stage] = r
	}
	return by
}

func TestRunner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	said, status := bundleRun(t, dir)
	t.Log(said)
	assert.Equal(t, 1, status)
	by := resultsOf(t, dir)
	require.Len(t, by, len(testStages), "every stage has a result")

	for name, want := range map[string]struct {
		status Status
		reason string // a pattern
	}{
		"good": {OK, `^$`}, "bad": {Failed, `^the loss is too high$`}, "panics": {Crashed, `^panic: out of luck`}, "killed": {Crashed, `segmentation violation|SIGSEGV`},
		"hangs": {TimedOut, `^after 700ms$`}, "elsewhere": {Skipped, `^no moon tonight$`}, "needy": {Skipped, `^it needs stage bad, which ended as: failed$`}, "content": {OK, `^$`},
		"tests": {OK, `^$`}, "except": {OK, `^$`}, "red": {Failed, `TestAsStage/fail`}, "none": {Failed, `no test has a name that fits \^TestNoSuchThing\$`},
		"slow": {TimedOut, `in TestAsStage/hang$`}, "broken": {Crashed, `^panic: no way.*, in TestAsStage/panic$`},
	} {
		assert.Equal(t, want.status, by[name].Status, "%s: %s", name, by[name].Reason)
		assert.Regexp(t, want.reason, by[name].Reason, name)
		assert.Contains(t, said, name)
	}
	assert.Equal(t, []string{"42 % right"}, by["good"].Figures)
	assert.Equal(t, []Row{{"Speeds", []string{"Case", "us"}}, {"Speeds", []string{"a|b", "7"}}}, by["good"].Rows)
	assert.Equal(t, []string{"so far so good"}, by["bad"].Figures)
	assert.Equal(t, []string{"half of it"}, by["hangs"].Figures, "what it said before it hung is kept")
	assert.Less(t, by["hangs"].Seconds, 30.0)
	assert.Equal(t, []string{"good ok", "bad failed", "panics crashed", "killed crashed", "hangs timed out", "elsewhere skipped", "needy skipped", "content started"}, by["content"].Figures)
	assert.Equal(t, []string{"2 tests passed, 1 skipped"}, by["tests"].Figures)
	assert.Equal(t, []string{"1 tests passed, 2 failed"}, by["red"].Figures)

	// The child of the stage that hung is gone with it: its number is nobody's, or a corpse's that none has buried.
	b, err := os.ReadFile(filepath.Join(dir, "pid"))
	require.NoError(t, err)
	assert.Eventually(t, func() bool {
		stat, err := os.ReadFile("/proc/" + string(b) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, 5*time.Second, 20*time.Millisecond)

	log, err := os.ReadFile(filepath.Join(dir, logFile))
	require.NoError(t, err)
	assert.Contains(t, string(log), "==== good")
	assert.Contains(t, string(log), "this is in the log")
	assert.Contains(t, string(log), "theStageHangsHere", "the stacks of what hung")
	assert.Contains(t, string(log), "hint: hit it")

	made, err := os.ReadFile(filepath.Join(dir, summaryFile))
	require.NoError(t, err)
	assert.Contains(t, string(made), "14 stages: 4 passed, 8 failed, 2 skipped.")
	assert.Contains(t, string(made), "| bad | failed | ")
	assert.Contains(t, string(made), "| a\\|b | 7 |")
}

func TestFromAndOnly(t *testing.T) {
	dir := t.TempDir()
	said, status := bundleRun(t, dir, "--only", "content,good")
	assert.Equal(t, 0, status, said)
	assert.Equal(t, []string{"good ok", "content started"}, resultsOf(t, dir)["content"].Figures, "in their own order")

	// A second run adds to the first one's results, which count for those that need them.
	said, status = bundleRun(t, dir, "--only", "bad")
	assert.Equal(t, 1, status, said)
	said, status = bundleRun(t, dir, "--only", "needy")
	assert.Equal(t, 0, status, said)
	assert.Equal(t, Skipped, resultsOf(t, dir)["needy"].Status)
	said, status = bundleRun(t, t.TempDir(), "--only", "needy")
	assert.Equal(t, 0, status, said)
	assert.Contains(t, said, "ok,", "where bad never ran it is not known to fail")

	said, status = bundleRun(t, dir, "--from", "broken")
	assert.Equal(t, 1, status)
	assert.Contains(t, said, "[1/1] broken")

	for _, c := range []struct {
		args []string
		say  []string
	}{
		{[]string{"--from", "contents"}, []string{"--from contents: there is no such stage", "hint: did you mean content?"}},
		{[]string{"--only", "good,zzzzzz"}, []string{"--only zzzzzz: there is no such stage", "hint: --list shows all"}},
		{[]string{"--only", "good", "--from", "bad"}, []string{"give one of them"}},
		{[]string{"good"}, []string{`"good" is no flag`}},
		{[]string{"--frm", "good"}, []string{"flag provided but not defined: -frm"}},
		{[]string{"--summary", "/nowhere/results.jsonl"}, []string{"no such file"}},
	} {
		said, status := bundleRun(t, dir, c.args...)
		assert.Equal(t, 2, status, "%v: %s", c.args, said)
		for _, s := range c.say {
			assert.Contains(t, said, s)
		}
	}
	said, status = bundleRun(t, dir, "--list")
	assert.Equal(t, 0, status)
	assert.Equal(t, len(testStages), strings.Count(said, "\n"))
	said, status = bundleRun(t, dir, "--help")
	assert.Equal(t, 0, status)
	assert.Contains(t, said, "usage: acumen-gpu-bundle")
}

func TestBudget(t *testing.T) {
	dir := t.TempDir()
	said, status := bundleRun(t, dir, "--only", "good,slow,broken", "--budget", "1s")
	assert.Equal(t, 3, status)
	assert.Contains(t, said, "the run's 1s are over; go on with --from good")
	assert.NoFileExists(t, filepath.Join(dir, resultsFile))

	// A stage that the budget cuts short is no failure: it is the one to go on with.
	hang := testStages[4]
	hang.Limit = time.Hour
	r := &runner{Settings: Settings{Out: dir}, stages: []Stage{testStages[0], hang, testStages[1]}, program: os.Args[0], budget: 2 * time.Second, say: &bytes.Buffer{}}
	t.Setenv(asBundle, "1")
	began := time.Now()
	status, err := r.run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, status)
	assert.Less(t, time.Since(began), 30*time.Second)
	assert.Contains(t, r.say.(*bytes.Buffer).String(), "go on with --from hangs")
	by := resultsOf(t, dir)
	assert.Equal(t, Unfinished, by["hangs"].Status)
	assert.NotContains(t, by, "bad")
}

func TestStopped(t *testing.T) {
	dir := t.TempDir()
	if runtime.GOOS != "linux" {
		t.Skip("signals")
	}
	cmd := exec.Command(os.Args[0], "--out", dir, "--only", "hangs,elsewhere")
	cmd.Env = append(os.Environ(), asBundle+"=1")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "pid"))
		return err == nil
	}, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	assert.Error(t, cmd.Wait())
	by := resultsOf(t, dir)
	assert.Contains(t, []Status{Unfinished, TimedOut}, by["hangs"].Status)
	assert.NotContains(t, by, "elsewhere")
}

func TestResultsFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.jsonl")
	for _, r := range []Result{{Stage: "a", Status: Started}, {Stage: "a", Status: OK}, {Stage: "b", Status: Started}} {
		require.NoError(t, r.append(path))
	}
	other := filepath.Join(dir, "other.jsonl")
	require.NoError(t, Result{Stage: "b", Status: Failed}.append(other))
	f, err := os.OpenFile(other, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"stage": "c", "stat`) // the machine ended here
	require.NoError(t, err)
	require.NoError(t, f.Close())
	all, err := readResults(path, other)
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, []Status{OK, Failed}, []Status{all[0].Status, all[1].Status}, "the last word of each")
	require.NoError(t, os.WriteFile(other, []byte("nonsense\n"), 0o644))
	_, err = readResults(path, other)
	assert.ErrorContains(t, err, "other.jsonl:1")
}
