package report

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"

	"github.com/acumen-ml/acumen/device"
)

// Download shows how files arrive: a bar for each, or a line for every tenth of it.
type Download struct {
	mode  string
	w     io.Writer
	file  string
	tenth int64 // shown last
	bar   *progressbar.ProgressBar
}

// NewDownload shows downloads on w, in a mode of Modes.
func NewDownload(mode string, w io.Writer) *Download {
	return &Download{mode: resolved(mode, w), w: w}
}

// Observe is told that so many bytes of a file are there, of total, which is -1 if unknown.
func (d *Download) Observe(file string, done, total int64) {
	switch d.mode {
	case "bar":
		if file != d.file {
			d.Close()
			d.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(d.w), progressbar.OptionSetDescription(file), progressbar.OptionShowBytes(true),
				progressbar.OptionSetWidth(20), progressbar.OptionThrottle(100_000_000), progressbar.OptionUseANSICodes(true), progressbar.OptionSetPredictTime(true))
		}
		d.bar.Set64(done)
	case "plain":
		tenth := int64(0)
		if total > 0 {
			tenth = 10 * done / total
		}
		if file == d.file && tenth == d.tenth {
			return
		}
		d.tenth = tenth
		if total > 0 {
			fmt.Fprintf(d.w, "%s  %d %%  %s of %s\n", file, 10*tenth, device.Size(int(done)), device.Size(int(total)))
		} else {
			fmt.Fprintf(d.w, "%s  %s\n", file, device.Size(int(done)))
		}
	}
	d.file = file
}

// Close ends the bar's line.
func (d *Download) Close() {
	if d.bar != nil {
		fmt.Fprintln(d.w)
		d.bar = nil
	}
}
