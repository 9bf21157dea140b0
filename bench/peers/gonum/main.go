// Command gonum is gonum's BLAS, in Go with assembly, as a peer of bench.
package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/acumen-ml/acumen/bench/peer"
	"github.com/acumen-ml/acumen/bench/peers/version"
)

func main() {
	about := "gonum " + version.Of("gonum.org/v1/gonum")
	if err := peer.Serve(os.Stdin, os.Stdout, about, prepare); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func prepare(c peer.Case, threads int) (peer.Work, error) {
	if c.Kind != "matmul" {
		return peer.Work{}, &peer.LacksError{Peer: "gonum", Reason: "no " + c.Kind}
	}
	a, b, y := numbers(c.M*c.K), numbers(c.K*c.N), make([]float32, c.M*c.N)
	return peer.Work{Call: func() {
		runtime.GOMAXPROCS(threads) // it takes as many goroutines
		gonum.Implementation{}.Sgemm(blas.NoTrans, blas.NoTrans, c.M, c.N, c.K, 1, a, c.K, b, c.N, 0, y, c.N)
	}}, nil
}

func numbers(n int) []float32 {
	x, rnd := make([]float32, n), rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = float32(rnd.NormFloat64())
	}
	return x
}
