package metric_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/ops"
	"github.com/acumen-ml/acumen/trainer/metric"
)

// TestAgainstLoops counts three batches, ties among them, in plain loops and on the device.
func TestAgainstLoops(t *testing.T) {
	const k = 7
	dev, err := device.Open("cpu")
	require.NoError(t, err)
	mem, err := dev.Alloc(1 << 20)
	require.NoError(t, err)
	space, err := dev.Alloc(1 << 20)
	require.NoError(t, err)
	tape := ops.NewTape(dev, device.NewArena(space))
	a, err := metric.NewAccumulator(dev, k)
	require.NoError(t, err)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 2 { // a second evaluation counts from 0
		a.Reset(tape)
		want := metric.Result{PerClass: make([]float64, k), Confusion: make([][]int, k)}
		for c := range want.Confusion {
			want.Confusion[c] = make([]int, k)
		}
		for _, n := range []int{16, 16, 5} {
			logits, labels := device.Make(mem, device.F32, 0, n, k), device.Make(mem, device.I32, 1000, n)
			loss := device.Make(mem, device.F32, 2000)
			var lb, yb []byte
			for range n {
				label, best, better := rnd.IntN(k-1), 0, 0 // class k-1 has no examples
				row := make([]float32, k)
				for c := range row {
					row[c] = float32(rnd.IntN(5))
					if row[c] > row[best] {
						best = c
					}
					lb = binary.LittleEndian.AppendUint32(lb, math.Float32bits(row[c]))
				}
				for c := range row {
					if row[c] > row[label] || row[c] == row[label] && c < label {
						better++
					}
				}
				want.Confusion[label][best]++
				want.N++
				if best == label {
					want.Top1++
				}
				if better < 5 {
					want.Top5++
				}
				yb = binary.LittleEndian.AppendUint32(yb, uint32(label))
			}
			dev.Upload(logits, lb)
			dev.Upload(labels, yb)
			dev.Fill(loss, float64(n)/8)
			want.Loss += float64(n) * float64(n) / 8
			g, err := dev.Capture(func() { a.Add(tape, logits, labels, loss) })
			require.NoError(t, err)
			g.Launch()
			assert.Zero(t, tape.Arena.Live())
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
		assert.Equal(t, want, got)
	}
	a.Close()
	mem.Free()
	space.Free()
	require.NoError(t, dev.Close())
}
