package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/internal/nearest"
)

// Augment is the random changes of training pictures. As YAML it is a list: flip, {crop: {pad: 4}}, {cutout: {size: 8}}.
type Augment struct {
	Flip    bool
	Pad     int // of crop; 0: no crop
	Reflect bool
	Cutout  int // side; 0: none
}

// crop and cutout are the parameters of those changes.
type crop struct {
	Pad     int  `yaml:"pad" min:"1"`
	Reflect bool `yaml:"reflect"`
}

type cutout struct {
	Size int `yaml:"size" min:"1"`
}

var changes = []string{"flip", "crop", "cutout"}

func (r reader) augment(n *yaml.Node, a *Augment, path string) error {
	if n.Kind != yaml.SequenceNode {
		return r.wrongType(n, path, "a list", "[flip, {crop: {pad: 4}}]")
	}
	*a = Augment{}
	var seen []string
	for i, c := range n.Content {
		c = follow(c)
		at := fmt.Sprintf("%s[%d]", path, i)
		name, params := c, (*yaml.Node)(nil)
		if c.Kind == yaml.MappingNode && len(c.Content) == 2 {
			name, params = c.Content[0], follow(c.Content[1])
		}
		if name.Kind != yaml.ScalarNode {
			return r.wrongType(c, at, "the name of a change, alone or with its parameters,", "flip, {crop: {pad: 4}} or {cutout: {size: 8}}")
		}
		if slices.Contains(seen, name.Value) {
			return fault.Usagef("keep one of them", "%s: %s: %s is here a second time", r.at.of(name), at, name.Value)
		}
		seen = append(seen, name.Value)
		if err := r.change(name, params, a, at); err != nil {
			return err
		}
	}
	return nil
}

func (r reader) change(name, params *yaml.Node, a *Augment, at string) error {
	needs := func(key string) error {
		return fault.Usagef(fmt.Sprintf("write {%s: {%s: 4}}", name.Value, key), "%s: %s: %s needs %s", r.at.of(name), at, name.Value, key)
	}
	at += "." + name.Value
	switch name.Value {
	case "flip":
		if params != nil && !isNull(params) && !(params.Kind == yaml.MappingNode && len(params.Content) == 0) {
			return fault.Usagef("write flip alone", "%s: %s: flip has no parameters", r.at.of(params), at)
		}
		a.Flip = true
	case "crop":
		var p crop
		if params != nil {
			if err := r.value(params, reflectValue(&p), "", at); err != nil {
				return err
			}
		}
		if p.Pad == 0 {
			return needs("pad")
		}
		a.Pad, a.Reflect = p.Pad, p.Reflect
	case "cutout":
		var p cutout
		if params != nil {
			if err := r.value(params, reflectValue(&p), "", at); err != nil {
				return err
			}
		}
		if p.Size == 0 {
			return needs("size")
		}
		a.Cutout = p.Size
	default:
		hint := "the changes are " + strings.Join(changes, ", ")
		if s := nearest.Name(name.Value, changes); s != "" {
			hint = "the nearest is " + s + "; " + hint
		}
		return fault.Usagef(hint, "%s: %s is not known", r.at.of(name), at)
	}
	return nil
}

// MarshalYAML writes the list form.
func (a Augment) MarshalYAML() (any, error) {
	list := []any{}
	if a.Flip {
		list = append(list, "flip")
	}
	if a.Pad > 0 {
		p := map[string]any{"pad": a.Pad}
		if a.Reflect {
			p["reflect"] = true
		}
		list = append(list, map[string]any{"crop": p})
	}
	if a.Cutout > 0 {
		list = append(list, map[string]any{"cutout": map[string]any{"size": a.Cutout}})
	}
	return list, nil
}

// Layers is a network as a list of layers. Package model knows what they may be; here they are kept as written.
type Layers struct {
	node *yaml.Node // a sequence without aliases and comments; nil: none
	at   place
}

// layers copies the list, with aliases followed.
func (r reader) layers(n *yaml.Node, l *Layers, path string) error {
	if n.Kind != yaml.SequenceNode {
		return r.wrongType(n, path, "a list of layers", "[flatten, {linear: 30}, sigmoid, {linear: 10}]")
	}
	*l = Layers{}
	if len(n.Content) == 0 {
		return nil
	}
	left := 10000
	c, err := r.copyNode(n, path, &left)
	if err != nil {
		return err
	}
	*l = Layers{c, r.at}
	return nil
}

// copyNode is n without aliases, comments and styles but flow. left bounds what aliases can blow a list up to.
func (r reader) copyNode(n *yaml.Node, path string, left *int) (*yaml.Node, error) {
	n = follow(n)
	if *left--; *left < 0 {
		return nil, fault.Usagef("write the layers out", "%s: %s: too many layers and aliases", r.at.of(n), path)
	}
	c := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Line: n.Line, Column: n.Column, Style: n.Style &^ yaml.FlowStyle}
	for _, x := range n.Content {
		y, err := r.copyNode(x, path, left)
		if err != nil {
			return nil, err
		}
		c.Content = append(c.Content, y)
	}
	return c, nil
}

// IsZero reports whether there are no layers.
func (l Layers) IsZero() bool { return l.node == nil }

// YAML is the list as text, one layer a line.
func (l Layers) YAML() string {
	if l.node == nil {
		return ""
	}
	return marshal(styled(l.node, 0))
}

// Node is the list as a YAML node whose lines are those of the file, nil if there is none.
func (l Layers) Node() *yaml.Node { return l.node }

// Place is where a node of the list was written, for messages.
func (l Layers) Place(n *yaml.Node) string { return l.at.of(n) }

// Origin is the file, flag or variable that the list was written in.
func (l Layers) Origin() string {
	if l.at.label != "" {
		return l.at.label
	}
	return l.at.file
}

// MarshalYAML writes the list.
func (l Layers) MarshalYAML() (any, error) {
	if l.node == nil {
		return []any{}, nil
	}
	return l.node, nil
}
