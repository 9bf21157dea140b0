//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

var copyTypes = []device.DType{device.F32, device.F64, device.F16, device.BF16, device.U8, device.I32}

// counted is a number for each element that every type holds, most neighbours different.
func counted(i int) float64 { return float64(i * 7 % 251) }

func TestCopyContiguous(t *testing.T) {
	e := newElements(t)
	for _, typ := range copyTypes {
		for _, n := range []int{1, 15, 16, 17, 100003} {
			for _, off := range [][2]int{{0, 0}, {1, 1}, {2, 4}, {3, 0}} {
				x, y := e.put(typ, off[0], counted, n), e.blank(typ, off[1], n)
				e.onAnyGrid(func() { e.d.Copy(y, x) }, y)
				for i, v := range e.get(y) {
					require.Equal(t, counted(i), v, "%s of %d", typ, n)
				}
			}
			e.free()
		}
	}
}

// Transposes by tiles: all types, extents that are no multiple of a tile, several matrices, gaps, casts.
func TestCopyTransposed(t *testing.T) {
	e := newElements(t)
	for _, from := range copyTypes {
		for _, to := range []device.DType{from, device.F32, device.BF16} {
			for _, dims := range [][]int{{16, 16}, {32, 64}, {33, 95}, {3, 50, 41}, {2, 3, 17, 70}, {1, 300}, {5, 7}} {
				for _, gap := range []int{0, 5} {
					wide := append([]int{}, dims...)
					wide[len(dims)-1] += gap
					r := len(dims)
					x := e.put(from, 3, counted, wide...).Slice(r-1, 0, dims[r-1], 1).T()
					y := e.blank(to, 1, x.Shape()...)
					e.onAnyGrid(func() { e.d.Copy(y, x) }, y)
					require.Equal(t, e.get(x), e.get(y), "%s to %s, %v", from, to, dims)
				}
			}
			e.free()
		}
	}
	x, y := e.put(device.F32, 0, counted, 2, 20, 30, 5), e.blank(device.F32, 0, 2, 5, 20, 30) // NHWC to NCHW
	e.d.Copy(y, x.Permute(0, 3, 1, 2))
	require.Equal(t, e.get(x.Permute(0, 3, 1, 2)), e.get(y))
	views := operands("Copy", y, x.Permute(0, 3, 1, 2))
	n := newNest(views...)
	_, tiles := n.crossed()
	require.Zero(t, tiles, "five channels are too few for a tile")
	x, y = e.put(device.F16, 0, counted, 3, 40, 64), e.blank(device.F16, 0, 3, 64, 40)
	views = operands("Copy", y, x.T())
	n = newNest(views...)
	axis, tiles := n.crossed()
	require.Equal(t, []int{1, 3 * 2 * 2}, []int{axis, tiles})
	e.onAnyGrid(func() { e.d.Copy(y, x.T().Flip(1)) }, y)
	require.Equal(t, e.get(x.T().Flip(1)), e.get(y))
}

// Copies of windows move as many channels at a time as lie side by side.
func TestCopyChannels(t *testing.T) {
	e := newElements(t)
	for _, c := range []struct {
		typ      device.DType
		channels int
		unit     int32
	}{
		{device.F32, 64, 16}, {device.F32, 6, 8}, {device.F32, 3, 4}, {device.F16, 64, 16}, {device.F16, 12, 8}, {device.F16, 2, 4}, {device.BF16, 3, 2},
		{device.F64, 4, 16}, {device.F64, 1, 8}, {device.U8, 48, 16}, {device.U8, 3, 1}, {device.I32, 1, 4},
	} {
		x := e.put(c.typ, 0, counted, 2, 9, 8, c.channels)
		w := x.Window(3, 3, 2, 1, 1, 1)
		y := e.blank(c.typ, 0, w.Shape()...)
		n := newNest(operands("Copy", y, w)...)
		size := int32(c.typ.Size())
		// along a row of the window neighbours follow one another: they may be joined to wider units than one pixel's
		require.GreaterOrEqual(t, n.widen(int(size)), c.unit, "%d channels of %s", c.channels, c.typ)
		e.onAnyGrid(func() { e.d.Copy(y, w) }, y)
		require.Equal(t, e.get(w), e.get(y), "%d channels of %s", c.channels, c.typ)
		z := e.put(c.typ, 0, counted, 2, 11, 10, c.channels) // into the middle, as padding does
		inside := z.Slice(1, 1, 9, 1).Slice(2, 1, 8, 1)
		e.d.Copy(inside, x)
		require.Equal(t, e.get(x), e.get(inside))
	}
}

// Casts of every pair of types, by fours and by single elements.
func TestCopyCast(t *testing.T) {
	e := newElements(t)
	for _, from := range copyTypes {
		for _, to := range copyTypes {
			for _, off := range []int{0, 1} {
				x, y := e.put(from, off, func(int) float64 { return math.Round(60*e.rnd.NormFloat64()) / 4 }, 5003), e.blank(to, off, 5003)
				e.onAnyGrid(func() { e.d.Copy(y, x) }, y)
				want := e.get(x)
				b := make([]byte, 8)
				for i, v := range want {
					if to.IsInt() {
						v = math.Trunc(v)
					}
					encode(to, b, v)
					want[i] = decode(to, b)
				}
				require.Equal(t, want, e.get(y), fmt.Sprintf("%s to %s", from, to))
			}
			e.free()
		}
	}
}

func TestFillFlat(t *testing.T) {
	e := newElements(t)
	for _, typ := range copyTypes {
		for _, n := range []int{1, 3, 16, 1000, 40001} {
			for off := range 9 {
				for _, v := range []float64{0, 3, -1.625, 1e30, math.Inf(-1), math.NaN()} {
					y := e.put(typ, off, counted, n+5).Slice(0, 0, n, 1)
					around := e.bytes(y)
					e.d.Fill(y, v)
					want := append([]byte{}, around...)
					for i := range n {
						w := v
						if typ.IsInt() && v != v {
							w = 0
						}
						encode(typ, want[(off+i)*typ.Size():], w)
					}
					got := e.bytes(y)
					if v != v && !typ.IsInt() { // any NaN will do
						for i := range n {
							x := decode(typ, got[(off+i)*typ.Size():])
							require.True(t, x != x)
							copy(got[(off+i)*typ.Size():(off+i+1)*typ.Size()], want[(off+i)*typ.Size():])
						}
					}
					require.Equal(t, want, got, "%v as %d %s from %d", v, n, typ, off)
				}
			}
			e.free()
		}
	}
}
