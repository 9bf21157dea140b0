package model

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// LayerCost is one row of a network's summary: a layer, or a sum of branches.
type LayerCost struct {
	Path, Kind   string
	Out          []int // shape of the output, without the batch axis
	Params       int   // trained numbers
	Frozen       int   // numbers that are not trained
	MultiplyAdds int   // in one forward pass of one picture; convolutions and linear layers only
	Bytes        int   // of the output for one picture, in f32
}

// counter is a layer that multiplies and adds.
type counter interface{ MultiplyAdds(in []int) int }

// Costs is a row for each layer in the order in which they run.
func (n *Network) Costs() []LayerCost {
	var rows []LayerCost
	costs(n.Module, "", n.Input[:], &rows)
	return rows
}

// Largest is the number of elements of the largest array that one picture is turned into: the input, or a layer's output.
func (n *Network) Largest() int {
	most := elements(n.Input[:])
	for _, r := range n.Costs() {
		most = max(most, elements(r.Out))
	}
	return most
}

// costs appends the rows of m, whose input has shape in, and gives the shape of its output.
func costs(m Module, path string, in []int, rows *[]LayerCost) []int {
	if s, ok := m.(*Sequential); ok {
		for _, l := range s.Layers {
			in = costs(l.Module, join(path, l.Name), in, rows)
		}
		return in
	}
	out, err := m.OutShape(in)
	if err != nil { // NewNetwork has walked the same shapes
		panic(fmt.Sprintf("model: %s: %v", path, err))
	}
	row := LayerCost{Path: path, Kind: kindOf(m), Out: out, Bytes: 4 * elements(out)}
	if r, ok := m.(*Residual); ok {
		costs(r.Body, join(path, "body"), in, rows)
		if r.Shortcut != nil {
			costs(r.Shortcut, join(path, "shortcut"), in, rows)
		}
	} else {
		m.Visit((*paramCount)(&row))
	}
	if c, ok := m.(counter); ok {
		row.MultiplyAdds = c.MultiplyAdds(in)
	}
	*rows = append(*rows, row)
	return out
}

// paramCount adds up what a layer and its children hold.
type paramCount LayerCost

func (c *paramCount) Param(_ string, p *Param) {
	if p.Frozen {
		c.Frozen += elements(p.Shape)
	} else {
		c.Params += elements(p.Shape)
	}
}

func (c *paramCount) Buffer(string, *Buffer) {}

func (c *paramCount) Child(_ string, m Module) { m.Visit(c) }

// MultiplyAdds is the multiply-adds of one forward pass of one picture, in convolutions and linear layers.
func (n *Network) MultiplyAdds() int {
	sum := 0
	for _, r := range n.Costs() {
		sum += r.MultiplyAdds
	}
	return sum
}

// Summary writes a table of n's layers to w: path, output shape, parameters, multiply-adds and memory of the output for
// one picture in f32; then the totals.
func Summary(n *Network, w io.Writer) error {
	rows := n.Costs()
	wide := len("layer")
	for _, r := range rows {
		wide = max(wide, len(r.Path))
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(path, out, params, madds, bytes string) {
		fmt.Fprintf(tw, "%-*s\t%s\t%s\t%s\t%s\t\n", wide, path, out, params, madds, bytes)
	}
	line("layer", "output", "parameters", "multiply-adds", "memory")
	line("input", shapeText(n.Input[:]), "", "", bytesText(4*elements(n.Input[:])))
	var sum LayerCost
	for _, r := range rows {
		line(r.Path, shapeText(r.Out), number(r.Params+r.Frozen), number(r.MultiplyAdds), bytesText(r.Bytes))
		sum.Params, sum.Frozen = sum.Params+r.Params, sum.Frozen+r.Frozen
		sum.MultiplyAdds, sum.Bytes = sum.MultiplyAdds+r.MultiplyAdds, sum.Bytes+r.Bytes
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	frozen := ""
	if sum.Frozen > 0 {
		frozen = fmt.Sprintf(" (and %s frozen)", number(sum.Frozen))
	}
	_, err := fmt.Fprintf(w, "%s: %s parameters%s, %s multiply-adds a picture, %s of weights, %s of outputs a picture\n", n.Name,
		group(sum.Params), frozen, group(sum.MultiplyAdds), bytesText(4*(sum.Params+sum.Frozen)), bytesText(sum.Bytes))
	return err
}

// number is n with commas between thousands, empty for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return group(n)
}

func group(n int) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

func bytesText(n int) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}
