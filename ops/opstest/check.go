package opstest

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// Errors are the worst distances that a check of a row has seen, relative to the largest element or 1.
type Errors struct {
	Value64, Value32 float64 // from the reference
	Grad64           float64 // from central differences
	Grad32           float64 // from the f64 gradient
}

// Variant is a way to run a case.
type Variant struct{ Captured, Strided bool }

// String names the variant in a test's messages.
func (v Variant) String() string {
	return map[bool]string{false: "plain", true: "captured"}[v.Captured] + map[bool]string{false: "", true: " strided"}[v.Strided]
}

// Variants are all ways.
func Variants() []Variant { return []Variant{{}, {true, false}, {false, true}, {true, true}} }

// Check runs a case of a row on dev in every variant. It gives the worst errors, and an error that says where one is
// over its tolerance.
func Check(dev device.Device, r Row, c Case) (worst Errors, err error) {
	tol64, tol32, tolDiff := r.Tol64, r.Tol32, r.TolDiff
	if tol64 == 0 {
		tol64 = 1e-12
	}
	if tol32 == 0 {
		tol32 = 1e-5
	}
	if tolDiff == 0 {
		tolDiff = 1e-7
	}
	in := c.inputs()
	want := r.Ref(c, in)
	w := NewArray(want[0].Shape...)
	for i := range w.Data {
		w.Data[i] = float64((i*5)%7-3) / 4 // few digits: the same number in f32
	}
	diff := r.differences(c, in, w)
	note := func(v Variant, what string, i int, got, want *Array, tol float64, to *float64) {
		d := distance(got, want)
		*to = math.Max(*to, d)
		if !(d <= tol) && err == nil {
			err = fmt.Errorf("%s/%s on %s, %s: %s %d is off by %.3g, tolerance %.3g\n got %v %.6v\nwant %v %.6v", r.Op, c.Name, dev.Name(), v, what, i, d, tol, got.Shape, head(got.Data), want.Shape, head(want.Data))
		}
	}
	for _, v := range Variants() {
		y, g64, e := r.run(dev, device.F64, c, v, in, w)
		if e != nil {
			return worst, fmt.Errorf("%s/%s on %s, f64 %s: %w", r.Op, c.Name, dev.Name(), v, e)
		}
		for i := range want {
			note(v, "value", i, y[i], want[i], tol64, &worst.Value64)
		}
		for i := range g64 {
			if g64[i] != nil {
				note(v, "gradient of input", i, g64[i], diff[i], tolDiff, &worst.Grad64)
			}
		}
		in32 := make([]*Array, len(in))
		for i, a := range in {
			if a != nil {
				in32[i] = &Array{Shape: a.Shape, Int: a.Int, Data: make([]float64, len(a.Data))}
				for k, x := range a.Data {
					in32[i].Data[k] = float64(float32(x))
				}
			}
		}
		y, g32, e := r.run(dev, device.F32, c, v, in32, w)
		if e != nil {
			return worst, fmt.Errorf("%s/%s on %s, f32 %s: %w", r.Op, c.Name, dev.Name(), v, e)
		}
		for i, ref := range r.Ref(c, in32) {
			note(v, "f32 value", i, y[i], ref, tol32, &worst.Value32)
		}
		for i := range g32 {
			if g32[i] != nil {
				note(v, "f32 gradient of input", i, g32[i], g64[i], 10*tol32, &worst.Grad32)
			}
		}
	}
	return worst, err
}

func head(x []float64) []float64 { return x[:min(len(x), 12)] }

// bench is a device with memory for one case.
type bench struct {
	dev  device.Device
	mems []device.Memory
}

func (b *bench) alloc(typ device.DType, n int) (device.Memory, error) {
	m, err := b.dev.Alloc(max(n*typ.Size(), device.Align))
	if err == nil {
		b.mems = append(b.mems, m)
	}
	return m, err
}

// view is memory for shape: contiguous, or with the axes in reverse order and every second element left out.
func (b *bench) view(typ device.DType, shape []int, strided bool) (device.View, error) {
	if !strided || len(shape) == 0 {
		n := 1
		for _, d := range shape {
			n *= d
		}
		m, err := b.alloc(typ, n)
		return device.Make(m, typ, 0, shape...), err
	}
	n, rev, perm := 2, make([]int, len(shape)), make([]int, len(shape))
	for i, d := range shape {
		rev[len(shape)-1-i], perm[i] = d, len(shape)-1-i
		n *= d
	}
	rev[len(rev)-1] *= 2
	m, err := b.alloc(typ, n)
	if err != nil {
		return device.View{}, err
	}
	last := len(rev) - 1
	return device.Make(m, typ, 0, rev...).Slice(last, 0, rev[last]/2, 2).Permute(perm...), nil
}

func (b *bench) write(v device.View, a *Array) error {
	c := v
	if !v.Contiguous() {
		m, err := b.alloc(v.Type, v.Len())
		if err != nil {
			return err
		}
		c = device.Make(m, v.Type, 0, a.Shape...)
	}
	b.dev.Upload(c, encode(a, v.Type))
	if !v.Contiguous() {
		b.dev.Copy(v, c)
	}
	return nil
}

func (b *bench) read(v device.View) (*Array, error) {
	m, err := b.alloc(v.Type, v.Len())
	if err != nil {
		return nil, err
	}
	c := device.Make(m, v.Type, 0, v.Shape()...)
	b.dev.Copy(c, v)
	raw := make([]byte, c.Bytes())
	if err := b.dev.Download(raw, c); err != nil {
		return nil, err
	}
	return decode(raw, v.Shape(), v.Type), nil
}

func (b *bench) free() {
	for _, m := range b.mems {
		m.Free()
	}
	b.mems = nil
}

func encode(a *Array, typ device.DType) []byte {
	raw := make([]byte, 0, len(a.Data)*typ.Size())
	for _, x := range a.Data {
		switch typ {
		case device.F64:
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(x))
		case device.F32:
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(x)))
		case device.F16:
			raw = binary.LittleEndian.AppendUint16(raw, device.F64ToF16(x))
		case device.BF16:
			raw = binary.LittleEndian.AppendUint16(raw, device.F64ToBF16(x))
		case device.I32:
			raw = binary.LittleEndian.AppendUint32(raw, uint32(int32(x)))
		default:
			panic("opstest: type " + typ.String())
		}
	}
	return raw
}

func decode(raw []byte, shape []int, typ device.DType) *Array {
	a := NewArray(shape...)
	for i := range a.Data {
		switch typ {
		case device.F64:
			a.Data[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		case device.F32:
			a.Data[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
		case device.F16:
			a.Data[i] = float64(device.F16ToF32(binary.LittleEndian.Uint16(raw[2*i:])))
		case device.BF16:
			a.Data[i] = float64(device.BF16ToF32(binary.LittleEndian.Uint16(raw[2*i:])))
		case device.I32:
			a.Data[i] = float64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
		default:
			panic("opstest: type " + typ.String())
		}
	}
	return a
}

// run computes a case, and the gradients of sum(w*y) for the first result y. As in training, gradients of
// half-precision inputs are kept in f32.
func (r Row) run(dev device.Device, typ device.DType, c Case, v Variant, in []*Array, w *Array) (ys, grads []*Array, err error) {
	b := &bench{dev: dev}
	defer func() {
		if e := dev.Sync(); err == nil {
			err = e
		}
		b.free()
	}()
	ts := make([]*ops.Tensor, len(in))
	for i, a := range in {
		if a == nil {
			continue
		}
		t := typ
		if a.Int {
			t = device.I32
		}
		x, err := b.view(t, a.Shape, v.Strided)
		if err != nil {
			return nil, nil, err
		}
		if err := b.write(x, a); err != nil {
			return nil, nil, err
		}
		if !c.wantsGrad(i, a) {
			ts[i] = ops.Leaf(x)
			continue
		}
		g, err := b.view(accOf(t), a.Shape, v.Strided)
		if err != nil {
			return nil, nil, err
		}
		ts[i] = ops.Param(x, g)
	}
	seed, err := b.view(accOf(typ), w.Shape, false)
	if err != nil {
		return nil, nil, err
	}
	if err := b.write(seed, w); err != nil {
		return nil, nil, err
	}
	var keep []device.View // where results go
	step := func(t *ops.Tape, save bool) {
		t.Train = !c.Eval
		for _, x := range ts {
			if x != nil && x.Grad().Valid() {
				t.Dev.Fill(x.Grad(), 0)
			}
		}
		out := r.Build(t, c, ts)
		for i, y := range out {
			if save {
				t.Dev.Copy(keep[i], y.Value())
			} else {
				k, e := b.view(y.Type(), y.Shape(), false)
				if e != nil {
					err = e
					return
				}
				keep = append(keep, k)
			}
		}
		if out[0].NeedsGrad() {
			t.Backward(out[0], seed)
		}
		t.Reset()
		if n := t.Arena.Live(); n != 0 {
			panic(fmt.Sprintf("%d bytes of the arena are in use after the step", n))
		}
	}
	phantom := device.Phantom()
	device.DryRun(dev, func() { step(ops.NewTape(dev, phantom), false) })
	if err != nil {
		return nil, nil, err
	}
	m, err := b.alloc(device.U8, phantom.High())
	if err != nil {
		return nil, nil, err
	}
	tape := ops.NewTape(dev, device.NewArena(m))
	if v.Captured {
		g, err := dev.Capture(func() { step(tape, true) })
		if err != nil {
			return nil, nil, err
		}
		defer g.Close()
		g.Launch()
		g.Launch() // the second must not depend on what the first left
	} else {
		step(tape, true)
	}
	for _, k := range keep {
		y, err := b.read(k)
		if err != nil {
			return nil, nil, err
		}
		ys = append(ys, y)
	}
	grads = make([]*Array, len(in))
	for i, x := range ts {
		if x != nil && x.Grad().Valid() {
			if grads[i], err = b.read(x.Grad()); err != nil {
				return nil, nil, err
			}
		}
	}
	return ys, grads, nil
}
