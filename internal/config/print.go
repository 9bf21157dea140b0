package config

import (
	"bytes"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

func reflectValue(p any) reflect.Value { return reflect.ValueOf(p).Elem() }

// YAML is the configuration with every key, as text that is a configuration again.
func (c *Config) YAML() string {
	return marshal(sectionNode(reflect.ValueOf(c).Elem()))
}

func marshal(n *yaml.Node) string {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		panic(err) // the nodes are made here
	}
	e.Close()
	return b.String()
}

// sectionNode is a struct as a mapping without the keys that are nil.
func sectionNode(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		x := v.Field(i)
		if x.Kind() == reflect.Pointer && x.IsNil() {
			continue
		}
		var value *yaml.Node
		if isSection(f.Type) {
			value = sectionNode(x)
		} else {
			value = leafNode(x)
		}
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: f.Tag.Get("yaml")}, value)
	}
	return n
}

// leafNode is one value; a list stands on one line, but for layers and groups, which have one line each.
func leafNode(v reflect.Value) *yaml.Node {
	switch x := v.Interface().(type) {
	case Duration:
		return scalarNode(x.String())
	case Bytes:
		return scalarNode(x.String())
	case Parts:
		return scalarNode(x.String())
	case LossScale:
		return scalarNode(string(x))
	case Layers:
		if x.node == nil {
			return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		}
		return styled(x.node, 0)
	case []Group:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if len(x) == 0 {
			n.Style = yaml.FlowStyle
		}
		for i := range x {
			n.Content = append(n.Content, styled(sectionNode(reflect.ValueOf(&x[i]).Elem()), 1))
		}
		return n
	}
	var n yaml.Node
	if v.Kind() == reflect.Slice && v.IsNil() {
		v = reflect.MakeSlice(v.Type(), 0, 0)
	}
	if err := n.Encode(v.Interface()); err != nil {
		panic(err)
	}
	return styled(&n, 1)
}

func scalarNode(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

// styled is a copy of n whose parts at depth from and deeper stand on one line.
func styled(n *yaml.Node, depth int) *yaml.Node {
	c := *n
	c.Content = nil
	if depth > 0 && n.Kind != yaml.ScalarNode {
		c.Style |= yaml.FlowStyle
	}
	for _, x := range n.Content {
		c.Content = append(c.Content, styled(x, depth+1))
	}
	return &c
}

// oneLine is a value as it stands in the printed configuration.
func oneLine(v reflect.Value) string {
	n := leafNode(v)
	if v.Type() == reflect.TypeFor[Layers]() || v.Type() == reflect.TypeFor[[]Group]() {
		n = styled(n, 1)
	}
	return strings.TrimSpace(marshal(n))
}
