package main

import (
	"os"
	"os/exec"
	"syscall"
)

// ownMounts lets a command mount what only it sees.
func ownMounts(c *exec.Cmd) bool {
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	probe := exec.Command(c.Path, "-test.run", "^$")
	probe.SysProcAttr = c.SysProcAttr
	return probe.Run() == nil
}

// mountSmall puts a disk of 60 KiB at dir.
func mountSmall(dir string) bool { return syscall.Mount("none", dir, "tmpfs", 0, "size=60k") == nil }
