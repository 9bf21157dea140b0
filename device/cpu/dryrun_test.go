package cpu

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// Every fused kernel passes the gate in a dry run, on memory that does not exist and for sizes that would not fit.
func TestFusedKernelsInADryRun(t *testing.T) {
	d := openTest(t, 2)
	seen := map[string]bool{}
	defer d.Hook(func(c device.Call) error {
		require.NotEmpty(t, c.Writes, c.Kernel)
		for _, v := range append(c.Writes, c.Reads...) {
			require.True(t, v.Valid(), c.Kernel)
		}
		seen[c.Kernel] = true
		return nil
	})()
	a := device.Phantom()
	f := func(dims ...int) device.View { return a.Get(device.F32, dims...) }
	i := func(dims ...int) device.View { return a.Get(device.I32, dims...) }
	x, y, w, b, none := f(4096, 32, 32, 16), f(4096, 32, 32, 24), f(24, 3, 3, 16), f(24), device.View{}
	half, idx := f(4096, 16, 16, 16), i(4096, 16, 16, 16)
	rows, flat, hyper, state := f(4096, 10), f(1000), f(4), i(4)
	c, p := conv2DOf(1, 1, 1, 1), pool2DOf(2, 2, 0, 1, false)
	v := func() device.View { return f(16) }
	calls := map[string]func() bool{
		"MatMul":              func() bool { d.MatMul(rows, f(4096, 300), f(300, 10), 1, 0); return true },
		"Conv2D":              func() bool { return d.Conv2D(y, x, w, b, c, device.Relu) },
		"Conv2DGradInput":     func() bool { return d.Conv2DGradInput(x, y, w, c) },
		"Conv2DGradWeight":    func() bool { return d.Conv2DGradWeight(w, x, y, c, 1) },
		"MaxPool2D":           func() bool { return d.MaxPool2D(half, idx, x, p) },
		"MaxPool2DGrad":       func() bool { return d.MaxPool2DGrad(x, half, idx, p) },
		"AvgPool2D":           func() bool { return d.AvgPool2D(half, x, p, true) },
		"AvgPool2DGrad":       func() bool { return d.AvgPool2DGrad(x, half, p, true) },
		"BatchNormStats":      func() bool { return d.BatchNormStats(v(), v(), x) },
		"BatchNormApply":      func() bool { return d.BatchNormApply(x, x, v(), v(), none, v(), device.Relu) },
		"BatchNormGrad":       func() bool { return d.BatchNormGrad(x, none, v(), x, x, v(), v(), v()) },
		"Softmax":             func() bool { return d.Softmax(rows, rows) },
		"SoftmaxGrad":         func() bool { return d.SoftmaxGrad(rows, rows, rows) },
		"LogSoftmax":          func() bool { return d.LogSoftmax(rows, rows) },
		"LogSoftmaxGrad":      func() bool { return d.LogSoftmaxGrad(rows, rows, rows) },
		"SoftmaxCrossEntropy": func() bool { return d.SoftmaxCrossEntropy(f(4096), none, rows, i(4096), 0.1) },
		"Dropout":             func() bool { return d.Dropout(x, x, state, 1, 0.5) },
		"SGD":                 func() bool { return d.SGD(flat, flat, flat, hyper, device.SGD{Momentum: 0.9}) },
		"Adam":                func() bool { return d.Adam(flat, flat, flat, flat, none, hyper, device.Adam{}) },
		"Augment": func() bool {
			return d.Augment(f(64, 32, 32, 3), a.Get(device.U8, 50000, 32, 32, 3), i(64), state, device.Augment{Flip: true})
		},
	}
	device.DryRun(d, func() {
		for name, call := range calls {
			require.True(t, call(), name)
		}
	})
	for name := range calls {
		require.True(t, seen[name], name)
	}
	require.Equal(t, len(calls), len(seen))
	require.NoError(t, d.Sync())
}
