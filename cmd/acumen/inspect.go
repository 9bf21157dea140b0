package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/acumen-ml/acumen/configs"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/trainer/checkpoint"
)

func (a *app) inspectCommand() *cobra.Command {
	var input string
	var classes int
	c := &cobra.Command{
		Use:   "inspect CHECKPOINT|CONFIG|MODEL",
		Short: "Show the layers of a network, and what a checkpoint holds",
		Long:  "inspect prints the table of layers of a checkpoint, a configuration or a model of the zoo; of a checkpoint also what it says about its training.",
		Args:  arguments(1, 1, "one checkpoint, configuration or model is expected"),
		RunE: func(c *cobra.Command, args []string) error {
			net, err := a.inspected(args[0], input, classes)
			if err != nil {
				return err
			}
			return model.Summary(net, a.out)
		},
	}
	c.Flags().StringVar(&input, "input", "", "`HxWxC`: pictures that a MODEL reads; default 28x28x1 for those made for MNIST, else 32x32x3")
	c.Flags().IntVar(&classes, "classes", 10, "`N`: classes that a MODEL tells apart")
	return c
}

// inspected finds the network that arg names, and prints what is known beyond its layers.
func (a *app) inspected(arg, input string, classes int) (*model.Network, error) {
	isConfig := strings.HasSuffix(arg, ".yaml") || strings.HasSuffix(arg, ".yml")
	if _, ok := configs.Read(arg); ok || isConfig {
		cfg, err := resolve(arg, nil)
		if err != nil {
			return nil, err
		}
		return networkOf(cfg)
	}
	if slices.Contains(model.Names(), arg) {
		if input == "" {
			input = "32x32x3"
			if strings.HasPrefix(arg, "lenet") || arg == "mlp" {
				input = "28x28x1"
			}
		}
		size, err := pictureSize(input)
		if err != nil {
			return nil, err
		}
		return model.New(arg, size, classes)
	}
	if _, err := os.Stat(arg); err != nil {
		return nil, fault.Usagef("give a checkpoint, a configuration, or a model: "+strings.Join(model.Names(), ", "), "%s is no file, and no model of the zoo", arg)
	}
	ck, err := checkpoint.Load(arg)
	if err != nil {
		return nil, err
	}
	if err := a.describe(arg, ck); err != nil {
		return nil, err
	}
	return ck.Network()
}

// pictureSize reads 32x32x3.
func pictureSize(s string) (size [3]int, err error) {
	parts := strings.Split(s, "x")
	if len(parts) == 3 {
		for i, p := range parts {
			if size[i], err = strconv.Atoi(p); err != nil || size[i] < 1 || size[i] > 1<<16 {
				break
			}
			if i == 2 {
				return size, nil
			}
		}
	}
	return size, fault.Usagef("write height, width and channels, such as 32x32x3", "--input %s: a size is expected", s)
}

// describe prints what a checkpoint says beyond its layers.
func (a *app) describe(path string, ck *checkpoint.Checkpoint) error {
	m := ck.Meta
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("checkpoint", "%s (format %d)", path, m.Version)
	row("model", "%s", m.ModelName)
	row("pictures", "%dx%dx%d, %s, mean %v, deviation %v", m.Input[0], m.Input[1], m.Input[2], m.Color, m.Mean, m.Std)
	row("classes", "%s", strings.Join(m.ClassNames, ", "))
	row("trained on", "%s, loss %s, seed %d, %s", m.Data, m.Loss, m.Seed, m.Precision)
	row("optimiser", "%s, state %s", m.Optimizer, strings.Join(m.States, ", "))
	if ck.Split != nil {
		row("validation", "%d examples, digest %.12s", len(ck.Split.Indices), ck.Split.Digest)
	}
	fmt.Fprintln(w)
	return w.Flush()
}
