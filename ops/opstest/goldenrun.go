package opstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// goldenRun is one case on its way through a device.
type goldenRun struct {
	*GoldenCase
	dev    device.Device
	typ    device.DType
	tape   *ops.Tape
	mems   []device.Memory
	ins    map[string]*goldenIn
	used   map[string]bool // inputs, and params as "param x"
	outs   map[string]goldenOut
	direct map[string]*Array // results that no tape made
}

type goldenIn struct {
	t    *ops.Tensor
	perm []int // from the case's layout to the device's
}

type goldenOut struct {
	v    device.View
	t    *ops.Tensor // nil: not for backward
	perm []int       // from the case's layout to the device's
}

// goldenError is a fault of a case, thrown where it is found.
type goldenError string

func throw(format string, args ...any) { panic(goldenError(fmt.Sprintf(format, args...))) }

// RunGolden runs a case on dev with numbers of type typ (device.F64 or F32) and tells what does not agree.
func RunGolden(dev device.Device, typ device.DType, c *GoldenCase) (bad []Mismatch) {
	r := &goldenRun{GoldenCase: c, dev: dev, typ: typ, used: map[string]bool{}}
	defer r.free()
	defer func() {
		if p := recover(); p != nil {
			if n := len(bad); n == 0 || bad[n-1].Reason == "" {
				bad = append(bad, Mismatch{Case: c.ID, Tensor: "op " + c.Op, Reason: fmt.Sprint(p)})
			}
		}
	}()
	op := goldenOps[c.Op]
	if op == nil {
		op = rowOp(c.Op)
	}
	if op == nil {
		throw("op %q is not known", c.Op)
	}
	phantom := device.Phantom()
	r.tape = ops.NewTape(dev, phantom)
	r.tape.Train = true
	device.DryRun(dev, func() { r.forward(op); r.backward(nil) })
	r.checkUsed()
	r.free()

	arena, err := dev.Alloc(max(phantom.High(), device.Align))
	if err != nil {
		throw("%v", err)
	}
	r.mems = append(r.mems, arena)
	r.tape = ops.NewTape(dev, device.NewArena(arena))
	r.tape.Train = true
	r.forward(op)
	got := map[string]*Array{}
	for name, o := range r.outs {
		got[name] = r.read(o.v).permute(inverse(o.perm))
	}
	for name, g := range r.direct {
		got[name] = g
	}
	for _, name := range slices.Sorted(maps.Keys(c.Expected)) {
		if name == "loss" && c.Upstream != "" {
			continue
		}
		if got[name] == nil {
			bad = append(bad, Mismatch{Case: c.ID, Tensor: name, Reason: "op " + c.Op + " has no such result"})
		} else if m := c.compare(name, got[name], c.Expected[name]); m != nil {
			bad = append(bad, *m)
		}
	}
	if c.Upstream == "" && c.Grads == nil {
		return bad
	}
	loss := r.backward(got["y"])
	if want, ok := c.Expected["loss"]; ok && c.Upstream != "" {
		if m := c.compare("loss", &Array{Shape: []int{}, Data: []float64{loss}}, want); m != nil {
			bad = append(bad, *m)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Grads)) {
		in := r.ins[name]
		g := r.read(in.t.Grad()).permute(inverse(in.perm))
		if m := c.compare("grad."+name, g, c.Grads[name]); m != nil {
			bad = append(bad, *m)
		}
	}
	return bad
}

func (r *goldenRun) forward(op func(*goldenRun)) {
	r.ins, r.outs, r.direct = map[string]*goldenIn{}, map[string]goldenOut{}, map[string]*Array{}
	op(r)
}

// backward sends the upstream gradient back; y is what forward gave, nil in a dry run.
func (r *goldenRun) backward(y *Array) (loss float64) {
	if r.Upstream == "" && r.Grads == nil {
		r.tape.Reset()
		return 0
	}
	out, ok := r.outs["y"]
	if !ok {
		throw("op %s has no gradient", r.Op)
	}
	if y == nil {
		s := out.v.Shape()
		y = &Array{Shape: make([]int, len(s)), Data: make([]float64, out.v.Len())}
		for i, p := range out.perm {
			y.Shape[p] = s[i]
		}
		if out.perm == nil {
			y.Shape = s
		}
	}
	dy := &Array{Shape: y.Shape, Data: make([]float64, len(y.Data))}
	n := float64(len(y.Data))
	var mask *Array
	if strings.Contains(r.Upstream, "mask") {
		mask = r.input("mask")
		if len(mask.Data) != len(y.Data) {
			throw("mask has shape %v, y %v", mask.Shape, y.Shape)
		}
	}
	for i, v := range y.Data {
		switch r.Upstream {
		case "sum", "":
			loss, dy.Data[i] = loss+v, 1
		case "mean(y)", "mean":
			loss, dy.Data[i] = loss+v/n, 1/n
		case "sum(y^2)":
			loss, dy.Data[i] = loss+v*v, 2*v
		case "mean(y^2)":
			loss, dy.Data[i] = loss+v*v/n, 2*v/n
		case "mean(exp(y))":
			loss, dy.Data[i] = loss+math.Exp(v)/n, math.Exp(v)/n
		case "mean(y*mask)":
			loss, dy.Data[i] = loss+v*mask.Data[i]/n, mask.Data[i]/n
		default:
			throw("upstream %q is not known", r.Upstream)
		}
	}
	if r.Upstream == "" && len(y.Data) != 1 {
		throw("grads without upstream, but y has shape %v", y.Shape)
	}
	for name := range r.Grads {
		if in := r.ins[name]; in == nil || !in.t.Grad().Valid() {
			throw("grads: op %s has no gradient for %q", r.Op, name)
		}
	}
	r.tape.Backward(out.t, r.put(dy.permute(out.perm), r.typ))
	r.tape.Reset()
	return loss
}

// put brings g to the device.
func (r *goldenRun) put(g *Array, typ device.DType) device.View {
	m, err := r.dev.Alloc(max(len(g.Data)*typ.Size(), 1))
	if err != nil {
		throw("%v", err)
	}
	r.mems = append(r.mems, m)
	v := device.Make(m, typ, 0, g.Shape...)
	r.dev.Upload(v, encode(g, typ))
	return v
}

// read brings v, however strided, to the host.
func (r *goldenRun) read(v device.View) *Array {
	typ := v.Type
	if typ != device.I32 {
		typ = r.typ
	}
	m, err := r.dev.Alloc(max(v.Len()*typ.Size(), 1))
	if err != nil {
		throw("%v", err)
	}
	defer m.Free()
	c := device.Make(m, typ, 0, v.Shape()...)
	r.dev.Copy(c, v)
	b := make([]byte, c.Bytes())
	if err := r.dev.Download(b, c); err != nil {
		_ = r.dev.Sync() // the fault is this case's alone
		throw("%v", err)
	}
	return decode(b, v.Shape(), typ)
}

func (r *goldenRun) free() {
	if err := r.dev.Sync(); err != nil {
		_ = r.dev.Sync()
	}
	for _, m := range r.mems {
		m.Free()
	}
	r.mems = nil
}

func (r *goldenRun) checkUsed() {
	for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
		if !r.used[name] {
			throw("input %q is not known", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		if !r.used["param "+name] {
			throw("parameter %q is not known", name)
		}
	}
}

// input is an input as the file has it.
func (r *goldenRun) input(name string) *Array {
	r.used[name] = true
	g := r.Inputs[name]
	if g == nil {
		throw("input %q is missing", name)
	}
	return g
}

func (r *goldenRun) has(name string) bool { return r.Inputs[name] != nil }

// in brings an input to the device, its axes in the order perm (nil: as they are), with a gradient if it is real.
func (r *goldenRun) in(name string, perm []int) *ops.Tensor {
	g := r.input(name).permute(perm)
	var t *ops.Tensor
	if g.Int {
		t = ops.Leaf(r.put(g, device.I32))
	} else {
		dx := r.put(&Array{Shape: g.Shape, Data: make([]float64, len(g.Data))}, r.typ)
		t = ops.Param(r.put(g, r.typ), dx)
	}
	r.ins[name] = &goldenIn{t, perm}
	return t
}

// opt is in, or nil where the case lacks the input.
func (r *goldenRun) opt(name string, perm []int) *ops.Tensor {
	if !r.has(name) {
		return nil
	}
	return r.in(name, perm)
}

func (r *goldenRun) image(name string) *ops.Tensor {
	if s := r.input(name).Shape; len(s) != 4 {
		throw("%s has shape %v, want (N,C,H,W)", name, s)
	}
	return r.in(name, channelsLast(4))
}

func (r *goldenRun) out(name string, t *ops.Tensor, perm []int) {
	r.outs[name] = goldenOut{t.Value(), t, perm}
}

// param reads a parameter into v, which holds its default; null is the default too.
func (r *goldenRun) param(name string, v any) {
	r.used["param "+name] = true
	if raw, ok := r.Params[name]; ok {
		if err := json.Unmarshal(raw, v); err != nil {
			throw("parameter %q: %v", name, err)
		}
	}
}

func (r *goldenRun) number(name string, def float64) float64 {
	v := goldenNumber(def)
	p := &v
	r.param(name, &p)
	if p == nil {
		return def
	}
	return float64(*p)
}

func (r *goldenRun) integer(name string, def int) int {
	v := r.number(name, float64(def))
	if v != math.Trunc(v) {
		throw("parameter %q: %v is not whole", name, v)
	}
	return int(v)
}

func (r *goldenRun) flag(name string) bool {
	var v bool
	r.param(name, &v)
	return v
}

func (r *goldenRun) word(name, def string) string {
	v := def
	r.param(name, &v)
	return v
}

// ints is a list of whole numbers, or one standing alone; nil if absent.
func (r *goldenRun) ints(name string) []int {
	r.used["param "+name] = true
	raw, ok := r.Params[name]
	if !ok || string(raw) == "null" {
		return nil
	}
	var one int
	if json.Unmarshal(raw, &one) == nil {
		return []int{one}
	}
	v := []int{}
	r.param(name, &v)
	return v
}

// pair is two whole numbers, or one for both.
func (r *goldenRun) pair(name string, def int32) (a, b int32) {
	v := r.ints(name)
	switch len(v) {
	case 0:
		return def, def
	case 1:
		return int32(v[0]), int32(v[0])
	case 2:
		return int32(v[0]), int32(v[1])
	}
	throw("parameter %q: %v is not a pair", name, v)
	return 0, 0
}

func (r *goldenRun) numbers(name string) []float64 {
	var v []goldenNumber
	r.param(name, &v)
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
