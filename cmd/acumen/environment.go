package main

import (
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer/report"
)

// environment is what this start of a run runs on.
func (a *app) environment(j *job) report.Environment {
	v, commit := versions()
	threads := j.cfg.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return report.Environment{
		Time: time.Now().UTC().Truncate(time.Second), Command: append([]string{"acumen"}, a.args...), Version: v, Commit: commit,
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, CPU: processor(), CPUs: runtime.NumCPU(), Threads: threads,
		Device: device.Describe(j.dev),
	}
}

// processor is the name of the CPU where the system tells it in a file, else its architecture.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
