package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer/metric"
)

// evaluation is what eval --json prints.
type evaluation struct {
	Checkpoint string       `json:"checkpoint"`
	Data       string       `json:"data"`
	Examples   int          `json:"examples"`
	Loss       float64      `json:"loss"`
	Accuracy   float64      `json:"accuracy"` // 0..1, as all here
	Top5       float64      `json:"top5"`
	Classes    []classScore `json:"classes"`
	Confusion  [][]int      `json:"confusion"` // [class][answer]
}

type classScore struct {
	Class    string  `json:"class"`
	Examples int     `json:"examples"`
	Accuracy float64 `json:"accuracy"`
}

func (a *app) evalCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "eval CHECKPOINT",
		Short: "Evaluate a trained network on its test set",
		Long:  "eval prints loss and accuracy on the test set, accuracy per class, and which classes are taken for which. It needs the checkpoint and the data.",
		Args:  arguments(1, 1, "one checkpoint is expected"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			sets, err := settings(c)
			if err != nil {
				return err
			}
			batch, err := batchOf(c)
			if err != nil {
				return err
			}
			t, err := openTrained(args[0], sets, batch)
			if err != nil {
				return err
			}
			defer t.close(&err)
			_, test, err := loadData(t.cfg)
			if err != nil {
				return err
			}
			if test == nil {
				return fault.Usagef("put pictures into test/CLASS beside train", "data set %s: %s has no test pictures", t.cfg.Data.Name, t.cfg.Data.Dir)
			}
			r, err := t.inference.Evaluate(c.Context(), test)
			if err != nil {
				return err
			}
			e := evaluated(t, test.Name(), r)
			if asJSON {
				enc := json.NewEncoder(a.out)
				enc.SetIndent("", "  ")
				return enc.Encode(e)
			}
			_, err = fmt.Fprint(a.out, e)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addBatch(c)
	addSettings(c, "device", "threads", "data-dir")
	return c
}

func evaluated(t *trained, data string, r *metric.Result) evaluation {
	e := evaluation{Checkpoint: t.path, Data: data, Examples: r.N, Loss: r.Loss, Accuracy: r.Top1, Top5: r.Top5, Confusion: r.Confusion}
	for k, name := range t.meta.ClassNames {
		n := 0
		for _, c := range r.Confusion[k] {
			n += c
		}
		e.Classes = append(e.Classes, classScore{name, n, r.PerClass[k]})
	}
	return e
}

// String is the tables for people. Rows of the confusion matrix are what is right, columns what was answered.
func (e evaluation) String() string {
	var b strings.Builder
	width := len("accuracy")
	for _, c := range e.Classes {
		width = max(width, len(c.Class))
	}
	fmt.Fprintf(&b, "%-*s  %8s  %9s\n", width, "class", "examples", "accuracy")
	for _, c := range e.Classes {
		fmt.Fprintf(&b, "%-*s  %8d  %9s\n", width, c.Class, c.Examples, fmt.Sprintf("%.2f %%", 100*c.Accuracy))
	}
	fmt.Fprintf(&b, "\n%-*s ", width, "confusion")
	cell := 5
	for k := range e.Classes {
		fmt.Fprintf(&b, " %*d", cell, k)
	}
	b.WriteString("\n")
	for k, c := range e.Classes {
		fmt.Fprintf(&b, "%-*s ", width, c.Class)
		for _, n := range e.Confusion[k] {
			fmt.Fprintf(&b, " %*d", cell, n)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\n%d examples of %s, loss %.4f, top-5 %.2f %%\ntest accuracy %.2f %%\n", e.Examples, e.Data, e.Loss, 100*e.Top5, 100*e.Accuracy)
	return b.String()
}
