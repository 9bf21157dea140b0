package bundle

import (
	"errors"
	"fmt"
	"time"
)

// speed measures cases beside PyTorch's. The table has a row for each.
func speed(cases func() []speedCase) func(*Job) error {
	return func(j *Job) error {
		all := cases()
		if j.Dry {
			for i := range all {
				all[i] = all[i].shrunk()
			}
		}
		b, err := newBench(j)
		if err != nil {
			return err
		}
		mine := make([]time.Duration, len(all))
		for i, c := range all {
			if mine[i], err = b.measure(c); err != nil {
				break
			}
		}
		if err = errors.Join(err, b.close()); err != nil {
			return err
		}
		if now, err := clocks(); err == nil {
			j.Figure("right after: %s", now)
		}
		theirs, version, err := torchSpeed(j, all)
		if err != nil {
			version = "no PyTorch: " + err.Error()
		}
		j.Figure("%d cases; beside %s", len(all), version)
		const name = "Kernels by replay of a graph, microseconds (medians), beside PyTorch (cuDNN, channels-last)"
		j.Row(name, "Case", "Of", "acumen", "PyTorch", "acumen is times as fast", "TFLOP/s", "TB/s")
		for i, c := range all {
			us := float64(mine[i].Nanoseconds()) / 1e3
			row := []string{c.String(), c.Comment, fmt.Sprintf("%.1f", us), "-", "-", "-", fmt.Sprintf("%.2f", c.bytes()/us/1e6)}
			if i < len(theirs) && theirs[i] > 0 {
				row[3], row[4] = fmt.Sprintf("%.1f", theirs[i]), fmt.Sprintf("%.2f", theirs[i]/us)
			}
			if f := c.flops(); f > 0 {
				row[5] = fmt.Sprintf("%.1f", f/us/1e6)
			}
			j.Row(name, row...)
		}
		if errors.As(err, new(*skipped)) {
			return nil // what can be measured without PyTorch was
		}
		return err
	}
}
