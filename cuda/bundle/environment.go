package bundle

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/acumen-ml/acumen/cuda/driver"
	"github.com/acumen-ml/acumen/cuda/kernels"
	"github.com/acumen-ml/acumen/device"
)

const environmentStage = "environment"

// environment says what machine this is. It fails where the program can use no GPU.
func environment(j *Job) error {
	j.Figure("date: %s", time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	j.Figure("commit: %s, %s, %d CPUs", commit, runtime.Version(), runtime.NumCPU())
	index, err := kernels.Index()
	if err != nil {
		return err
	}
	j.Figure("kernels: %s, for drivers from %d on", index.Compiler, index.Driver)
	for _, line := range nvidiaSMI() {
		j.Figure("nvidia-smi: %s", line)
	}
	for _, tool := range []string{"nvcc", "compute-sanitizer"} {
		out, err := output(exec.Command(tool, "--version"))
		j.Figure("%s: %s", tool, version(tool, out, err))
	}
	out, err := output(j.python("-c", "import platform, torch; print('Python', platform.python_version() + ', torch', torch.__version__, "+
		"'of CUDA', torch.version.cuda + ', cuDNN', torch.backends.cudnn.version() if torch.cuda.is_available() else 'not asked: it sees no GPU')"))
	j.Figure("%s: %s", j.Python, version(j.Python, out, err))
	if b, err := driver.LoadBlas(); err != nil {
		j.Figure("cuBLAS: %s", firstLine(err.Error()))
	} else {
		j.Figure("cuBLAS: %s, %s", b.Version(), b.Path())
	}
	d, err := device.Open(j.Device)
	if err != nil {
		return err
	}
	j.Figure("device: %s %s", d.Name(), device.Describe(d))
	return d.Close()
}

// nvidiaSMI asks for what decides speed: clocks as they are and as they may be, power, MIG, and who else is there.
func nvidiaSMI() []string {
	lines, err := query("name", "driver_version", "memory.total", "pstate", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit", "temperature.gpu", "mig.mode.current", "compute_mode", "ecc.mode.current")
	if err != nil {
		return []string{notThere("nvidia-smi", err)}
	}
	return lines
}

// clocks are those of the first GPU at this moment, with what it draws.
func clocks() (string, error) {
	lines, err := query("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu")
	if err != nil {
		return "", err
	}
	return lines[0], nil
}

// query gives a line for each GPU: the fields by name, with their values.
func query(fields ...string) (lines []string, err error) {
	out, err := output(exec.Command("nvidia-smi", "--query-gpu="+strings.Join(fields, ","), "--format=csv,noheader"))
	if err != nil {
		return nil, err
	}
	for gpu := range strings.Lines(out) {
		var said []string
		for i, v := range strings.Split(strings.TrimSpace(gpu), ", ") {
			if i < len(fields) {
				said = append(said, fields[i]+" "+v)
			}
		}
		lines = append(lines, strings.Join(said, ", "))
	}
	if len(lines) == 0 {
		return nil, errors.New("it names no GPU")
	}
	return lines, nil
}

var versionLine = regexp.MustCompile(`(?i)release|version \d|torch`)

// version is the line of a tool's output that has a version in it.
func version(tool, out string, err error) string {
	if err != nil {
		return notThere(tool, err)
	}
	for line := range strings.Lines(out) {
		if versionLine.MatchString(line) {
			return strings.TrimSpace(line)
		}
	}
	return firstLine(out)
}

// python is a call of Python. In a dry run it must not take the stand-in driver for a GPU.
func (j *Job) python(args ...string) *exec.Cmd {
	cmd := exec.Command(j.Python, args...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if j.Dry {
		cmd.Env = append(cmd.Env, "CUDA_VISIBLE_DEVICES=")
	}
	return cmd
}

func notThere(name string, err error) string {
	if _, e := exec.LookPath(name); e != nil {
		return "not found"
	}
	return firstLine(err.Error())
}

// output is what a command prints, within half a minute; the error has the last line of what it says on its way out.
func output(cmd *exec.Cmd) (string, error) {
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return "", err
	}
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if err != nil {
		if lines := strings.Split(strings.TrimSpace(problems.String()), "\n"); lines[len(lines)-1] != "" {
			err = fmt.Errorf("%s", lines[len(lines)-1])
		}
	}
	return out.String(), err
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
