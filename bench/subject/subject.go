// Package subject does bench's cases with acumen: kernels through the seam of package device, steps as the trainer
// captures them, on data that lies on the device. It is what a user of the packages runs, in this process.
package subject

import (
	"fmt"
	"time"

	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all" // the devices
)

// Subject times cases on one kind of device. It keeps what it made of the last case for the next call.
type Subject struct {
	device string
	c      peer.Case
	t      int
	job    *job
}

// New is a Subject on a device by its name in device.Open.
func New(device string) *Subject { return &Subject{device: device} }

// job is a case that is ready to run.
type job struct {
	call  func() error
	check func() error // after timed calls: that they did what they should; nil: nothing to check
	close func() error // before the device
	dev   device.Device
}

// Prepare makes c ready for calls with so many threads, and forgets the last one.
func (s *Subject) Prepare(c peer.Case, threads int) error {
	if s.job != nil && s.c == c && s.t == threads {
		return nil
	}
	if err := s.Drop(); err != nil {
		return err
	}
	dev, err := device.Open(s.device, device.Options{Threads: threads})
	if err != nil {
		return err
	}
	j, err := prepare(dev, c)
	if err != nil {
		dev.Close()
		return err
	}
	j.dev = dev
	s.job, s.c, s.t = j, c, threads
	return nil
}

// Time makes skip calls of c, then calls of them on the clock, and gives the mean time of one.
func (s *Subject) Time(c peer.Case, threads, skip, calls int) (time.Duration, error) {
	if err := s.Prepare(c, threads); err != nil {
		return 0, err
	}
	if err := s.Run(skip); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := s.Run(calls); err != nil {
		return 0, err
	}
	d := time.Since(began) / time.Duration(calls)
	if s.job.check != nil {
		return d, s.job.check()
	}
	return d, nil
}

// Run makes n calls of the case that is ready, and waits for the last of them.
func (s *Subject) Run(n int) error {
	for range n {
		if err := s.job.call(); err != nil {
			return err
		}
	}
	return s.job.dev.Sync()
}

// Device is what the case that is ready runs on.
func (s *Subject) Device() device.Device { return s.job.dev }

// Drop gives back all memory.
func (s *Subject) Drop() error {
	if s.job == nil {
		return nil
	}
	j := s.job
	s.job = nil
	err := j.close()
	if cerr := j.dev.Close(); err == nil {
		err = cerr
	}
	return err
}

func prepare(dev device.Device, c peer.Case) (*job, error) {
	switch c.Kind {
	case "matmul", "linear", "conv2d", "pass":
		return kernel(dev, c)
	case "step":
		e, err := NewEngine(dev, c, 8, false)
		if err != nil {
			return nil, err
		}
		return &job{call: e.TrainStep, check: func() error { return alive(e, c) }, close: e.Close}, nil
	case "infer":
		return inference(dev, c)
	}
	return nil, lacks("no %s", c.Kind)
}

func lacks(format string, args ...any) error {
	return &peer.LacksError{Peer: "acumen", Reason: fmt.Sprintf(format, args...)}
}
