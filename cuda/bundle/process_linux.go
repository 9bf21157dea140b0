package bundle

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the process the first of a group of its own, so that all it starts can be killed with it, and lets the
// kernel end it when the runner ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// askTraces makes a Go program print what its goroutines do, and end.
func askTraces(cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGQUIT) }
