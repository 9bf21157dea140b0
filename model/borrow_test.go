package model_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/ops"
)

// float32s gives all parameters of net their values as float32.
func float32s(t *testing.T, net *model.Network) {
	t.Helper()
	for _, p := range net.Params() {
		var x []float32
		for _, v := range values(t, p.Value) {
			x = append(x, float32(v))
		}
		p.Value = tensor.New(tensor.WithShape(p.Shape...), tensor.WithBacking(x))
	}
}

// A network that is not trained reads its f32 weights where the host has them, if the device can.
func TestBorrow(t *testing.T) {
	for _, name := range devices {
		for _, o := range []model.StorageOptions{{Type: device.F32}, {Type: device.F64}, {Type: device.BF16}, {Type: device.F32, Train: true}} {
			net, dev := smallNet(t), openOn(t, name)
			float32s(t, net)
			o.Borrow = true
			s, err := model.NewStorage(dev, net, o)
			require.NoError(t, err)
			defer s.Close()
			require.NoError(t, s.Upload())
			if name == "cpu" && o.Type == device.F32 && !o.Train {
				borrows(t, dev, net, s)
			} else {
				assert.True(t, s.W.Valid(), "%s, %s", name, o.Type)
			}
		}
	}
}

func borrows(t *testing.T, dev device.Device, net *model.Network, s *model.Storage) {
	assert.False(t, s.W.Valid())
	assert.Equal(t, s.Run.Bytes(), s.Bytes(), "what is borrowed does not count")
	tape := ops.NewTape(dev, nil)
	s.Bind(tape)
	read := func(p *model.Param) []float64 {
		v := tape.Bound(p).Value()
		require.Equal(t, p.Shape, v.Shape())
		b, x := make([]byte, v.Bytes()), make([]float64, v.Len())
		require.NoError(t, dev.Download(b, v))
		for i := range x {
			x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		}
		return x
	}
	for _, p := range net.Params() {
		assert.Equal(t, values(t, p.Value), read(p.Param), p.Path)
	}
	first := net.Params()[0].Param
	old := first.Value
	old.Data().([]float32)[0] = 12
	assert.Equal(t, 12.0, read(first)[0], "it is the host's memory")
	require.NoError(t, s.Download())
	assert.Same(t, old, first.Value, "there is nothing newer")

	float32s(t, net)
	first.Value.Data().([]float32)[0] = 13
	assert.Equal(t, 12.0, read(first)[0], "before Upload")
	require.NoError(t, s.Upload())
	s.Bind(tape)
	assert.Equal(t, 13.0, read(first)[0])
}
