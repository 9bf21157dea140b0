//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// Every function over enough elements for many blocks.
func TestBinaryLarge(t *testing.T) {
	e := newElements(t)
	const n = 10007
	for op := range device.BinOp(device.BinOps()) {
		for _, typ := range elementTypes {
			for _, off := range []int{0, 3} {
				a, b, y := e.normal(typ, off, n), e.normal(typ, off, n), e.blank(typ, off, n)
				switch op { // in f16 the results of others overflow
				case device.Pow:
					a = e.put(typ, off, func(int) float64 { return 0.5 + e.rnd.Float64() }, n)
				case device.Div:
					b = e.put(typ, off, func(int) float64 { return math.Copysign(0.5+e.rnd.Float64(), e.rnd.NormFloat64()) }, n)
				}
				as, bs := e.get(a), e.get(b)
				e.onAnyGrid(func() { e.d.Binary(op, y, a, b) }, y)
				want := e.reference(n, [][]float64{as, bs}, func(d device.Device, y device.View, x []device.View) { d.Binary(op, y, x[0], x[1]) })
				// powf may be off by 8 units
				e.near(typ, 8, want, e.get(y), fmt.Sprintf("%s in %s", op, typ))
			}
			e.free()
		}
	}
}

// Mixed types and broadcasts, by fours and by single elements.
func TestBinaryPaths(t *testing.T) {
	e := newElements(t)
	for _, c := range []struct {
		name    string
		y, a, b device.View
		kernel  kernelID
	}{
		{"a bias", e.blank(device.F16, 0, 9, 5, 64), e.normal(device.F16, 0, 9, 5, 64), e.normal(device.F32, 0, 64), binaryPaths.four},
		{"a bias for each image", e.blank(device.F32, 0, 9, 5, 64), e.normal(device.F32, 0, 9, 5, 64), e.normal(device.F32, 0, 9, 1, 64), binaryPaths.four},
		{"a number", e.blank(device.F32, 0, 1003), e.normal(device.F32, 0, 1003), e.normal(device.F32, 3), binaryPaths.four},
		{"a column", e.blank(device.F32, 0, 33, 64), e.normal(device.F32, 0, 33, 64), e.normal(device.BF16, 1, 33, 1), binaryPaths.four},
		{"an odd bias", e.blank(device.F32, 0, 33, 63), e.normal(device.F32, 0, 33, 63), e.normal(device.F32, 0, 63), binaryPaths.each},
		{"flipped", e.blank(device.F32, 0, 33, 64), e.normal(device.F32, 0, 33, 64).Flip(1), e.normal(device.F32, 0, 64), binaryPaths.each},
		{"bf16", e.blank(device.BF16, 0, 33, 63), e.normal(device.BF16, 0, 33, 63), e.normal(device.BF16, 0, 33, 63), binaryPaths.flat[2]},
	} {
		views := operands("Binary", c.y, c.a, c.b)
		n := newNest(views...)
		id, _ := binaryPaths.choose(&n, 3)
		require.Equal(t, kernelTable[c.kernel], kernelTable[id], c.name)
		e.onAnyGrid(func() { e.d.Binary(device.Sub, c.y, c.a, c.b) }, c.y)
		want, bs := e.get(views[1]), e.get(views[2])
		for i := range want {
			want[i] -= bs[i]
		}
		e.near(c.y.Type, 1, want, e.get(c.y), c.name)
		e.onAnyGrid(func() { e.d.Where(c.y, c.b, c.a, c.b) }, c.y)
		want = e.get(views[1])
		e.near(c.y.Type, 1, want, e.get(c.y), c.name) // no normal number is 0
	}
	cond := e.put(device.U8, 0, func(i int) float64 { return float64(i % 3) }, 10, 64)
	y, a, b := e.blank(device.F32, 0, 10, 64), e.normal(device.F32, 0, 64), e.normal(device.F16, 0, 10, 1)
	e.onAnyGrid(func() { e.d.Where(y, cond, a, b) }, y)
	as, bs := e.get(a), e.get(b)
	for i, v := range e.get(y) {
		want := as[i%64]
		if i%3 == 0 {
			want = bs[i/64]
		}
		require.Equal(t, want, v)
	}
}
