package report

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/acumen-ml/acumen/trainer"
)

// WriteResult writes the table of a finished run.
func WriteResult(w io.Writer, r *trainer.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tloss\ttop-1\ttop-5\t")
	fmt.Fprintf(t, "training\t%.4f\t%s\t\t\n", r.TrainLoss, percent(r.TrainAccuracy))
	if v := r.Validation; v != nil {
		fmt.Fprintf(t, "validation\t%.4f\t%s\t%s\t\n", v.Loss, percent(v.Top1), percent(v.Top5))
	}
	if v := r.Test; v != nil {
		fmt.Fprintf(t, "test\t%.4f\t%s\t%s\t\n", v.Loss, percent(v.Top1), percent(v.Top5))
	}
	if err := t.Flush(); err != nil {
		return err
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

func percent(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) }
