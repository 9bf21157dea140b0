//go:build cuda

package cuda

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
)

// A capture primes each product once, however often and at whatever addresses of one alignment it stands in a step, and
// gets its scratch without a dry run.
func TestCapturePrimes(t *testing.T) {
	r := newMatMulRig(t)
	if r.d.blas.handle == nil {
		t.Skip("no cuBLAS")
	}
	a, b, y, z := r.view(device.F32, 0, 24, 16), r.view(device.F32, 0, 16, 8), r.view(device.F32, 0, 24, 8), r.view(device.F32, 0, 24, 8)
	odd := r.view(device.F32, 1, 24, 8)
	capture := func(step func()) (primed int) {
		before := len(r.d.blas.primed)
		g, err := r.d.Capture(step)
		require.NoError(t, err)
		g.Launch()
		g.Close()
		return len(r.d.blas.primed) - before
	}
	assert.Equal(t, 1, capture(func() {
		r.d.MatMul(y, a, b, 1, 0)
		r.d.MatMul(z, a, b, 1, 0)
	}), "the same product twice")
	assert.Equal(t, r.product(y, a, b, 1, 0), values(y, r.read(y)))
	assert.Equal(t, 0, capture(func() { r.d.MatMul(z, a, b, 1, 0) }), "in another capture")
	assert.Equal(t, 1, capture(func() { r.d.MatMul(odd, a, b, 1, 0) }), "another alignment")
	assert.Equal(t, r.product(odd, a, b, 1, 0), values(odd, r.read(odd)))
	assert.Equal(t, 1, capture(func() { r.d.MatMul(z, a, b, 1, 1) }), "added to what is there")
	assert.Equal(t, 1, capture(func() { r.d.MatMul(z.Slice(0, 0, 8, 1), y.Slice(0, 0, 24, 1).T(), a.Slice(1, 0, 8, 1), 1, 0) }), "another shape and layout")

	had := r.d.scratch.bytes
	capture(func() {
		r.d.reserve(had + 1)
		r.d.enqueue("Large", nil, nil, 0, func() error {
			_, err := r.d.borrow(had + 1)
			return err
		})
	})
	assert.Greater(t, r.d.scratch.bytes, had)
}

// What a call finds wrong when it is primed is Capture's error, and names it; the device is as good as before.
func TestCaptureFails(t *testing.T) {
	r := newMatMulRig(t)
	y := r.view(device.F32, 0, 4)
	for _, at := range []pass{priming, capturing} {
		g, err := r.d.Capture(func() {
			r.d.Fill(y, 5)
			r.d.enqueue("Broken", nil, nil, 0, func() error {
				if r.d.pass == at {
					return errors.New("no such thing")
				}
				return nil
			})
		})
		assert.Nil(t, g)
		assert.EqualError(t, err, "Broken: no such thing")
		require.NoError(t, r.d.Sync())
	}
	_, err := r.d.Capture(func() {
		r.d.enqueue("Greedy", nil, nil, 0, func() error {
			_, err := r.d.borrow(1 << 40)
			return err
		})
	})
	assert.ErrorContains(t, err, "Greedy: 1099511627776 bytes of scratch are needed")
	g, err := r.d.Capture(func() { r.d.Fill(y, 7) })
	require.NoError(t, err)
	g.Launch()
	assert.Equal(t, []float64{7, 7, 7, 7}, values(y, r.read(y)))
	g.Close()
}
