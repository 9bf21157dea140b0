package report

import (
	"fmt"
	"io"
	"time"

	"github.com/acumen-ml/acumen/trainer"
)

// WriteResult writes the table of a finished run.
func WriteResult(w io.Writer, r *trainer.Result) error {
	line := func(name string, loss float64, rest ...float64) {
		fmt.Fprintf(w, "%10s  %7.4f", name, loss)
		for _, v := range rest {
			fmt.Fprintf(w, "  %8s", fmt.Sprintf("%.2f %%", 100*v))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%10s  %7s  %8s  %8s\n", "", "loss", "top-1", "top-5")
	line("training", r.TrainLoss, r.TrainAccuracy)
	if v := r.Validation; v != nil {
		line("validation", v.Loss, v.Top1, v.Top5)
	}
	if v := r.Test; v != nil {
		line("test", v.Loss, v.Top1, v.Top5)
	}
	what := fmt.Sprintf("%d epochs, %s steps", r.Epochs, thousands(r.Steps))
	if r.Validation != nil {
		what += fmt.Sprintf(", best epoch %d", r.BestEpoch)
	}
	if r.Stopped != "" {
		what += ", ended by " + r.Stopped
	}
	fmt.Fprintf(w, "%s, %s\n", what, Time(time.Duration(r.Seconds*float64(time.Second))))
	if r.Test != nil {
		_, err := fmt.Fprintf(w, "test accuracy %.2f %%\n", 100*r.Test.Top1)
		return err
	}
	return nil
}
