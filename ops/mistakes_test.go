package ops_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

func TestShapeMistakesPanicWithShapes(t *testing.T) {
	r := newRig(t, device.F32, 1<<20)
	x := func(dims ...int) *ops.Tensor {
		n := 1
		for _, d := range dims {
			n *= d
		}
		return r.leaf(numbers(n, 1), dims...)
	}
	classes := ops.Leaf(r.view(device.I32, nil, 3))
	for name, c := range map[string]struct {
		f    func()
		says []string
	}{
		"Add":       {func() { ops.Add(r.tape, x(2, 3), x(4)) }, []string{"[2 3]", "[4]"}},
		"MatMul":    {func() { ops.MatMul(r.tape, x(2, 3), x(4, 5)) }, []string{"[2 3]", "[4 5]"}},
		"Linear":    {func() { ops.Linear(r.tape, x(2, 3), x(5, 4), nil) }, []string{"[2 3]", "[5 4]"}},
		"Reshape":   {func() { ops.Reshape(r.tape, x(2, 3), 4, -1) }, []string{"[2 3]", "[4 -1]"}},
		"Transpose": {func() { ops.Transpose(r.tape, x(2, 3), 0) }, []string{"[2 3]", "[0]"}},
		"Slice":     {func() { ops.Slice(r.tape, x(2), []int{0, 0}, []int{1, 1}, nil) }, []string{"[2]"}},
		"Pad":       {func() { ops.Pad(r.tape, x(2), [][2]int{{-3, 0}}, 0) }, []string{"[2]", "[[-3 0]]"}},
		"Concat":    {func() { ops.Concat(r.tape, 0, x(2, 3), x(2, 4)) }, []string{"[2 3]", "[2 4]"}},
		"Gather":    {func() { ops.Gather(r.tape, x(2, 3), classes, 0) }, []string{"[2 3]", "[3]"}},
		"Take":      {func() { ops.Take(r.tape, x(2, 3), x(2), 0) }, []string{"[2 3]", "[2]"}},
		"Sum":       {func() { ops.Sum(r.tape, x(2, 3), false, 2) }, []string{"[2 3]", "axis 2"}},
		"Softmax":   {func() { ops.Softmax(r.tape, x(2, 3), -3) }, []string{"[2 3]", "axis -3"}},
		"Conv2D": {func() {
			ops.Conv2D(r.tape, x(1, 4, 4, 3), x(2, 3, 3, 2), nil, device.Conv2D{StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Groups: 1})
		}, []string{"[1 4 4 3]", "[2 3 3 2]"}},
		"MaxPool2D": {func() {
			ops.MaxPool2D(r.tape, x(1, 4, 4, 3), device.Pool2D{KernelH: 5, KernelW: 2, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1})
		}, []string{"[1 4 4 3]", "KernelH:5"}},
		"BatchNorm":        {func() { ops.BatchNorm(r.tape, x(4, 3), x(4), nil, ops.BatchNormState{}) }, []string{"[4 3]", "[4]"}},
		"BatchNormAct":     {func() { ops.BatchNormAct(r.tape, x(4, 3), nil, nil, ops.BatchNormState{}, device.LeakyRelu) }, []string{"leaky_relu"}},
		"MSELoss":          {func() { ops.MSELoss(r.tape, x(4, 3), x(4), ops.ReduceMean) }, []string{"[4 3]", "[4]"}},
		"CrossEntropy":     {func() { ops.CrossEntropy(r.tape, x(4, 3), classes, ops.CrossEntropyOptions{}) }, []string{"[4 3]", "[3]"}},
		"CrossEntropySoft": {func() { ops.CrossEntropySoft(r.tape, x(4, 3), x(4, 2), ops.CrossEntropyOptions{}) }, []string{"[4 3]", "[4 2]"}},
		"Dropout":          {func() { ops.Dropout(r.tape, x(4, 3), 1.5) }, []string{"[4 3]", "1.5"}},
	} {
		message := panicOf(c.f)
		for _, s := range append(c.says, "ops."+name+":") {
			assert.Contains(t, message, s)
		}
	}
	r.end()
}

func panicOf(f func()) (message string) {
	defer func() { message = fmt.Sprint(recover()) }()
	f()
	return
}
