package cpu

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// Rows, transposed matrices and what is neither, of all sizes of elements, in one part and in many.
func TestCopyForms(t *testing.T) {
	sizes := [][]int{{2, 3, 4, 5}, {3, 17, 19, 24}, {70, 9, 2, 33}, {2, 2, 300, 70}}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for _, typ := range []device.DType{device.U8, device.F16, device.F32, device.I32, device.F64} {
		forms := map[string]func(x device.View) device.View{
			"whole":      func(x device.View) device.View { return x },
			"permuted":   func(x device.View) device.View { return x.Permute(0, 3, 1, 2) },
			"to the end": func(x device.View) device.View { return x.Permute(1, 2, 3, 0) },
			"reversed":   func(x device.View) device.View { return x.Permute(3, 2, 1, 0) },
			"slice":      func(x device.View) device.View { return x.Slice(3, 1, x.D(3)-1, 1).Slice(1, 0, x.D(1)-1, 1) },
			"every 2nd":  func(x device.View) device.View { return x.Slice(3, 0, x.D(3)/2, 2) },
			"flipped":    func(x device.View) device.View { return x.Flip(2) },
			"mirrored":   func(x device.View) device.View { return x.Permute(0, 3, 1, 2).Flip(3) },
			"repeated":   func(x device.View) device.View { return x.Slice(2, 0, 1, 1).Broadcast(x.Shape()...) },
			"windows":    func(x device.View) device.View { return x.Window(2, 2, 1, 1, 1, 1) },
		}
		for name, form := range forms {
			for _, dims := range sizes {
				var want []float64
				got := everywhere(t, func(r *rig) (func(), []device.View) {
					x := form(r.normal(typ, dims...))
					want = values(x)
					y := r.zeros(typ, x.Shape()...)
					wide := append([]int{}, x.Shape()...)
					wide[len(wide)-1] += 3
					z := r.zeros(typ, wide...).Slice(len(wide)-1, 2, x.D(-1), 1)
					outs := []device.View{y, z}
					for axis := range x.Shape() {
						outs = append(outs, r.zeros(typ, x.Shape()...).Flip(axis))
					}
					return func() {
						for _, out := range outs {
							r.d.Copy(out, x)
						}
					}, outs
				})
				require.Equal(t, want, got[0], "%s %s %v", typ, name, dims)
				require.Equal(t, want, got[1], "%s %s %v, to rows with gaps", typ, name, dims)
				for axis, flipped := range got[2:] {
					require.Equal(t, want, flipped, "%s %s %v, to what is flipped on axis %d", typ, name, dims, axis)
				}
			}
		}
	}
}

// What goes to the device comes back, by one thread and by many, up to the last byte and no further.
func TestTransferInParts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, threads := range []int{1, 2, 5} {
		d := openTest(t, threads)
		for _, n := range []int{0, 1, 512<<10 - 1, 512 << 10, 1<<20 + 3, 5<<20 + 4099} {
			m, err := d.Alloc(n + 2)
			require.NoError(t, err)
			all, in := device.Make(m, device.U8, 0, n+2), device.Make(m, device.U8, 1, n)
			d.Fill(all, 77)
			want, got := make([]byte, n), make([]byte, n)
			for i := range want {
				want[i] = byte(rnd.Uint32())
			}
			d.Upload(in, want)
			require.NoError(t, d.Download(got, in))
			require.True(t, bytes.Equal(want, got), "%d bytes, %d threads", n, threads)
			around := make([]byte, n+2)
			require.NoError(t, d.Download(around, all))
			require.Equal(t, []byte{77, 77}, []byte{around[0], around[n+1]}, "%d bytes, %d threads", n, threads)
			m.Free()
		}
	}
}

func BenchmarkCopy(b *testing.B) {
	r := newRig(b, 0)
	x, y := r.normal(device.F32, 32, 32, 32, 32), r.zeros(device.F32, 32, 32, 32, 32)
	square, windows := r.normal(device.F32, 1024, 1024), r.zeros(device.F32, 32, 30, 30, 3, 3, 32)
	padded := r.zeros(device.F32, 32, 34, 34, 32)
	for _, c := range []struct {
		name string
		y, x device.View
	}{
		{"Whole", y, x},
		{"Transpose", y.Reshape(1024, 1024), square.T()},
		{"NCHWToNHWC", y, x.Permute(0, 2, 3, 1)},
		{"NHWCToNCHW", y, x.Permute(0, 3, 1, 2)},
		{"Pad", padded.Slice(1, 1, 32, 1).Slice(2, 1, 32, 1), x},
		{"Windows", windows, x.Window(3, 3, 1, 1, 1, 1)},
		{"Broadcast", y, x.Slice(2, 0, 1, 1).Broadcast(32, 32, 32, 32)},
	} {
		b.Run(c.name, func(b *testing.B) { perElement(b, c.y.Len(), func() { r.d.Copy(c.y, c.x) }) })
	}
}
