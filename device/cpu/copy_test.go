package cpu

import (
	"testing"

	"github.com/acumen-ml/acumen/device"
)

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
