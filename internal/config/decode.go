package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// place is where a person wrote something: a file, whose nodes have lines, or a flag or variable.
type place struct{ file, label string }

// of is the place of a node for messages.
func (p place) of(n *yaml.Node) string {
	if p.label != "" {
		return p.label
	}
	return fmt.Sprintf("%s:%d", p.file, n.Line)
}

// written is the value that a person gave to a key.
type written struct {
	node *yaml.Node
	at   place
}

// parse reads a file's text to its root node; nil for a file without a value.
func parse(file string, text []byte) (*yaml.Node, error) {
	const hint = "YAML is `key: value`, indented with spaces; a value with special characters needs quotes"
	var doc yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	if err := dec.Decode(&doc); err != nil {
		if err.Error() == "EOF" {
			return nil, nil
		}
		line, what := yamlError(err)
		return nil, fault.Usagef(hint, "%s:%s: %s", file, line, what)
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		return nil, fault.Usagef("keep one document in a file", "%s:%d: a second YAML document", file, second.Line)
	} else if err.Error() != "EOF" {
		line, what := yamlError(err)
		return nil, fault.Usagef(hint, "%s:%s: %s", file, line, what)
	}
	return doc.Content[0], nil
}

// yamlError takes the line out of an error of the YAML reader.
func yamlError(err error) (line, what string) {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(s, "line "); ok {
		if n, w, ok := strings.Cut(rest, ": "); ok {
			return n, w
		}
	}
	return "1", s
}

// follow resolves an alias.
func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// flatten lists the leaf keys below a node at a section's path. An unknown or doubled key is an error.
func flatten(prefix string, n *yaml.Node, at place, out map[string]written) error {
	n = follow(n)
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		what, hint := "the configuration", "write keys and values, such as `trainer: {epochs: 5}`"
		if prefix != "" {
			what, hint = prefix, fmt.Sprintf("write keys and values: `%s: {%s: ...}`", last(prefix), sections[prefix][0])
		}
		return fault.Usagef(hint, "%s: %s: a mapping is expected, %s", at.of(n), what, describe(n))
	}
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		path := strings.TrimPrefix(prefix+"."+k.Value, ".")
		if k.Kind != yaml.ScalarNode {
			return fault.Usagef("a key is one word", "%s: a key is expected, %s", at.of(k), describe(k))
		}
		if !slices.Contains(sections[prefix], k.Value) {
			return fault.Usagef(unknownHint(prefix, k.Value), "%s: unknown key %s", at.of(k), path)
		}
		if line, twice := seen[k.Value]; twice {
			return fault.Usagef("keep one of them", "%s: key %s is here a second time, after line %d", at.of(k), path, line)
		}
		seen[k.Value] = k.Line
		if _, ok := sections[path]; ok {
			if err := flatten(path, v, at, out); err != nil {
				return err
			}
			continue
		}
		out[path] = written{v, at}
	}
	return nil
}

// describe tells what a node is, for "X is expected, ...".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "this is a mapping"
	case yaml.SequenceNode:
		return "this is a list"
	}
	text := n.Value
	if len([]rune(text)) > 40 {
		text = string([]rune(text)[:40]) + "..."
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing is given"
	case "!!bool":
		return text + " is a boolean"
	case "!!int", "!!float":
		return text + " is a number"
	}
	return strconv.Quote(text) + " is a string"
}

// reader puts nodes into Go values.
type reader struct {
	at place
}

func (r reader) wrongType(n *yaml.Node, path, want, example string) error {
	return fault.Usagef("write "+example, "%s: %s: %s is expected, %s", r.at.of(n), path, want, describe(n))
}

func (r reader) outOfRange(n *yaml.Node, path string, f reflect.StructTag) error {
	bounds := strings.TrimSpace("a finite number " + allowed(f))
	if n.ShortTag() == "!!int" && allowed(f) != "" {
		bounds = allowed(f)
	}
	return fault.Usagef(hintFor(path, bounds), "%s: %s: %s is out of range", r.at.of(n), path, n.Value)
}

func hintFor(path, bounds string) string {
	if k, ok := byPath[path]; ok && k.f.Type.Kind() != reflect.Pointer {
		if d := oneLine(reflect.ValueOf(Default()).Elem().FieldByIndex(k.index)); d != "" && d != "[]" {
			return fmt.Sprintf("allowed: %s; the default is %s", bounds, d)
		}
	}
	return "allowed: " + bounds
}

// value puts n into v, whose schema is tag.
func (r reader) value(n *yaml.Node, v reflect.Value, tag reflect.StructTag, path string) error {
	n = follow(n)
	switch p := v.Addr().Interface().(type) {
	case *Augment:
		return r.augment(n, p, path)
	case *Layers:
		return r.layers(n, p, path)
	case *Duration:
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
			if d, err := time.ParseDuration(n.Value); err == nil {
				if d < 0 {
					return fault.Usagef("allowed: from 0s on", "%s: %s: %s is out of range", r.at.of(n), path, n.Value)
				}
				*p = Duration(d)
				return nil
			}
		}
		return r.wrongType(n, path, "a duration", "a number with its unit, such as 90s, 10m or 1h30m")
	case *LossScale:
		if n.Kind == yaml.ScalarNode {
			if s, ok := parseLossScale(n.Value); ok {
				*p = s
				return nil
			}
			return fault.Usagef("allowed: auto, dynamic, and numbers from 1 to 2^40; the default is auto", "%s: %s: %q is no loss scale", r.at.of(n), path, n.Value)
		}
		return r.wrongType(n, path, "auto, dynamic or a number", "auto, dynamic, or a number such as 1024")
	case *Parts:
		if isAuto(n) {
			*p = 0
			return nil
		}
	case *Bytes:
		if n.Kind == yaml.ScalarNode {
			if b, ok := parseBytes(n.Value); ok {
				*p = b
				return nil
			}
		}
		return r.wrongType(n, path, "an amount of memory", "a whole number of bytes, or one with its unit, such as 512MiB or 2GiB")
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return r.value(n, v.Elem(), tag, path)
	case reflect.Struct:
		return r.mapping(n, v, path)
	case reflect.Slice:
		return r.list(n, v, tag, path)
	}
	return r.scalar(n, v, tag, path)
}

func (r reader) list(n *yaml.Node, v reflect.Value, tag reflect.StructTag, path string) error {
	if n.Kind != yaml.SequenceNode {
		return r.wrongType(n, path, "a list", "[a, b], or one value a line after dashes")
	}
	if len(n.Content) == 0 {
		v.SetZero()
		return nil
	}
	s := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		if err := r.value(c, s.Index(i), tag, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	v.Set(s)
	return nil
}

// mapping reads a mapping inside a list: its keys are those of v's type.
func (r reader) mapping(n *yaml.Node, v reflect.Value, path string) error {
	var names []string
	for i := range v.NumField() {
		names = append(names, v.Type().Field(i).Tag.Get("yaml"))
	}
	if n.Kind != yaml.MappingNode {
		return r.wrongType(n, path, "a mapping", "{"+names[0]+": ...}")
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		k, at := n.Content[i], slices.Index(names, n.Content[i].Value)
		if at < 0 {
			hint := "the keys are " + strings.Join(names, ", ")
			if s := nearest.Name(k.Value, names); s != "" {
				hint = "the nearest key is " + s
			}
			return fault.Usagef(hint, "%s: unknown key %s.%s", r.at.of(k), path, k.Value)
		}
		if seen[k.Value] {
			return fault.Usagef("keep one of them", "%s: key %s.%s is here a second time", r.at.of(k), path, k.Value)
		}
		seen[k.Value] = true
		if err := r.value(n.Content[i+1], v.Field(at), v.Type().Field(at).Tag, path+"."+k.Value); err != nil {
			return err
		}
	}
	return nil
}

func (r reader) scalar(n *yaml.Node, v reflect.Value, tag reflect.StructTag, path string) error {
	kind := ""
	if n.Kind == yaml.ScalarNode {
		kind = n.ShortTag()
	}
	switch v.Kind() {
	case reflect.Bool:
		var b bool
		if kind != "!!bool" || n.Decode(&b) != nil {
			return r.wrongType(n, path, "a boolean", "true or false")
		}
		v.SetBool(b)
	case reflect.Int, reflect.Uint64:
		if kind != "!!int" {
			example := "digits, such as 10"
			if word := tag.Get("also"); word != "" {
				example += ", or " + word
			}
			return r.wrongType(n, path, "a whole number", example)
		}
		if v.Kind() == reflect.Uint64 {
			var u uint64
			if n.Decode(&u) != nil {
				return fault.Usagef("allowed: from 0 to 18446744073709551615", "%s: %s: %s is out of range", r.at.of(n), path, n.Value)
			}
			v.SetUint(u)
			return nil
		}
		var i int
		if n.Decode(&i) != nil || i > math.MaxInt32 || !inBounds(float64(i), tag) {
			return r.outOfRange(n, path, tag)
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		f, ok := number(n, kind)
		if !ok {
			return r.wrongType(n, path, "a number", "a number, such as 0.1 or 5e-4")
		}
		if math.IsNaN(f) || math.IsInf(f, 0) || !inBounds(f, tag) {
			return r.outOfRange(n, path, tag)
		}
		v.SetFloat(f)
	default:
		if kind != "!!str" && kind != "!!int" && kind != "!!float" {
			return r.wrongType(n, path, "a string", "one word, in quotes if it looks like something else")
		}
		if one, ok := tag.Lookup("one"); ok && !slices.Contains(strings.Split(one, ","), n.Value) {
			hint := "allowed: " + allowed(tag)
			if s := nearest.Name(n.Value, strings.Split(strings.TrimPrefix(one, ","), ",")); s != "" {
				hint = "the nearest is " + s + "; allowed: " + allowed(tag)
			}
			return fault.Usagef(hint, "%s: %s: %q is not known", r.at.of(n), path, n.Value)
		}
		v.SetString(n.Value)
	}
	return nil
}

// number reads a number; NaN and infinities are recognised however they are written, so that the message is about them.
func number(n *yaml.Node, kind string) (float64, bool) {
	if kind == "!!int" || kind == "!!float" {
		var f float64
		return f, n.Decode(&f) == nil
	}
	if kind == "!!str" {
		switch strings.ToLower(strings.TrimLeft(n.Value, "+-.")) {
		case "nan", "inf", "infinity":
			return math.NaN(), true
		}
	}
	return 0, false
}

func inBounds(f float64, tag reflect.StructTag) bool {
	bound := func(name string) (float64, bool) {
		s, ok := tag.Lookup(name)
		b, _ := strconv.ParseFloat(s, 64)
		return b, ok
	}
	if b, ok := bound("min"); ok && f < b {
		return false
	}
	if b, ok := bound("above"); ok && !(f > b) {
		return false
	}
	if b, ok := bound("below"); ok && !(f < b) {
		return false
	}
	if b, ok := bound("max"); ok && f > b {
		return false
	}
	return true
}
