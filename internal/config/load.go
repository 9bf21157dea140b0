package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// File is a configuration file: its name for messages, and its text.
type File struct {
	Name string
	Text []byte
}

// Setting is a value from the command line: --set trainer.epochs=3, or a flag of its own such as --device cpu.
type Setting struct {
	Key, Value string
	Label      string // for messages: "--device cpu"; empty for --set
}

// ParseSet takes the argument of --set apart.
func ParseSet(arg string) (Setting, error) {
	key, value, ok := strings.Cut(arg, "=")
	if key = strings.TrimSpace(key); !ok || key == "" {
		return Setting{}, fault.Usagef("write --set trainer.epochs=3", "--set %s: KEY=VALUE is expected", arg)
	}
	return Setting{Key: key, Value: value}, nil
}

// reserved are variables with the prefix of configuration that mean something else.
var reserved = []string{"ACUMEN_SIMD", "ACUMEN_WINOGRAD", "ACUMEN_CUBLAS", "ACUMEN_BENCH_CACHE", "ACUMEN_CUDA_CACHE", "ACUMEN_CUDA_FETCH",
	"ACUMEN_CONTAINER_WORK"}

// Load puts a configuration together: defaults, then the file (nil: none), then the variables ACUMEN_*, then settings,
// of which the last of a key counts. A setting of a whole section takes the place of all that was written below it; a
// value null stands for the default. Each value is checked, and an error names the place that it comes from.
func Load(file *File, settings []Setting) (*Config, error) { return load(file, settings, true) }

func load(file *File, settings []Setting, environment bool) (*Config, error) {
	fromFile := map[string]written{}
	if file != nil {
		root, err := parse(file.Name, file.Text)
		if err != nil {
			return nil, err
		}
		if root != nil {
			if err := flatten("", root, place{file: file.Name}, fromFile); err != nil {
				return nil, err
			}
			if err := spread(fromFile); err != nil {
				return nil, err
			}
		}
	}
	fromFlags := map[string]written{}
	var replaced []string
	for _, s := range settings {
		if err := set(s, fromFlags, &replaced); err != nil {
			return nil, err
		}
	}
	if err := spread(fromFlags); err != nil {
		return nil, err
	}
	fromEnv := map[string]written{}
	if environment {
		if err := checkEnvironment(); err != nil {
			return nil, err
		}
		var err error
		if fromEnv, err = fromVariables(); err != nil {
			return nil, err
		}
	}
	hidden := func(path string) bool {
		return slices.ContainsFunc(replaced, func(p string) bool { return strings.HasPrefix(path, p+".") })
	}
	// Viper decides which layer a key comes from. It sees keys of the schema only, and whole nodes as values: names that
	// a person chose are never its keys, which it would lower-case and cut at dots.
	v := viper.New()
	nested := map[string]any{}
	for path, w := range fromFile {
		if !hidden(path) {
			nest(nested, path, w)
		}
	}
	if err := v.MergeConfigMap(nested); err != nil {
		return nil, err
	}
	for _, f := range fields {
		if !environment || hidden(f.path) || f.path == batchKey || f.path == microsKey {
			continue
		}
		if err := v.BindEnv(f.path, envName(f.path)); err != nil {
			return nil, err
		}
	}
	for path, w := range fromEnv {
		if !hidden(path) {
			v.Set(path, w)
		}
	}
	for path, w := range fromFlags {
		v.Set(path, w)
	}
	c, from := Default(), map[string]place{}
	for _, f := range fields {
		w, err := layered(f, v.Get(f.path))
		if err != nil {
			return nil, err
		}
		if w == nil || isNull(follow(w.node)) {
			continue
		}
		from[f.path] = w.at
		if err := (reader{w.at}).value(w.node, reflect.ValueOf(c).Elem().FieldByIndex(f.index), f.f.Tag, f.path); err != nil {
			return nil, err
		}
		from[f.path] = place{label: w.at.of(w.node)}
	}
	return c, c.complete(from)
}

func nest(m map[string]any, path string, w written) {
	parts := strings.Split(path, ".")
	for _, p := range parts[:len(parts)-1] {
		if m[p] == nil {
			m[p] = map[string]any{}
		}
		m = m[p].(map[string]any)
	}
	m[parts[len(parts)-1]] = w
}

// layered is what viper gave for a key as a node; a string is from the environment.
func layered(f field, got any) (*written, error) {
	switch x := got.(type) {
	case written:
		return &x, nil
	case string:
		n, err := textNode(f, x, envName(f.path))
		return &written{n, place{label: envName(f.path)}}, err
	}
	return nil, nil
}

// textNode reads a value that was written outside of a file. Text for a key of type string is taken as it is.
func textNode(f field, text, label string) (*yaml.Node, error) {
	if f.f.Type != nil && f.f.Type.Kind() == reflect.String {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}, nil
	}
	n, err := parse(label, []byte(text))
	if err != nil {
		return nil, fault.Usagef("values are YAML: 3, 0.1, true, [a, b], {name: adam}", "%s: the value cannot be read: %s", label, text)
	}
	if n == nil {
		n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	}
	return n, nil
}

// set adds one setting to out. Below a section it replaces all that was there.
func set(s Setting, out map[string]written, replaced *[]string) error {
	label := s.Label
	if label == "" {
		label = "--set " + s.Key
	}
	at := place{label: label}
	if f, ok := byPath[s.Key]; ok {
		n, err := textNode(f, s.Value, label)
		out[s.Key] = written{n, at}
		return err
	}
	if _, ok := sections[s.Key]; !ok || s.Key == "" {
		prefix, word := "", s.Key
		if i := strings.LastIndex(s.Key, "."); i >= 0 && sections[s.Key[:i]] != nil {
			prefix, word = s.Key[:i], s.Key[i+1:]
		} else if i >= 0 {
			word = s.Key[i+1:]
		}
		return fault.Usagef(unknownHint(prefix, word), "%s: unknown key %s", label, s.Key)
	}
	n, err := textNode(field{}, s.Value, label)
	if err != nil {
		return err
	}
	for path := range out {
		if strings.HasPrefix(path, s.Key+".") {
			delete(out, path)
		}
	}
	*replaced = append(*replaced, s.Key)
	return flatten(s.Key, n, at, out)
}

// checkEnvironment refuses variables ACUMEN_* that mean nothing: a misspelt one would be silently without effect.
func checkEnvironment() error {
	var names []string
	for _, f := range fields {
		names = append(names, envName(f.path))
	}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "ACUMEN_") || slices.Contains(names, name) || slices.Contains(reserved, name) {
			continue
		}
		hint := "unset it; the variables are ACUMEN_ and a key in capitals, such as " + envName("trainer.epochs")
		if s := nearest.Name(name, names); s != "" {
			hint = "the nearest is " + s + "; unset it if it is not for acumen"
		}
		return fault.Usagef(hint, "environment: unknown variable %s", name)
	}
	return nil
}

// complete gives the keys that depend on a name their defaults and checks what keys mean together.
func (c *Config) complete(from map[string]place) error {
	at := func(path string) string {
		if p, ok := from[path]; ok {
			return p.label + ": " + path
		}
		return path
	}
	if _, named := from["model.name"]; !named && !c.Model.Layers.IsZero() {
		c.Model.Name = "layers"
	}
	for _, f := range fields {
		names := f.f.Tag.Get("for")
		if names == "" {
			continue
		}
		v := reflect.ValueOf(c).Elem().FieldByIndex(f.index)
		name := reflect.ValueOf(c).Elem().FieldByIndex(f.index[:len(f.index)-1]).FieldByName("Name").String()
		text, ok := defaultFor(f.f, name)
		switch _, isSet := from[f.path]; {
		case isSet && !slices.Contains(strings.Split(names, ","), name):
			return fault.Usagef(fmt.Sprintf("remove it; it belongs to %s", strings.ReplaceAll(names, ",", ", ")), "%s: %s has none", at(f.path), name)
		case !isSet && ok:
			n, err := parse("default", []byte(text))
			if err != nil {
				return err
			}
			if err := (reader{place{label: "default"}}).value(n, v, f.f.Tag, f.path); err != nil {
				return err
			}
		}
	}
	return c.check(at)
}
