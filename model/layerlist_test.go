package model_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/acumen-ml/acumen/internal/fault"
	"github.com/acumen-ml/acumen/model"
)

func fromList(t testing.TB, text string, input [3]int, classes int) (*model.Network, error) {
	t.Helper()
	var n yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &n))
	return model.FromLayers(&n, input, classes)
}

const everyKind = `
- {conv2d: {out: 8, kernel: 3, pad: same, init: kaiming_normal, name: stem}}
- batchnorm
- relu
- {conv2d: {out: 12, kernel: [3, 1], stride: [2, 1], pad: [1, 0], dilation: 1, groups: 2, bias: false}}
- {batchnorm: {momentum: 0.4, eps: 1e-12, scale: false}}
- gelu
- residual: [{conv2d: {out: 12, pad: same}}, batchnorm, silu, conv2d: {out: 12, pad: same}]
- residual:
    body: [{conv2d: {out: 16, stride: 2, pad: 1}}, tanh]
    shortcut: [{subsample: 16}]
- {maxpool: {kernel: 3, stride: 2, pad: 1, ceil: true}}
- leaky_relu
- {leaky_relu: 0.2}
- {avgpool: {kernel: 2, stride: 1, count_pad: false}}
- {adaptive_maxpool: [3, 2]}
- {adaptive_avgpool: 2}
- gelu_tanh
- global_maxpool
- dropout:
- {dropout: 0.25}
- flatten
- {linear: {out: 20, bias: false, init: truncated_normal}}
- sigmoid
- {linear: 10}
- {scale: 0.125}
`

func TestFromLayers(t *testing.T) {
	net, err := fromList(t, everyKind, [3]int{16, 16, 3}, 10)
	require.NoError(t, err)
	assert.Equal(t, []int{8, 3, 3, 3}, net.Param("stem.weight").Shape)
	assert.Equal(t, []int{12, 3, 1, 4}, net.Param("conv2d_2.weight").Shape)
	assert.Nil(t, net.Param("conv2d_2.bias"))
	assert.Nil(t, net.Param("batchnorm_2.gamma"))
	assert.NotNil(t, net.Param("residual_2.body.conv2d_1.weight"))
	shapes := map[string][]int{}
	for _, row := range net.Costs() {
		shapes[row.Path] = row.Out
	}
	for path, want := range map[string][]int{"stem": {16, 16, 8}, "conv2d_2": {8, 16, 12}, "residual_1": {8, 16, 12}, "residual_2": {4, 8, 16},
		"maxpool_1": {3, 5, 16}, "avgpool_1": {2, 4, 16}, "adaptive_maxpool_1": {3, 2, 16}, "adaptive_avgpool_1": {2, 2, 16},
		"global_maxpool_1": {1, 1, 16}, "flatten_1": {16}, "scale_1": {10}} {
		assert.Equal(t, want, shapes[path], path)
	}

	again, err := model.FromSpec(net.Spec)
	require.NoError(t, err, net.Spec)
	assert.Equal(t, net.Spec, again.Spec)
	assert.Equal(t, net.Costs(), again.Costs())
	assert.Equal(t, paths(net), paths(again))
	assert.Equal(t, [3]int{16, 16, 3}, again.Input)
}

func TestFromLayersRefuses(t *testing.T) {
	for _, c := range []struct{ list, want, hint string }{
		{"relu", `model.layers (line 1): want a list of layers, got "relu"`, "[conv2d"},
		{"- {conv2d: {out: 8}}\n- reluu", `model.layers[1] (line 2): there is no layer "reluu"`, "did you mean relu?"},
		{"[frobnicate]", `there is no layer "frobnicate"`, "the kinds are adaptive_avgpool"},
		{"- {conv2d: {out: 8, kernl: 5}}", `model.layers[0] (conv2d, line 1): there is no option "kernl"`, "did you mean kernel?"},
		{"- conv2d:\n    out: 8\n    zzz: 5", `model.layers[0] (conv2d, line 1) line 3: there is no option "zzz"`, "conv2d has name, out, kernel"},
		{"- {conv2d: {out: 8, out: 9}}", "out is given twice", "keep one"},
		{"- {conv2d: {out: many}}", `model.layers[0] (conv2d, line 1): out is "many"`, "write out: a whole number"},
		{"- {conv2d: {kernel: 3}}", "out is missing", "{conv2d: {out: 32}}"},
		{"- {conv2d: {out: 0}}", "out: 0", "from 1 on"},
		{"- {conv2d: {out: 8, kernel: [3, 3, 3]}}", "kernel has 3 numbers", "[height, width]"},
		{"- {conv2d: {out: 8, kernel: 4, pad: same}}", "pad: same needs a kernel of odd size, not 4x4", "odd kernel"},
		{"- {conv2d: {out: 8, groups: 2}}", "groups: 2 does not divide 3 input channels and 8 outputs", "divisor"},
		{"- {conv2d: {out: 8, kernel: 9}}", "model.layers[0] (conv2d, line 1): conv2d takes at least the 9x9 pixels of its kernel, its input is 8x8x3", "pad"},
		{"- {conv2d: {out: 8, init: kaimin_normal}}", `no initialiser "kaimin_normal"`, "did you mean kaiming_normal?"},
		{"- {conv2d: {out: 8, name: a.b}}", `"a.b" has a dot`, "letters"},
		{"[{conv2d: {out: 8, name: a}}, {conv2d: {out: 8, name: a}}]", "another layer is called a", "its own name"},
		{"- {linear: 10}", "model.layers[0] (linear, line 1): it takes rows, its input is 8x8x3", "flatten"},
		{"[flatten, {conv2d: 8}]", "it takes pictures (H,W,C), its input is 192", "before flatten"},
		{"[flatten, {maxpool: 2}]", "model.layers[1] (maxpool, line 1): maxpool takes pictures (H,W,C), its input is 192", "before flatten"},
		{"- {relu: 3}", `model.layers[0] (relu, line 1): it takes no plain value, got "3"`, "write relu alone"},
		{"- {dropout: 1}", "p: 1", "under 1"},
		{"- {dropout: x}", `p is "x"`, "a number"},
		{"- {batchnorm: {scale: 3}}", `scale is "3"`, "true or false"},
		{"- scale", "factor is missing", "{scale: 0.125}"},
		{"- {maxpool: {kernel: 2, pad: 2}}", "pad: [2 2] under a window of [2 2]", "half"},
		{"- {maxpool: 9}", "maxpool takes at least the 9x9 pixels of its window, its input is 8x8x3", "smaller"},
		{"- {a: 1, b: 2}", "want a layer, got a mapping of 2 keys", "one kind"},
		{"- [relu]", "want a layer, got a list", "one kind"},
		{"- residual: [{conv2d: {out: 3, pad: same}}, bathcnorm]", `model.layers[0].residual[1] (line 1): there is no layer "bathcnorm"`, "did you mean batchnorm?"},
		{"- residual: {shortcut: []}", "body is missing", "residual: [...]"},
		{"- residual: [{conv2d: {out: 4, pad: same}}]", "model.layers[0] (residual, line 1): residual adds its body's 8x8x4 to its shortcut's 8x8x3", "subsample"},
		{"- residual: {body: [relu], shortcut: [{subsample: 2}]}", "subsample takes (H,W,C) with C up to 2, its input is 8x8x3", "at least the channels"},
		{"[flatten, {linear: 7}]", "the output has shape [7], 10 classes need [10]", "linear with 10 outputs"},
		{"- {conv2d: {out: 16777216, pad: 4096}}", "model.layers[0] (conv2d, line 1): its output of 8198x8198x16777216 has over", "smaller"},
		{"- {conv2d: {out: 16777217}}", "out: 16777217", "up to 16777216"},
		{"&a [{residual: *a}]", "over 10000 layers, or 16 lists within each other", "alias"},
		{"[]", "the output has shape [8 8 3]", "linear with 10 outputs"},
	} {
		var n yaml.Node
		require.NoError(t, yaml.Unmarshal([]byte(c.list), &n), c.list)
		_, err := model.FromLayers(&n, [3]int{8, 8, 3}, 10)
		if assert.ErrorContains(t, err, c.want, c.list) {
			assert.Contains(t, fault.HintOf(err), c.hint, c.list)
			assert.Equal(t, fault.Usage, fault.KindOf(err), c.list)
		}
	}
}

func TestFromSpecRefuses(t *testing.T) {
	for _, c := range []struct{ spec, want string }{
		{"", "EOF"}, {"{", "model description"}, {`{"input":[1,1,1],"classes":2}`, "either name or layers"},
		{`{"name":"mlp","layers":[relu],"input":[1,1,1],"classes":2}`, "either name or layers"},
		{`{"name":"mlp","input":[1,1],"classes":2}`, "model description"}, {`{"name":"mlp","inputs":[1,1,1],"classes":2}`, "inputs"},
		{`{"name":"mlpp","input":[1,1,1],"classes":2}`, "no model"}, {`{"layers":[flatten],"input":[1,1,1],"classes":2}`, "2 classes"},
	} {
		_, err := model.FromSpec(c.spec)
		if assert.ErrorContains(t, err, c.want, c.spec) {
			assert.NotEmpty(t, fault.HintOf(err), c.spec)
		}
	}
}

// FuzzFromSpec: whatever text is given, there is a network or an error with a hint.
func FuzzFromSpec(f *testing.F) {
	net, err := fromList(f, everyKind, [3]int{16, 16, 3}, 10)
	require.NoError(f, err)
	f.Add(net.Spec)
	f.Add(`{"name":"lenet5","input":[28,28,1],"classes":10}`)
	f.Add("layers: &a [flatten, {linear: 2}, residual: *a]\ninput: [2, 2, 1]\nclasses: 2")
	f.Fuzz(func(t *testing.T, text string) {
		net, err := model.FromSpec(text)
		if err != nil {
			require.NotEmpty(t, fault.HintOf(err), err)
			return
		}
		again, err := model.FromSpec(net.Spec)
		require.NoError(t, err, net.Spec)
		require.Equal(t, paths(net), paths(again))
	})
}
