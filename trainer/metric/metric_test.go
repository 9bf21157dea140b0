package metric_test

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	_ "github.com/acumen-ml/acumen/device/devicetest"
	"github.com/acumen-ml/acumen/ops"
	"github.com/acumen-ml/acumen/trainer/metric"
)

type rig struct {
	dev          device.Device
	tape         *ops.Tape
	logits, loss device.View
	labels       device.View
}

func newRig(t *testing.T, spec string) *rig {
	dev, err := device.Open(spec)
	require.NoError(t, err)
	var mems [4]device.Memory
	for i := range mems {
		mems[i], err = dev.Alloc(1 << 18)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		for _, m := range mems {
			m.Free()
		}
		require.NoError(t, dev.Close())
	})
	return &rig{dev, ops.NewTape(dev, device.NewArena(mems[0])), device.Make(mems[1], device.F32, 0), device.Make(mems[2], device.F32, 0), device.Make(mems[3], device.I32, 0)}
}

// add counts one batch by a captured graph.
func (r *rig) add(t *testing.T, a *metric.Accumulator, logits [][]float32, labels []int, loss float64) {
	var lb, yb []byte
	for i, row := range logits {
		for _, x := range row {
			lb = binary.LittleEndian.AppendUint32(lb, math.Float32bits(x))
		}
		yb = binary.LittleEndian.AppendUint32(yb, uint32(labels[i]))
	}
	l, y := device.Make(r.logits.Mem, device.F32, 0, len(logits), len(logits[0])), device.Make(r.labels.Mem, device.I32, 0, len(labels))
	r.dev.Upload(l, lb)
	r.dev.Upload(y, yb)
	r.dev.Fill(r.loss, loss)
	g, err := r.dev.Capture(func() { a.Add(r.tape, l, y, r.loss) })
	require.NoError(t, err)
	g.Launch()
	g.Close()
	assert.Zero(t, r.tape.Arena.Live())
}

// before reports whether output x of class c ranks before y of class d: NaN is largest, ties go by class.
func before(x float32, c int, y float32, d int) bool {
	if nx, ny := x != x, y != y; nx || ny {
		return nx && (!ny || c < d)
	}
	return x > y || x == y && c < d
}

// Three batches, ties and NaN among them, are counted in plain loops and on the device.
func TestAgainstLoops(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, spec := range []string{"cpu", "deferred"} {
		r := newRig(t, spec)
		for _, k := range []int{2, 5, 7, 10} {
			a, err := metric.NewAccumulator(r.dev, k)
			require.NoError(t, err)
			for _, nan := range []float64{0, 0.2} { // a second evaluation counts from 0
				a.Reset(r.tape)
				want := metric.Result{PerClass: make([]float64, k), Confusion: make([][]int, k)}
				for c := range want.Confusion {
					want.Confusion[c] = make([]int, k)
				}
				for _, n := range []int{16, 16, 5} {
					var logits [][]float32
					var labels []int
					for range n {
						label, best, rank := rnd.IntN(k-1), 0, 0 // class k-1 has no examples
						row := make([]float32, k)
						for c := range row {
							if row[c] = float32(rnd.IntN(5)); rnd.Float64() < nan {
								row[c] = float32(math.NaN())
							}
							if before(row[c], c, row[best], best) {
								best = c
							}
						}
						for c := range row {
							if before(row[c], c, row[label], label) {
								rank++
							}
						}
						want.Confusion[label][best]++
						want.N++
						if best == label {
							want.Top1++
						}
						if own := row[label]; rank < 5 && own == own { // a NaN is no hit
							want.Top5++
						}
						logits, labels = append(logits, row), append(labels, label)
					}
					r.add(t, a, logits, labels, float64(n)/8)
					want.Loss += float64(n) * float64(n) / 8
				}
				n := float64(want.N)
				want.Top1, want.Top5, want.Loss = want.Top1/n, want.Top5/n, want.Loss/n
				for c := range k {
					all := 0
					for _, x := range want.Confusion[c] {
						all += x
					}
					if all > 0 {
						want.PerClass[c] = float64(want.Confusion[c][c]) / float64(all)
					}
				}
				got, err := a.Read()
				require.NoError(t, err)
				assert.Equal(t, want, got, "%s, %d classes", spec, k)
			}
			a.Close()
			a.Close()
		}
	}
}

// A loss that is NaN shows; many examples do not wear out the sum; no examples give zeros; a device's fault is told.
func TestEdges(t *testing.T) {
	r := newRig(t, "cpu")
	a, err := metric.NewAccumulator(r.dev, 3)
	require.NoError(t, err)
	defer a.Close()
	a.Reset(r.tape)
	got, err := a.Read()
	require.NoError(t, err)
	assert.Equal(t, metric.Result{PerClass: []float64{0, 0, 0}, Confusion: [][]int{{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}}, got)

	row := [][]float32{{0, 1, 0}}
	r.add(t, a, row, []int{1}, 1<<30)
	for range 8 {
		r.add(t, a, row, []int{0}, 1)
	}
	got, err = a.Read()
	require.NoError(t, err)
	assert.Equal(t, (1<<30+8)/9.0, got.Loss, "float32 would have lost the ones")
	assert.Equal(t, 1.0, got.Top5, "of three classes all are among five")

	r.add(t, a, row, []int{0}, math.NaN())
	got, err = a.Read()
	require.NoError(t, err)
	assert.True(t, math.IsNaN(got.Loss))
	assert.Equal(t, 10, got.N)

	assert.Panics(t, func() { a.Add(r.tape, device.Make(r.logits.Mem, device.F32, 0, 2, 4), r.labels, r.loss) })
	broken := errors.New("broken")
	undo := device.Hook(r.dev, func(device.Call) error { return broken })
	a.Reset(r.tape)
	_, err = a.Read()
	undo()
	assert.ErrorIs(t, err, broken)
	assert.ErrorIs(t, r.dev.Sync(), broken)
}
