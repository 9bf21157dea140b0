package trainer_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer"
)

// The CPU and the deferred device, whose loops are plain, agree layer by layer; a kernel that is wrong shows first in the
// layer that uses it.
func TestCompare(t *testing.T) {
	train := pictures(t, 40, 1)
	ref, dev := open(t, "cpu", 2), open(t, "deferred", 1)
	o := options()
	all, err := trainer.Compare(ref, dev, network(t, convNet), train, o)
	require.NoError(t, err)
	kinds := map[trainer.DeviationKind]int{}
	for _, d := range all {
		kinds[d.Kind]++
		assert.LessOrEqual(t, d.Error, 1e-4, "%s of %s", d.Kind, d.Name) // f32 sums in other orders, through a batch norm; measured 3e-6
	}
	assert.GreaterOrEqual(t, kinds[trainer.Output], 8)
	assert.GreaterOrEqual(t, kinds[trainer.OutputGrad], 8)
	assert.Equal(t, 7, kinds[trainer.ParameterGrad])

	// Doubling one of the kernel calls' results is found where it is.
	spoil := 0
	undo := device.Hook(dev, func(c device.Call) error {
		if c.Phase == device.After && c.Kernel == "Unary.relu" {
			if spoil++; spoil == 1 {
				dev.Unary(device.Affine, c.Writes[0], c.Writes[0], 1.5, 0)
			}
		}
		return nil
	})
	all, err = trainer.Compare(ref, dev, network(t, convNet), train, o)
	undo()
	require.NoError(t, err)
	first := 0
	for all[first].Error < 1e-3 {
		first++
	}
	assert.Equal(t, "relu_1", all[first].Name)
	assert.Equal(t, trainer.Output, all[first].Kind)
	assert.InDelta(t, 1.0/3, math.Min(all[first].Error, 1), 0.2)
	require.NoError(t, dev.Close())
	require.NoError(t, ref.Close())
}
