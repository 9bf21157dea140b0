package model_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/model/modeltest"
)

// float64 sums of some thousand terms, through some 60 layers; measured at most 1.3e-14.
const tolerance64 = 1e-9

type goldenNetwork struct {
	Evaluated, Trained modeltest.Digest
	Loss               float64
	Grads, Buffers     map[string]modeltest.Digest
}

// Outputs, loss, gradients and running statistics of whole networks agree with PyTorch's.
func TestNetworksAgreeWithPyTorch(t *testing.T) {
	var golden struct{ Networks map[string]goldenNetwork }
	require.NoError(t, modeltest.Load("../testdata/golden/networks.json", &golden))
	require.Len(t, golden.Networks, 4)
	for name, want := range golden.Networks {
		if testing.Short() && name == "resnet20" {
			continue
		}
		for _, dev := range devices {
			t.Run(name+"/"+dev, func(t *testing.T) { agree(t, dev, name, want) })
		}
	}
}

func agree(t *testing.T, dev, name string, want goldenNetwork) {
	input := [3]int{32, 32, 3}
	if name == "mlp" || name == "lenet5" {
		input = [3]int{28, 28, 1}
	}
	net, err := model.New(name, input, 10)
	require.NoError(t, err)
	modeltest.Fill(net)
	r := modeltest.NewRig(t, openOn(t, dev), net, device.F64)
	x, labels := modeltest.Batch(name, 4, input)

	close := func(what string, d modeltest.Digest, x *tensor.Dense) {
		t.Helper()
		assert.LessOrEqual(t, d.Distance(x), tolerance64, what)
	}
	close("output in evaluation", want.Evaluated, r.Evaluate(x))
	y, loss := r.Step(x, labels)
	close("output in training", want.Trained, y)
	assert.InEpsilon(t, want.Loss, loss, tolerance64)
	require.Len(t, net.Params(), len(want.Grads))
	for _, p := range net.Params() {
		g, err := r.Store.Get(r.Store.G, p.Path)
		require.NoError(t, err)
		close(fmt.Sprintf("gradient of %s", p.Path), want.Grads[p.Path], g)
	}
	r.Commit()
	require.NoError(t, r.Store.Download())
	require.Len(t, net.Buffers(), len(want.Buffers))
	for _, b := range net.Buffers() {
		close(b.Path, want.Buffers[b.Path], b.Value)
	}
}
