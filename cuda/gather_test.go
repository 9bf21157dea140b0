//go:build cuda

package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

func TestGatherUnits(t *testing.T) {
	e := newElements(t)
	for _, typ := range []device.DType{device.U8, device.F16, device.F32, device.F64} {
		for _, row := range []int{1, 3, 4, 8, 48, 100} {
			for off := range 2 { // rows are read in the largest units that all addresses allow
				x := e.put(typ, off, func(i int) float64 { return float64(i % 251) }, 37, row)
				idx := e.put(device.I32, 0, func(i int) float64 { return float64(i * 11 % 37) }, 5, 30)
				y := e.blank(typ, off, 5, 30, row)
				e.everywhere(func() { e.d.Gather(y, x, idx) }, y)
				xs, ids := e.get(x), e.get(idx)
				var want []float64
				for _, i := range ids {
					want = append(want, xs[int(i)*row:(int(i)+1)*row]...)
				}
				require.Equal(t, want, e.get(y), "%s row %d offset %d", typ, row, off)
			}
			e.free()
		}
	}
}

// indexed are shapes of sums: tables and places of few and of many, by one digit and several, of one hot index and of all.
func TestScatterAddPaths(t *testing.T) {
	e := newElements(t)
	for _, c := range []struct{ places, entries, row int }{
		{1, 1, 1}, {3, 5, 2}, {1000, 7, 3}, {1024, 2000, 1}, {1025, 10, 40}, {5000, 3, 1}, {5000, 300, 5}, {4099, 70000, 2}, {3000, 1, 33}, {2500, 70, 100}, {1500, 20_000_000, 0},
	} {
		for name, index := range map[string]func(i int) int{
			"any": func(i int) int { return int(e.rnd.Uint32()) % max(1, c.entries) }, "one": func(int) int { return c.entries - 1 },
			"sorted": func(i int) int { return i * c.entries / c.places }, "turned": func(i int) int { return c.entries - 1 - i*c.entries/c.places },
		} {
			if c.row == 0 && name != "any" {
				continue
			}
			for _, typ := range []device.DType{device.F32, device.BF16, device.F64, device.I32} {
				if c.entries > 1000 && typ != device.F32 || c.places > 3000 && typ != device.F32 && name != "any" {
					continue
				}
				idx := e.put(device.I32, 0, func(i int) float64 { return float64(index(i)) }, c.places)
				// whole numbers: sums are exact in any order, so that a lost or a doubled term shows
				x := e.put(typ, 0, func(i int) float64 { return float64(i%7 - 3) }, c.places, c.row)
				y := e.put(typ, 0, func(i int) float64 { return float64(i % 3) }, c.entries, c.row)
				xs, want := e.get(x), e.get(y)
				for i, k := range e.get(idx) {
					for j := range c.row {
						want[int(k)*c.row+j] += xs[i*c.row+j]
					}
				}
				if typ == device.BF16 {
					for i := range want {
						want[i] = float64(device.BF16ToF32(device.F64ToBF16(want[i])))
					}
				}
				if typ == device.F32 {
					e.everywhere(func() { e.d.ScatterAdd(y, x, idx) }, y)
				} else {
					e.d.ScatterAdd(y, x, idx)
				}
				require.Equal(t, want, e.get(y), fmt.Sprintf("%v %s %s", c, name, typ))
				e.free()
			}
		}
	}
}

func TestScatterAddStrided(t *testing.T) {
	e := newElements(t)
	y := e.put(device.F16, 1, func(int) float64 { return 0 }, 3, 4, 5, 2).Slice(3, 0, 1, 1).Squeeze(3).Flip(1).Permute(2, 0, 1) // (5, 3, 4)
	x := e.put(device.F32, 0, func(i int) float64 { return float64(i % 9) }, 4, 50, 3, 30).Permute(3, 1, 2, 0)                  // (30, 50, 3, 4)
	idx := e.put(device.U8, 0, func(i int) float64 { return float64(i * 7 % 5) }, 50, 30).T()
	xs, want := e.get(x), e.get(y)
	for i, k := range e.get(idx) {
		for j := range 12 {
			want[int(k)*12+j] += xs[i*12+j]
		}
	}
	e.everywhere(func() { e.d.ScatterAdd(y, x, idx) }, y)
	require.Equal(t, want, e.get(y)) // under 2048, exact in f16
}

func TestIndexOutsideStopsWhatFollows(t *testing.T) {
	e := newElements(t)
	for _, places := range []int{4, 3000} { // both sorts
		for _, bad := range []float64{5, -1} {
			idx := e.put(device.I32, 0, func(i int) float64 {
				if i == 2 {
					return bad
				}
				return float64(i % 5)
			}, places)
			y := e.put(device.F32, 0, func(int) float64 { return 1 }, 5, 3)
			x, z := e.normal(device.F32, 0, places, 3), e.put(device.F32, 0, func(int) float64 { return 1 }, 7)
			e.d.ScatterAdd(y, x, idx)
			e.d.Fill(z, 9)
			require.EqualError(t, e.d.Sync(), fmt.Sprintf("ScatterAdd: index %v at place 2 is not in 0..4", bad))
			require.Equal(t, []float64{1, 1, 1, 1, 1, 1, 1}, e.get(z))
			for _, v := range e.get(y) {
				require.Equal(t, 1.0, v)
			}
			e.d.Gather(x, y, idx)
			require.EqualError(t, e.d.Sync(), fmt.Sprintf("Gather: index %v at place 2 is not in 0..4", bad))
			require.NoError(t, e.d.Sync())
		}
	}
}

// A captured ScatterAdd needs the scratch that a dry run asks for.
func TestScatterAddReserves(t *testing.T) {
	e := newElements(t)
	const n, row = 40000, 64
	idx := e.put(device.I32, 0, func(i int) float64 { return float64(i % 3) }, n)
	x, y := e.put(device.F32, 0, func(int) float64 { return 1 }, n, row), e.put(device.F32, 0, func(int) float64 { return 0 }, 3, row)
	step := func() { e.d.ScatterAdd(y, x, idx) }
	device.DryRun(e.d, step)
	g, err := e.d.Capture(step)
	require.NoError(t, err)
	g.Launch()
	g.Close()
	require.Equal(t, float64((n+2)/3), e.get(y)[0])
}
