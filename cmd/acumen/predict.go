package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/trainer/data"
)

// guess is one class and how likely it is.
type guess struct {
	Class       string  `json:"class"`
	Probability float64 `json:"probability"`
}

// prediction is what a network says about a file.
type prediction struct {
	File    string  `json:"file"`
	Classes []guess `json:"classes"` // the likeliest first
}

func (a *app) predictCommand() *cobra.Command {
	var top int
	var asJSON, resize bool
	c := &cobra.Command{
		Use:   "predict CHECKPOINT FILE...",
		Short: "Tell what pictures show",
		Long:  "predict prints the likeliest classes of pictures (PNG, JPEG) with their probabilities. It needs nothing but the checkpoint.",
		Args:  arguments(2, -1, "a checkpoint and at least one picture are expected"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if top < 1 {
				return fault.Usagef("write --top 3", "--top %d: at least one class is printed", top)
			}
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
			all, err := t.predict(args[1:], resize, top)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(a.out)
				e.SetIndent("", "  ")
				return e.Encode(all)
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, p := range all {
				fmt.Fprint(w, p.File)
				for _, g := range p.Classes {
					fmt.Fprintf(w, "\t%s\t%.2f %%", g.Class, 100*g.Probability)
				}
				fmt.Fprintln(w)
			}
			return w.Flush()
		},
	}
	c.Flags().IntVar(&top, "top", 3, "`N`: how many classes to print of each picture")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&resize, "resize", false, "bring pictures of another size to that of the network")
	addBatch(c)
	addSettings(c, "device", "threads")
	return c
}

// predict runs the network on files, in batches, and gives the top classes of each.
func (t *trained) predict(files []string, resize bool, top int) ([]prediction, error) {
	const batch = 64
	all := []prediction{}
	for part := range slices.Chunk(files, batch) {
		var images []byte
		for _, f := range part {
			px, err := data.Picture(f, t.net.Input, resize)
			if err != nil {
				return nil, fault.Usagef("give PNG or JPEG pictures of the size that the network was trained on, or use --resize", "%w", err)
			}
			images = append(images, px...)
		}
		rows, err := t.inference.Predict(images)
		if err != nil {
			return nil, err
		}
		for i, row := range rows {
			p := prediction{File: part[i]}
			for k, v := range row {
				p.Classes = append(p.Classes, guess{t.meta.ClassNames[k], v})
			}
			slices.SortStableFunc(p.Classes, func(x, y guess) int {
				switch {
				case x.Probability > y.Probability:
					return -1
				case x.Probability < y.Probability:
					return 1
				}
				return 0
			})
			p.Classes = p.Classes[:min(top, len(p.Classes))]
			all = append(all, p)
		}
	}
	return all, nil
}
