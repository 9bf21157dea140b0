package report

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer"
)

// Progress shows a run to a person while it goes on.
type Progress interface {
	Observe(trainer.Event)
	// Close takes a bar away; what is written after it starts on a line of its own.
	Close()
}

// Modes are the ways to show progress. Auto is a bar on a terminal, and plain lines elsewhere.
var Modes = []string{"auto", "bar", "plain", "none"}

// NewProgress shows progress on w. epochs is how many a run has.
func NewProgress(mode string, w io.Writer, epochs int) Progress {
	mode = resolved(mode, w)
	p := &plain{w: w, epochs: epochs, every: 5 * time.Second}
	switch mode {
	case "bar":
		return &bar{plain: p}
	case "plain":
		return p
	}
	return none{}
}

// resolved is the mode that auto means on w.
func resolved(mode string, w io.Writer) string {
	if mode != "auto" {
		return mode
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		return "bar"
	}
	return "plain"
}

type none struct{}

func (none) Observe(trainer.Event) {}
func (none) Close()                {}

// plain writes a line for each epoch and note, and for steps not more often than every.
type plain struct {
	w      io.Writer
	epochs int
	every  time.Duration
	shown  time.Time
	pace
}

func (p *plain) Observe(e trainer.Event) {
	if e.Kind == trainer.EventStart {
		p.pace = pace{e.Time, e.Step}
	}
	if e.Kind == trainer.EventStep && e.Time.Sub(p.shown) < p.every {
		return
	}
	if s := Line(e, p.epochs); s != "" && e.Kind != trainer.EventCheckpoint {
		if eta, ok := p.remaining(e); ok && e.Kind == trainer.EventStep {
			s += "  ETA " + Time(eta)
		}
		p.shown = e.Time
		fmt.Fprintln(p.w, s)
	}
}

func (p *plain) Close() {}

// bar draws a bar that moves with steps, and writes the other lines above it.
type bar struct {
	*plain
	bar *progressbar.ProgressBar
}

func (b *bar) Observe(e trainer.Event) {
	switch e.Kind {
	case trainer.EventStart:
		b.plain.Observe(e)
		b.bar = progressbar.NewOptions(max(e.Steps, 1), progressbar.OptionSetWriter(b.w), progressbar.OptionSetWidth(20),
			progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "=", SaucerHead: ">", SaucerPadding: " ", BarStart: "[", BarEnd: "]"}))
		b.bar.Describe("epoch 1/" + strconv.Itoa(b.epochs))
		b.set(e.Step)
	case trainer.EventStep:
		if e.Time.Sub(b.shown) < 100*time.Millisecond {
			return
		}
		b.shown = e.Time
		b.bar.Describe(fmt.Sprintf("epoch %d/%d  loss %.4f  accuracy %.1f %%  %s images/s", min(e.Epoch+1, b.epochs), b.epochs, e.Loss, 100*e.Accuracy, thousands(int(e.ExamplesPerSecond))))
		b.set(e.Step)
	case trainer.EventEpoch, trainer.EventNote:
		if b.bar != nil {
			b.bar.Clear()
		}
		b.plain.Observe(e)
		if b.bar != nil {
			b.bar.RenderBlank()
		}
	case trainer.EventFinish:
		b.Close()
	}
}

func (b *bar) set(step int) {
	if step < b.bar.GetMax() { // a bar that is full ends itself
		b.bar.Set(step)
	}
}

func (b *bar) Close() {
	if b.bar != nil {
		b.bar.Clear()
		b.bar.Exit()
		b.bar = nil
	}
}

// Line is an event in words, empty for one that has none.
func Line(e trainer.Event, epochs int) string {
	switch e.Kind {
	case trainer.EventStart:
		s := fmt.Sprintf("%s parameters, %s steps in %d epochs, %s for the network and the optimiser, %s for a step",
			thousands(e.Params), thousands(e.Steps), epochs, device.Size(e.StateBytes), device.Size(e.ArenaBytes))
		if e.MicroBatches > 1 {
			s += fmt.Sprintf(", batches of %s in %s micro-batches", thousands(e.Batch), thousands(e.MicroBatches))
		}
		if e.Step > 0 {
			s += fmt.Sprintf("; going on after step %s", thousands(e.Step))
		}
		return s
	case trainer.EventStep:
		return fmt.Sprintf("epoch %d/%d  step %d/%d  loss %.4f  accuracy %.1f %%  lr %.4g%s  %s images/s", min(e.Epoch+1, epochs), epochs, e.Step, e.Steps, e.Loss, 100*e.Accuracy, e.LR, scaling(e), thousands(int(e.ExamplesPerSecond)))
	case trainer.EventEpoch:
		s := fmt.Sprintf("epoch %d/%d  train loss %.4f  accuracy %.2f %%", e.Epoch, epochs, e.TrainLoss, 100*e.TrainAccuracy)
		if v := e.Validation; v != nil {
			s += fmt.Sprintf("  validation loss %.4f  accuracy %.2f %%", v.Loss, 100*v.Top1)
			if e.Best {
				s += "  (best)"
			}
		}
		return s + scaling(e) + fmt.Sprintf("  %s images/s", thousands(int(e.ExamplesPerSecond)))
	case trainer.EventCheckpoint:
		return "saved " + e.Path
	case trainer.EventNote:
		return e.Text
	}
	return ""
}

// scaling tells the loss scale and how many steps it has skipped, empty where losses are not scaled.
func scaling(e trainer.Event) string {
	if e.LossScale == 0 {
		return ""
	}
	s := "  loss scale " + strconv.FormatFloat(e.LossScale, 'f', -1, 64)
	if e.SkippedSteps > 0 {
		s += fmt.Sprintf(" (%s skipped)", thousands(e.SkippedSteps))
	}
	return s
}

// pace is where a run of the program began.
type pace struct {
	began time.Time
	start int // steps done then
}

// remaining is the time that the steps left will take at the rate of those since the start.
func (p pace) remaining(e trainer.Event) (time.Duration, bool) {
	done := e.Step - p.start
	if done <= 0 || !e.Time.After(p.began) {
		return 0, false
	}
	return time.Duration(float64(e.Time.Sub(p.began)) * float64(e.Steps-e.Step) / float64(done)), true
}

// Time is a duration to the second, as 1h02m03s, 4m05s or 6s; under ten seconds with a tenth.
func Time(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	s := int(d.Round(time.Second).Seconds())
	switch {
	case s >= 3600:
		return fmt.Sprintf("%dh%02dm%02ds", s/3600, s/60%60, s%60)
	case s >= 60:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}

// thousands writes 61706 as 61,706.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
