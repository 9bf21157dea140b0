package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machine is what is known about the processor and what else it does.
type machine struct {
	model         string
	family, index int // CPUID's family and model
	cpus          int
	load          float64 // processes that wanted to run in the last minute; -1: not known
}

func thisMachine() machine {
	m := machine{model: runtime.GOARCH, cpus: runtime.NumCPU(), load: -1}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.read(string(b))
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		if first, _, ok := strings.Cut(string(b), " "); ok {
			if x, err := strconv.ParseFloat(first, 64); err == nil {
				m.load = x
			}
		}
	}
	return m
}

// read takes the first processor of Linux's /proc/cpuinfo.
func (m *machine) read(cpuinfo string) {
	first, _, _ := strings.Cut(cpuinfo, "\n\n")
	for line := range strings.Lines(first) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "model name":
			m.model = value
		case "cpu family":
			m.family, _ = strconv.Atoi(value)
		case "model":
			m.index, _ = strconv.Atoi(value)
		}
	}
}
