package model_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
	"github.com/acumen-ml/acumen/model/modeltest"
)

var (
	digits  = [3]int{28, 28, 1}
	objects = [3]int{32, 32, 3}
)

// Parameters that are trained, those that are not, and multiply-adds.
var zoo = []struct {
	name           string
	input          [3]int
	params, frozen int
	multiplyAdds   int
}{
	{"mlp", digits, 784*512 + 512 + 512*512 + 512 + 512*10 + 10, 0, 784*512 + 512*512 + 5120},
	{"lenet5", digits, 61706, 0, 28*28*25*6 + 100*150*16 + 400*120 + 120*84 + 840},
	{"lenet5-wide", digits, 431080, 0, 24*24*25*20 + 64*500*50 + 800*500 + 5000},
	{"cnn-small", objects, 27*24 + 2*24 + 216*32 + 2*32 + 288*64 + 2*64 + 576*64 + 2*64 + 10250, 0, 5982208},
	{"cnn", objects, 307946, 0, 38653952},
	{"resnet20", objects, 269722, 0, 40551040},
	{"resnet18", objects, 11173962, 0, 555422720},
	{"cifar94", objects, 1971352, 288, 118147360}, // 236.29 MFLOP as published, a multiply-add counting 2
}

func TestZoo(t *testing.T) {
	var names []string
	for _, want := range zoo {
		names = append(names, want.name)
		net, err := model.New(want.name, want.input, 10)
		require.NoError(t, err)
		assert.Equal(t, want.params, net.NumParams(), want.name)
		assert.Equal(t, want.multiplyAdds, net.MultiplyAdds(), want.name)
		frozen := 0
		for _, row := range net.Costs() {
			frozen += row.Frozen
		}
		assert.Equal(t, want.frozen, frozen, want.name)
		assert.False(t, net.Initialised())

		again, err := model.FromSpec(net.Spec)
		require.NoError(t, err, net.Spec)
		assert.Equal(t, net.Name, again.Name)
		assert.Equal(t, paths(net), paths(again))
	}
	assert.ElementsMatch(t, names, model.Names())
}

func paths(net *model.Network) (all []string) {
	for _, p := range net.Params() {
		all = append(all, p.Path)
	}
	for _, b := range net.Buffers() {
		all = append(all, b.Path)
	}
	return all
}

func TestCNNSmallIsSmall(t *testing.T) {
	net, err := model.New("cnn-small", objects, 10)
	require.NoError(t, err)
	assert.LessOrEqual(t, net.MultiplyAdds(), 6_000_000)
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name       string
		input      [3]int
		classes    int
		want, hint string
	}{
		{"lenet", digits, 10, `no model "lenet"`, "did you mean lenet5?"},
		{"transformer", digits, 10, `no model "transformer"`, "the models are cifar94, cnn"},
		{"lenet5", [3]int{8, 8, 1}, 10, "model lenet5 for pictures of 8x8x1: lenet5[3] (conv2d): conv2d takes at least the 5x5 pixels of its kernel, its input is 4x4x6", "smaller kernel"},
		{"cifar94", [3]int{8, 8, 3}, 10, "maxpool takes at least the 2x2 pixels", "smaller window"},
		{"resnet20", [3]int{0, 8, 3}, 10, "pictures of 0x8x3", "at least 1"},
		{"cifar94", [3]int{32, 32, 0}, 10, "pictures of 32x32x0 and 10 classes", "at least 1"},
		{"mlp", digits, 0, "pictures of 28x28x1 and 0 classes", "at least 1"},
		{"mlp", [3]int{1 << 16, 1 << 16, 1}, 10, "its input of 65536x65536x1 has over 2147483647 elements", "smaller"},
		{"mlp", [3]int{1 << 15, 1 << 15, 1}, 10, "parameter linear_1.weight of 512x1073741824 has over", "smaller"},
	} {
		_, err := model.New(c.name, c.input, c.classes)
		if assert.ErrorContains(t, err, c.want) {
			assert.Contains(t, fault.HintOf(err), c.hint)
			assert.Equal(t, fault.Usage, fault.KindOf(err))
		}
	}
}

// Every model runs forward and backward, gives its handles back, and moves each parameter that is not frozen.
func TestZooRuns(t *testing.T) {
	for _, c := range zoo {
		if testing.Short() && c.multiplyAdds > 1e7 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			net, err := model.New(c.name, c.input, 10)
			require.NoError(t, err)
			net.Init(1)
			r := modeltest.NewRig(t, open(t), net, device.F32)
			x, labels := modeltest.Batch(c.name, 2, c.input)
			assert.Equal(t, []int{2, 10}, []int(r.Evaluate(x).Shape()))
			_, loss := r.Step(x, labels)
			assert.Greater(t, loss, 0.0)
			for _, p := range net.Params() {
				g, err := r.Store.Get(r.Store.G, p.Path)
				if p.Frozen {
					assert.ErrorContains(t, err, "frozen")
					continue
				}
				require.NoError(t, err)
				some := false
				for _, f := range g.Data().([]float32) {
					some = some || f != 0
				}
				assert.True(t, some, "the gradient of %s is 0", p.Path)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	net, err := model.New("cifar94", objects, 10)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, model.Summary(net, &b))
	for _, want := range []string{"whiten", "31x31x24", "312", "276,768", "3x3x256", "batchnorm_6", "linear_1",
		"cifar94: 1,971,352 parameters (and 288 frozen), 118,147,360 multiply-adds a picture, 7.5 MiB of weights"} {
		assert.Contains(t, b.String(), want)
	}
}
