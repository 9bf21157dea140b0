package model

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// options reads the options of one layer. The first mistake is kept in err; readings after it give their defaults.
type options struct {
	kind, where string
	allowed     []string
	in          []int // shape of the layer's input
	nodes       map[string]*yaml.Node
	err         error
}

// read takes the layer's value: a mapping of options, or the value of the option short, or nothing.
func (o *options) read(value *yaml.Node, short string) {
	o.nodes = map[string]*yaml.Node{}
	switch {
	case value == nil || value.Kind == yaml.ScalarNode && value.Tag == "!!null":
	case value.Kind == yaml.MappingNode:
		for i := 0; i < len(value.Content); i += 2 {
			key := value.Content[i]
			if !contains(o.allowed, key.Value) {
				hint := o.kind + " has " + strings.Join(o.allowed, ", ")
				if near := nearest.Name(key.Value, o.allowed); near != "" {
					hint = "did you mean " + near + "?"
				}
				o.failAt(key, hint, "there is no option %q", key.Value)
			}
			if o.nodes[key.Value] != nil {
				o.failAt(key, "keep one of them", "%s is given twice", key.Value)
			}
			o.nodes[key.Value] = resolve(value.Content[i+1])
		}
	case short == "":
		o.failAt(value, "write "+o.kind+" alone, or {"+o.kind+": {option: value}}", "it takes no plain value, got %s", describe(value))
	default:
		o.nodes[short] = value
	}
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// fail keeps a mistake in option key.
func (o *options) fail(key, hint, format string, args ...any) {
	o.failAt(o.nodes[key], hint, format, args...)
}

func (o *options) failAt(n *yaml.Node, hint, format string, args ...any) {
	if o.err != nil {
		return
	}
	where := o.where
	if n != nil && n.Line != 0 && !strings.HasSuffix(where, fmt.Sprintf(", line %d)", n.Line)) {
		where += fmt.Sprintf(" line %d", n.Line)
	}
	o.err = fault.Usagef(hint, "%s: %s", where, fmt.Sprintf(format, args...))
}

func (o *options) has(key string) bool { return o.nodes[key] != nil }

// value decodes option key into v and says whether there was one that fits.
func (o *options) value(key, want string, v any) bool {
	n := o.nodes[key]
	if n == nil {
		return false
	}
	if n.Tag == "!!null" || n.Decode(v) != nil {
		o.fail(key, "write "+key+": "+want, "%s is %s", key, describe(n))
		return false
	}
	return true
}

// most is the largest whole number that an option may be: products of a few of them do not overflow.
const most = 1 << 24

// whole is a whole number of at least least.
func (o *options) whole(key string, def, least int) int {
	v := def
	if o.value(key, "a whole number", &v) && (v < least || v > most) {
		o.fail(key, fmt.Sprintf("%s is a whole number from %d on, up to %d", key, least, most), "%s: %d", key, v)
	}
	return v
}

// needed is whole without a default.
func (o *options) needed(key string) int {
	if !o.has(key) {
		o.failAt(nil, "write {"+o.kind+": {"+key+": 32}}", "%s is missing", key)
		return 1
	}
	return o.whole(key, 1, 1)
}

// pair is one whole number for height and width, or two in a list.
func (o *options) pair(key string, def [2]int, least int) [2]int {
	n := o.nodes[key]
	if n == nil || n.Kind != yaml.SequenceNode {
		if n == nil {
			return def
		}
		v := o.whole(key, def[0], least)
		return [2]int{v, v}
	}
	v := def
	if len(n.Content) != 2 {
		o.fail(key, "write one number, or [height, width]", "%s has %d numbers", key, len(n.Content))
	} else if o.value(key, "a whole number, or [height, width]", &v) && (min(v[0], v[1]) < least || max(v[0], v[1]) > most) {
		o.fail(key, fmt.Sprintf("they are whole numbers from %d on, up to %d", least, most), "%s: %v", key, v)
	}
	return v
}

// number is a real number in [lo, hi).
func (o *options) number(key string, def, lo, hi float64) float64 {
	v := def
	if o.value(key, "a number", &v) && !(v >= lo && v < hi) {
		o.fail(key, fmt.Sprintf("%s is at least %v and under %v", key, lo, hi), "%s: %v", key, v)
	}
	return v
}

func (o *options) yes(key string, def bool) bool {
	v := def
	o.value(key, "true or false", &v)
	return v
}

func (o *options) text(key, def string) string {
	v := def
	o.value(key, "a word", &v)
	return v
}

// initializer is the one that option init names, nil if there is none.
func (o *options) initializer() Initializer {
	name := o.text("init", "")
	if name == "" {
		return nil
	}
	for _, i := range initializers {
		if i.name == name {
			return i.make()
		}
	}
	var names []string
	for _, i := range initializers {
		names = append(names, i.name)
	}
	hint := "the initialisers are " + strings.Join(names, ", ")
	if near := nearest.Name(name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	o.fail("init", hint, "there is no initialiser %q", name)
	return nil
}

// initializers are those without numbers of their own, by their names in layer lists.
var initializers = []struct {
	name string
	make func() Initializer
}{
	{"kaiming_uniform", KaimingUniform}, {"kaiming_normal", KaimingNormal}, {"xavier_uniform", XavierUniform},
	{"xavier_normal", XavierNormal}, {"lecun_uniform", LeCunUniform}, {"lecun_normal", LeCunNormal}, {"fan_in", FanIn},
	{"truncated_normal", func() Initializer { return TruncatedNormal(0.02) }},
	{"standard_normal", func() Initializer { return Normal(1) }},
	{"dirac", func() Initializer { return Dirac(FanIn()) }},
}
