package cuda

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

var (
	kUniform     = kernel("random", "random_uniform")
	kNormal      = kernel("random", "random_normal")
	kPermutation = kernel("random", "random_permutation")
)

var randomNames = [...]string{device.Uniform: "Random.uniform", device.Normal: "Random.normal", device.Bits: "Random.bits", device.Permutation: "Random.permutation"}

type randomParams struct {
	fault, state uintptr
	stream       uint32
	four, bits   int32
	_            int32
	nest         nest
}

// Random draws y by dist: see philox.go of package device.
func (d *Device) Random(y device.View, dist device.Dist, state device.View, stream uint32) {
	name := randomNames[dist]
	if state.Type != device.I32 || state.Len() != 4 || !state.Contiguous() {
		panic(fmt.Sprintf("cuda.%s: state %s is not 4 contiguous i32", name, state))
	}
	if (dist == device.Bits || dist == device.Permutation) && y.Type != device.I32 {
		panic(fmt.Sprintf("cuda.%s: %s is not i32", name, y))
	}
	views := operands(name, y)
	d.enqueue(name, views, []device.View{state}, 0, func() error {
		p := randomParams{fault: d.fault(), state: address(state), stream: stream, nest: rowMajor(y)}
		if p.nest.n == 0 {
			return nil
		}
		id, threads := kUniform, (y.Len()+3)/4
		four := p.nest.rank == 1 && y.Type != device.F64 && p.nest.fours(1)
		switch dist {
		case device.Bits:
			p.bits = 1
		case device.Normal:
			id, four = kNormal, four && y.Type == device.F32
		case device.Permutation:
			id, threads = kPermutation, y.Len()
		}
		if four {
			p.four = 1
		}
		return launch(d, id, d.spread(threads, 256), 256, 0, &p)
	})
}

// rowMajor is the loops over y in row-major order, which counts the numbers of a draw; newNest takes the order of strides.
func rowMajor(y device.View) nest {
	n := nest{n: int64(y.Len())}
	n.op[0].data, n.op[0].typ = address(y), int32(y.Type)
	str := &n.op[0].str
	for a := range int(y.Rank) {
		switch r := n.rank - 1; {
		case y.Dim[a] == 1:
		case r >= 0 && str[r] == y.Str[a]*y.Dim[a]:
			n.dim[r] *= y.Dim[a]
			str[r] = y.Str[a]
		default:
			n.dim[n.rank], str[n.rank] = y.Dim[a], y.Str[a]
			n.rank++
		}
	}
	if n.rank == 0 {
		n.rank, n.dim[0] = 1, 1
	}
	return n
}
