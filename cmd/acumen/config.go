package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/acumen-ml/acumen/configs"
	"github.com/acumen-ml/acumen/internal/config"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// ownFlags are flags that set one key each.
var ownFlags = []struct{ name, key, value, usage string }{
	{"device", "device", "NAME", "where to compute: auto, cpu, cuda, cuda:N"},
	{"threads", "threads", "N", "threads of the CPU; 0 takes all"},
	{"seed", "seed", "N", "seed of initial weights, order and augmentation"},
	{"data-dir", "data.dir", "DIR", "the folder with the data"},
	{"progress", "progress", "MODE", "auto, bar, plain or none"},
}

// addSettings gives a command the flags that change its configuration, names being those of ownFlags that it has.
func addSettings(c *cobra.Command, names ...string) {
	c.Flags().StringArray("set", nil, "`KEY=VALUE`: set a key of the configuration, such as trainer.epochs=3; may be repeated")
	for _, f := range ownFlags {
		for _, n := range names {
			if n == f.name {
				c.Flags().String(f.name, "", "`"+f.value+"`: "+f.usage+" (key "+f.key+")")
			}
		}
	}
}

// flagHint leads from a flag that a command does not have to the key or flag that may be meant, and is empty if none is.
func flagHint(c *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return ""
	}
	name := unknown.GetSpecifiedName()
	if key := config.KeyNamed(strings.ReplaceAll(name, "-", "_")); key != "" && c.Flags().Lookup("set") != nil {
		for _, f := range ownFlags {
			if f.key == key && c.Flags().Lookup(f.name) != nil {
				return fmt.Sprintf("write --%s; ", f.name)
			}
		}
		return fmt.Sprintf("write --set %s=...; ", key)
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if s := nearest.Name(name, names); s != "" {
		return fmt.Sprintf("the nearest flag is --%s; ", s)
	}
	return ""
}

// settings reads those flags. A flag of its own counts more than --set.
func settings(c *cobra.Command) ([]config.Setting, error) {
	var out []config.Setting
	sets, err := c.Flags().GetStringArray("set")
	if err != nil {
		return nil, err
	}
	for _, s := range sets {
		x, err := config.ParseSet(s)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	for _, f := range ownFlags {
		if p := c.Flags().Lookup(f.name); p != nil && p.Changed {
			out = append(out, config.Setting{Key: f.key, Value: p.Value.String(), Label: "--" + f.name})
		}
	}
	return out, nil
}

// readConfig finds the configuration that arg names: a file, or one that is in the program, such as mnist/lenet5.
func readConfig(arg string) (*config.File, error) {
	text, err := os.ReadFile(arg)
	if err == nil {
		return &config.File{Name: arg, Text: text}, nil
	}
	if text, ok := configs.Read(arg); ok {
		return &config.File{Name: strings.TrimSuffix(arg, ".yaml") + ".yaml", Text: text}, nil
	}
	if !os.IsNotExist(err) {
		return nil, fault.Usagef("give a YAML file that you may read", "configuration: %w", err)
	}
	hint := "give a YAML file, or one that is in the program: " + strings.Join(configs.Names(), ", ")
	if s := nearest.Name(strings.TrimSuffix(arg, ".yaml"), configs.Names()); s != "" {
		hint = "the nearest that is in the program is " + s
	}
	return nil, fault.Usagef(hint, "configuration %s: there is no such file", arg)
}

// resolve reads the configuration arg, by default lenet5 on MNIST, and puts the environment and settings over it. A run
// gets its name here if the configuration gives none.
func resolve(arg string, sets []config.Setting) (*config.Config, error) {
	if arg == "" {
		arg = "mnist/lenet5"
	}
	file, err := readConfig(arg)
	if err != nil {
		return nil, err
	}
	c, err := config.Load(file, sets)
	if err != nil {
		return nil, err
	}
	if c.Run.Name == "" {
		c.Run.Name = strings.TrimSuffix(filepath.Base(file.Name), filepath.Ext(file.Name))
	}
	return c, nil
}

func (a *app) configCommand() *cobra.Command {
	var list bool
	c := &cobra.Command{
		Use:   "config [CONFIG]",
		Short: "Print the resolved configuration as YAML",
		Long:  "config prints the configuration with every key, after defaults, the file CONFIG, ACUMEN_* variables and flags. What it prints is a configuration again.",
		Args:  arguments(0, 1, "at most one configuration is expected"),
		RunE: func(c *cobra.Command, args []string) error {
			if list {
				_, err := fmt.Fprintln(a.out, strings.Join(configs.Names(), "\n"))
				return err
			}
			sets, err := settings(c)
			if err != nil {
				return err
			}
			cfg, err := resolve(strings.Join(args, ""), sets)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.out, cfg.YAML())
			return err
		},
	}
	c.Flags().BoolVar(&list, "list", false, "list the configurations that are in the program")
	addSettings(c, "device", "threads", "seed", "data-dir", "progress")
	return c
}
