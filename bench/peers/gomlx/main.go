// Command gomlx is gomlx's back-end in Go as a peer of bench: matrix products, convolutions, and a step of an MLP.
package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/bench/peers/version"
)

func main() {
	out := os.Stdout
	os.Stdout = os.Stderr // the back-end prints how it was configured
	about := "gomlx " + version.Of("github.com/gomlx/gomlx") + ", Go back-end"
	if err := peer.Serve(os.Stdin, out, about, prepare); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func prepare(c peer.Case, threads int) (peer.Work, error) {
	runtime.GOMAXPROCS(threads)
	b, err := simplego.New(fmt.Sprintf("parallelism=%d", threads))
	if err != nil {
		return peer.Work{}, err
	}
	var w peer.Work
	switch {
	case c.Kind == "matmul":
		w, err = call(b, func(x, y *Node) *Node { return Dot(x, y) }, normal(1, c.M, c.K), normal(1, c.K, c.N))
	case c.Kind == "conv2d" && !c.Backward:
		// Pictures (N,H,W,C), kernels (KH,KW,C,O).
		w, err = call(b, func(x, k *Node) *Node { return Convolve(x, k).PadSame().Strides(1).Done() },
			normal(1, c.Batch, c.Size, c.Size, c.In), normal(0.05, c.Kernel, c.Kernel, c.In, c.Out))
	case c.Kind == "step" && c.Net == "mlp":
		w, err = step(b, c.Batch)
	default:
		err = &peer.LacksError{Peer: "gomlx", Reason: "no " + c.Kind + " of this kind"}
	}
	close := w.Close
	w.Close = func() {
		if close != nil {
			close()
		}
		b.Finalize()
	}
	return w, err
}

// call is one execution of f.
func call(b backends.Backend, f func(x, y *Node) *Node, x, y *tensors.Tensor) (peer.Work, error) {
	e, err := NewExec(b, f)
	if err != nil {
		return peer.Work{}, err
	}
	return peer.Work{Call: func() { must(e.MustExec1(x, y).FinalizeAll()) }, Close: e.Finalize}, nil
}

// step is 784-512-512-10 with ReLU and cross entropy, by SGD with Nesterov momentum and weight decay.
func step(b backends.Backend, batch int) (peer.Work, error) {
	x := normal(1, batch, 784)
	classes := make([]int32, batch)
	for i := range classes {
		classes[i] = int32(i % 10)
	}
	y := tensors.FromFlatDataAndDimensions(classes, batch, 1)
	var state []any // weights and biases, then what the momentum keeps of each
	sizes := []int{784, 512, 512, 10}
	for _, spread := range []float64{1, 0} {
		for i := range 3 {
			state = append(state, normal(spread/math.Sqrt(float64(sizes[i])), sizes[i], sizes[i+1]), normal(0, 1, sizes[i+1]))
		}
	}
	e, err := NewExec(b, func(in []*Node) []*Node {
		x, y, w, kept := in[0], in[1], in[2:8], in[8:]
		h := x
		for i := 0; i < 6; i += 2 {
			if i > 0 {
				h = MaxScalar(h, 0)
			}
			h = Add(Dot(h, w[i]), w[i+1])
		}
		picked := Mul(OneHot(Squeeze(y, -1), 10, dtypes.Float32), LogSoftmax(h))
		loss := MulScalar(ReduceAllSum(picked), -1/float64(batch))
		var moved, next []*Node
		for i, g := range Gradient(loss, w...) {
			g = Add(g, MulScalar(w[i], 5e-4))
			m := Add(MulScalar(kept[i], 0.85), g)
			moved = append(moved, Sub(w[i], MulScalar(Add(g, MulScalar(m, 0.85)), 1e-3)))
			next = append(next, m)
		}
		return append(append(moved, next...), loss)
	})
	if err != nil {
		return peer.Work{}, err
	}
	return peer.Work{Call: func() {
		out := e.MustExec(append([]any{x, y}, state...)...)
		for i := range state {
			must(state[i].(*tensors.Tensor).FinalizeAll())
			state[i] = out[i]
		}
		loss := tensors.ToScalar[float32](out[len(state)])
		if math.IsNaN(float64(loss)) || loss > 10 {
			panic(fmt.Sprintf("the loss is %v", loss))
		}
		must(out[len(state)].FinalizeAll())
	}, Close: e.Finalize}, nil
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// normal is normally distributed numbers with a deviation.
func normal(deviation float64, dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	x, rnd := make([]float32, n), rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = float32(deviation * rnd.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(x, dims...)
}
