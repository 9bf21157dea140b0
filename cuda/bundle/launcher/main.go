//go:build linux

// Command launcher is the shell of acumen-gpu-bundle: it carries the program compressed, for a third less to take along,
// unpacks it into a folder of its own, runs it, and removes the folder.
//
//	launcher PROGRAM OUT    makes OUT of itself and the program
//
// What follows the launcher's own bytes in OUT is the program, packed by gzip, the length of that, and a mark.
package main

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

const mark = "acubndl1"

func main() {
	status, err := run(os.Args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "acumen-gpu-bundle: %v\n", err)
		status = 1
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	path, err := os.Executable()
	if err != nil {
		return 1, err
	}
	self, err := os.Open(path)
	if err != nil {
		return 1, err
	}
	defer self.Close()
	packed, err := find(self)
	if err != nil {
		return 1, err
	}
	if packed == nil {
		if len(args) != 3 {
			return 1, errors.New("this launcher carries no program; usage: launcher PROGRAM OUT")
		}
		return 0, pack(self, args[1], args[2])
	}
	dir, err := os.MkdirTemp("", "acumen-gpu-bundle-")
	if err != nil {
		return 1, fmt.Errorf("%w: set TMPDIR to a folder that can be written to", err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "acumen-gpu-bundle")
	if err := unpack(packed, program); err != nil {
		return 1, fmt.Errorf("%w: set TMPDIR to a folder with 60 MB of room", err)
	}
	return start(program, args)
}

// find is the packed program in a file; nil if there is none.
func find(f *os.File) (*io.SectionReader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := info.Size() - int64(8+len(mark))
	tail := make([]byte, 8+len(mark))
	if _, err := f.ReadAt(tail, max(0, end)); err != nil {
		return nil, err
	}
	if string(tail[8:]) != mark {
		return nil, nil
	}
	n := int64(binary.LittleEndian.Uint64(tail))
	if n <= 0 || n > end {
		return nil, errors.New("this file is damaged: take it from where it was made again")
	}
	return io.NewSectionReader(f, end-n, n), nil
}

// pack writes the launcher and the program behind it.
func pack(self *os.File, program, out string) (err error) {
	from, err := os.Open(program)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	begin, err := io.Copy(to, self)
	if err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, from); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	end, err := to.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	_, err = to.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(end-begin)), mark...))
	return err
}

func unpack(packed io.Reader, program string) error {
	z, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	to, err := os.OpenFile(program, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, z) // to the end, where gzip checks its sum
	return errors.Join(err, to.Close())
}

// start runs the program with the launcher's arguments, passes signals on, and gives its exit status.
func start(program string, args []string) (int, error) {
	runtime.LockOSThread() // the kernel ends the program with the thread that started it
	cmd := exec.Command(program, args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("%w: set TMPDIR to a folder from which programs may run", err)
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it may have ended
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if w, ok := exit.Sys().(syscall.WaitStatus); ok && w.Signaled() {
			return 128 + int(w.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}
