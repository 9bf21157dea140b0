package model

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// FromLayers makes a network of a list of layers, as a configuration has it under model.layers:
//
//	[{conv2d: {out: 32, kernel: 3, pad: same}}, batchnorm, relu, {maxpool: 2}, flatten, {linear: 10}]
//
// A layer is its kind's name, or a mapping from that name to the layer's options or to the one option that has the
// most to say. Sizes of inputs follow from the layer before. input is height, width and channels of a picture; the
// last layer must give classes numbers. An error names the layer by index, kind and line.
func FromLayers(layers *yaml.Node, input [3]int, classes int) (*Network, error) {
	if err := checkEnds("layers", input, classes); err != nil {
		return nil, err
	}
	b := listBuilder{where: "model.layers", made: new(int)}
	seq, _, err := b.list(layers, input[:])
	if err != nil {
		return nil, err
	}
	n, err := NewNetwork("layers", seq, input, classes)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := layers.Decode(&plain); err != nil {
		return nil, fault.Usagef("write a list of layers", "model.layers: %w", err)
	}
	n.Spec, err = specText(spec{Layers: plain, Input: input, Classes: classes})
	return n, err
}

// spec is what Network.Spec says, as JSON.
type spec struct {
	Name    string `json:"name,omitempty" yaml:"name"`
	Layers  any    `json:"layers,omitempty" yaml:"-"`
	Input   [3]int `json:"input" yaml:"input"`
	Classes int    `json:"classes" yaml:"classes"`
}

func specText(s spec) (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", fault.Usagef("use names as keys", "model.layers: %w", err)
	}
	return string(b), nil
}

// FromSpec makes a network as Network.Spec describes it, without weights: YAML or JSON text with name or layers, input
// and classes.
func FromSpec(text string) (*Network, error) {
	const hint = "the description of the model is damaged; it should be {name: lenet5, input: [28, 28, 1], classes: 10} or have layers for name"
	var s struct {
		spec   `yaml:",inline"`
		Layers yaml.Node `yaml:"layers"`
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
		return nil, fault.Usagef(hint, "model description: %w", err)
	}
	if (s.Name == "") == s.Layers.IsZero() {
		return nil, fault.Usagef(hint, "model description: either name or layers is needed")
	}
	if s.Name != "" {
		return New(s.Name, s.Input, s.Classes)
	}
	return FromLayers(&s.Layers, s.Input, s.Classes)
}

// listBuilder makes layers of YAML nodes. where is the place of the list that it is in, depth how many lists that is
// within, made how many layers there are so far: a YAML alias can stand for a list within itself.
type listBuilder struct {
	where string
	depth int
	made  *int
}

const (
	maxDepth  = 16
	maxLayers = 10_000
)

// list makes the layers of a sequence node for an input of shape in.
func (b listBuilder) list(n *yaml.Node, in []int) (*Sequential, []int, error) {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		return nil, nil, fault.Usagef("write [conv2d: {out: 8}, relu, ...], or one layer a line after a dash", "%s%s: want a list of layers, got %s", b.where, lineOf(n), describe(n))
	}
	s := &Sequential{}
	for i, item := range n.Content {
		if *b.made++; *b.made > maxLayers || b.depth > maxDepth {
			return nil, nil, fault.Usagef("does an alias stand for what it is in?", "%s%s: over %d layers, or %d lists within each other", b.where, lineOf(n), maxLayers, maxDepth)
		}
		m, name, err := b.layer(fmt.Sprintf("%s[%d]", b.where, i), resolve(item), in)
		if err != nil {
			return nil, nil, err
		}
		for _, l := range s.Layers {
			if name != "" && l.Name == name {
				return nil, nil, fault.Usagef("give each layer its own name", "%s[%d]%s: another layer is called %s", b.where, i, lineOf(item), name)
			}
		}
		s.add(Named(name, m))
		if in, err = m.OutShape(in); err == nil {
			err = checkSize("its output", in)
		}
		if err != nil {
			return nil, nil, placed(err, "%s[%d] (%s%s)", b.where, i, kindOf(m), lineComma(item))
		}
	}
	return s, in, nil
}

// placed puts a place before an error and keeps its hint and kind.
func placed(err error, format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// layer makes one layer for an input of shape in. name is what the list calls it, if it does.
func (b listBuilder) layer(where string, n *yaml.Node, in []int) (m Module, name string, err error) {
	key, value := n, (*yaml.Node)(nil)
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 {
		key, value = n.Content[0], resolve(n.Content[1])
	} else if n.Kind != yaml.ScalarNode {
		return nil, "", fault.Usagef("write relu, {linear: 10} or {conv2d: {out: 32}}: one kind for each item of the list", "%s%s: want a layer, got %s", where, lineOf(n), describe(n))
	}
	k, ok := kinds[key.Value]
	if !ok {
		hint := "the kinds are " + strings.Join(kindNames, ", ")
		if near := nearest.Name(key.Value, kindNames); near != "" {
			hint = "did you mean " + near + "?"
		}
		return nil, "", fault.Usagef(hint, "%s%s: there is no layer %q", where, lineOf(key), key.Value)
	}
	o := &options{kind: key.Value, where: fmt.Sprintf("%s (%s%s)", where, key.Value, lineComma(key)), allowed: append([]string{"name"}, k.keys...), in: in}
	isList := value != nil && value.Kind == yaml.SequenceNode && key.Value == "residual"
	if isList {
		o.nodes = map[string]*yaml.Node{}
	} else {
		o.read(value, k.short)
	}
	name = o.text("name", "")
	if strings.ContainsAny(name, ". ") {
		o.fail("name", "use letters, digits, - and _", "name: %q has a dot or a space", name)
	}
	switch {
	case o.err != nil:
	case key.Value == "residual":
		m = listBuilder{where, b.depth + 1, b.made}.residual(o, value)
	default:
		m = k.build(o)
	}
	return m, name, o.err
}

// resolve follows an alias, and a document to what is in it.
func resolve(n *yaml.Node) *yaml.Node {
	for {
		switch {
		case n.Kind == yaml.AliasNode:
			n = n.Alias
		case n.Kind == yaml.DocumentNode && len(n.Content) == 1:
			n = n.Content[0]
		default:
			return n
		}
	}
}

func lineOf(n *yaml.Node) string {
	if n.Line == 0 {
		return ""
	}
	return fmt.Sprintf(" (line %d)", n.Line)
}

func lineComma(n *yaml.Node) string {
	if n.Line == 0 {
		return ""
	}
	return fmt.Sprintf(", line %d", n.Line)
}

// describe is what a node is, for people.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return fmt.Sprintf("a mapping of %d keys", len(n.Content)/2)
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" || n.Value == "" {
		return "nothing"
	}
	return fmt.Sprintf("%q", n.Value)
}
