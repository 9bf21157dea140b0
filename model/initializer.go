package model

import (
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
)

// Initializer fills the values of a parameter of the given shape, row by row, with numbers from r.
type Initializer func(values []float32, shape []int, r *Rand)

// Rand is an endless row of random words for one parameter: Philox 4x32-10 with the seed as key and counter
// (block, 0, hash of the path).
type Rand struct {
	key     [2]uint32
	counter [4]uint32
	words   [4]uint32
	used    int
	spare   float64
	paired  bool
}

func newRand(seed, path uint64) *Rand {
	return &Rand{key: [2]uint32{uint32(seed), uint32(seed >> 32)}, counter: [4]uint32{0, 0, uint32(path), uint32(path >> 32)}, used: 4}
}

func (r *Rand) word() uint32 {
	if r.used == 4 {
		r.words, r.used = device.Philox(r.counter, r.key), 0
		if r.counter[0]++; r.counter[0] == 0 {
			r.counter[1]++
		}
	}
	r.used++
	return r.words[r.used-1]
}

// Uniform is the next number of [0, 1).
func (r *Rand) Uniform() float64 { return float64(device.UniformOf(r.word())) }

// Normal is the next normal deviate, mean 0, variance 1.
func (r *Rand) Normal() float64 {
	if r.paired {
		r.paired = false
		return r.spare
	}
	u0 := r.word()
	n0, n1 := device.NormalsOf(u0, r.word())
	r.spare, r.paired = n1, true
	return n0
}

// fans is how many inputs one output of a weight of shape (out, ..., in) reads, and how many outputs read one input,
// window positions aside.
func fans(shape []int) (in, out float64) {
	if len(shape) < 2 {
		panic(fmt.Sprintf("model: an initialiser by fan for shape %v, want (out, ..., in)", shape))
	}
	n := elements(shape)
	return float64(n / shape[0]), float64(n / shape[len(shape)-1])
}

func uniform(bound func(shape []int) float64) Initializer {
	return func(values []float32, shape []int, r *Rand) {
		b := bound(shape)
		for i := range values {
			values[i] = float32((2*r.Uniform() - 1) * b)
		}
	}
}

func normal(std func(shape []int) float64) Initializer {
	return func(values []float32, shape []int, r *Rand) {
		s := std(shape)
		for i := range values {
			values[i] = float32(r.Normal() * s)
		}
	}
}

// Zeros sets all values to 0.
func Zeros() Initializer { return Constant(0) }

// Ones sets all values to 1.
func Ones() Initializer { return Constant(1) }

// Constant sets all values to c.
func Constant(c float64) Initializer {
	return func(values []float32, _ []int, _ *Rand) {
		for i := range values {
			values[i] = float32(c)
		}
	}
}

// Uniform draws from [-bound, bound).
func Uniform(bound float64) Initializer { return uniform(func([]int) float64 { return bound }) }

// Normal draws with mean 0 and deviation std.
func Normal(std float64) Initializer { return normal(func([]int) float64 { return std }) }

// KaimingUniform draws from ±sqrt(6 / fan_in), and KaimingNormal with variance 2 / fan_in: the signal keeps its size
// through layers with ReLU (He, Zhang, Ren, Sun, arXiv 1502.01852, equation 10).
func KaimingUniform() Initializer {
	return uniform(func(s []int) float64 { in, _ := fans(s); return math.Sqrt(6 / in) })
}

// KaimingNormal draws with mean 0 and variance 2 / fan_in; see KaimingUniform.
func KaimingNormal() Initializer {
	return normal(func(s []int) float64 { in, _ := fans(s); return math.Sqrt(2 / in) })
}

// XavierUniform draws from ±sqrt(6 / (fan_in + fan_out)), and XavierNormal with variance 2 / (fan_in + fan_out): the
// signal keeps its size forward and backward through layers linear near 0 (Glorot and Bengio, AISTATS 2010, eq. 16).
func XavierUniform() Initializer {
	return uniform(func(s []int) float64 { in, out := fans(s); return math.Sqrt(6 / (in + out)) })
}

// XavierNormal draws with mean 0 and variance 2 / (fan_in + fan_out); see XavierUniform.
func XavierNormal() Initializer {
	return normal(func(s []int) float64 { in, out := fans(s); return math.Sqrt(2 / (in + out)) })
}

// LeCunUniform draws from ±sqrt(3 / fan_in), and LeCunNormal with variance 1 / fan_in (LeCun, Bottou, Orr, Müller,
// "Efficient BackProp", 1998, section 4.6).
func LeCunUniform() Initializer {
	return uniform(func(s []int) float64 { in, _ := fans(s); return math.Sqrt(3 / in) })
}

// LeCunNormal draws with mean 0 and variance 1 / fan_in; see LeCunUniform.
func LeCunNormal() Initializer {
	return normal(func(s []int) float64 { in, _ := fans(s); return math.Sqrt(1 / in) })
}

// FanIn draws from ±1 / sqrt(fan_in), what PyTorch's linear and convolution layers start from.
func FanIn() Initializer {
	return uniform(func(s []int) float64 { in, _ := fans(s); return 1 / math.Sqrt(in) })
}

// TruncatedNormal draws with mean 0 and deviation std before truncation; numbers beyond two deviations are drawn again,
// which leaves a deviation of 0.8796 std.
func TruncatedNormal(std float64) Initializer {
	return func(values []float32, _ []int, r *Rand) {
		for i := range values {
			z := r.Normal()
			for math.Abs(z) > 2 {
				z = r.Normal()
			}
			values[i] = float32(z * std)
		}
	}
}

// Dirac draws by rest and then lets filter i, for each input channel i, pass that channel unchanged: 1 at the kernel's
// centre, 0 elsewhere. For convolution weights (O,KH,KW,C) without groups.
func Dirac(rest Initializer) Initializer {
	return func(values []float32, shape []int, r *Rand) {
		if len(shape) != 4 {
			panic(fmt.Sprintf("model.Dirac: shape %v, want (O,KH,KW,C)", shape))
		}
		rest(values, shape, r)
		o, kh, kw, c := shape[0], shape[1], shape[2], shape[3]
		for i := range min(o, c) {
			filter := values[i*kh*kw*c : (i+1)*kh*kw*c]
			clear(filter)
			filter[(kh/2*kw+kw/2)*c+i] = 1
		}
	}
}
