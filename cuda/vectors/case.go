package vectors

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// outType is what the bytes of a result are.
type outType uint8

const (
	outWords outType = iota // compared bit for bit
	outF32
	outF64
)

func (t outType) size() int {
	if t == outF64 {
		return 8
	}
	return 4
}

// Case is one instruction or function with its inputs, and what is to come out.
type Case struct {
	Name string
	// Ulps is how far a result may be from the reference, in units of its last place; 0: it is defined to the bit. For
	// functions it is what NVIDIA's table of errors says, with one more for f64's erf and erfc, and two for its sine and
	// cosine, whose references are package math's.
	Ulps int
	// Tensor cases need compute capability 8.0.
	Tensor bool

	kernel string
	op     int32
	in     [3][]byte
	n      int    // elements, or warps
	grid   uint32 // blocks
	block  uint32
	out    outType
	want   []byte
	bound  []float64 // instead of Ulps: how far each number may be off
}

// Count is the number of results.
func (c *Case) Count() int { return len(c.want) / c.out.size() }

// Digest names the inputs: results of other inputs cannot be compared.
func (c *Case) Digest() string {
	h := sha256.New()
	for _, b := range c.in {
		fmt.Fprintln(h, len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Exact reports whether the result is defined to the bit. All NaN count as one.
func (c *Case) Exact() bool { return c.Ulps == 0 && c.bound == nil }

// Check compares a result with the reference. It gives the largest error in units of the bound, under 1 if all is well.
func (c *Case) Check(got []byte) (worst float64, err error) {
	return c.compare(got, c.want, 1, "the reference's")
}

// Agree compares a result with one that a GPU gave: the same bits, or a distance that two results within the bound can
// have.
func (c *Case) Agree(got, oracle []byte) error {
	_, err := c.compare(got, oracle, 2, "the GPU's")
	return err
}

func (c *Case) compare(got, want []byte, times float64, whose string) (worst float64, err error) {
	if len(got) != len(c.want) || len(want) != len(c.want) {
		return math.Inf(1), fmt.Errorf("%s: %d bytes, %s %d, the case's %d", c.Name, len(got), whose, len(want), len(c.want))
	}
	for i := range c.Count() {
		e := c.errorAt(i, got, want)
		if e > times && err == nil {
			err = fmt.Errorf("%s: result %d of %d from %s is %s, %s %s", c.Name, i, c.Count(), c.inputs(i), c.show(got, i), whose, c.show(want, i))
		}
		worst = max(worst, e)
	}
	return worst, err
}

// errorAt is the distance of two results in units of the bound.
func (c *Case) errorAt(i int, got, want []byte) float64 {
	s := c.out.size()
	a, b := got[i*s:(i+1)*s], want[i*s:(i+1)*s]
	if slices.Equal(a, b) {
		return 0
	}
	var x, y float64
	var ulps int64
	switch c.out {
	case outWords:
		return math.Inf(1)
	case outF32:
		u, v := math.Float32frombits(le.Uint32(a)), math.Float32frombits(le.Uint32(b))
		x, y, ulps = float64(u), float64(v), ordered(int64(int32(le.Uint32(a))), 31)-ordered(int64(int32(le.Uint32(b))), 31)
	case outF64:
		x, y = math.Float64frombits(le.Uint64(a)), math.Float64frombits(le.Uint64(b))
		ulps = ordered(int64(le.Uint64(a)), 63) - ordered(int64(le.Uint64(b)), 63)
	}
	switch {
	case math.IsNaN(x) && math.IsNaN(y):
		return 0
	case math.IsNaN(x) || math.IsNaN(y) || c.Exact():
		return math.Inf(1)
	case c.bound != nil:
		if x == y {
			return 0
		}
		return math.Abs(x-y) / c.bound[i]
	}
	return math.Abs(float64(ulps)) / float64(c.Ulps)
}

// ordered maps the bits of a float, sign-extended, to integers in the order of the numbers; both zeros are 0.
func ordered(bits int64, sign uint) int64 {
	if bits < 0 {
		return -(bits & (1<<sign - 1))
	}
	return bits
}

func (c *Case) show(b []byte, i int) string {
	switch s := b[i*c.out.size():]; c.out {
	case outF32:
		return fmt.Sprintf("%v (%08x)", math.Float32frombits(le.Uint32(s)), le.Uint32(s))
	case outF64:
		return fmt.Sprintf("%v (%016x)", math.Float64frombits(le.Uint64(s)), le.Uint64(s))
	default:
		return fmt.Sprintf("%08x", le.Uint32(s))
	}
}

// inputs shows the inputs that result i is made of, where these lie side by side.
func (c *Case) inputs(i int) string {
	text := ""
	for _, b := range c.in {
		if each := len(b) / max(c.n, 1); each > 0 && each <= 16 && c.block > 32 {
			at := i * c.n / c.Count()
			text += fmt.Sprintf(" %x", b[at*each:(at+1)*each])
		}
	}
	if text == "" {
		return "the case's inputs"
	}
	return "little-endian" + text
}

var le = binary.LittleEndian

// draws gives the random numbers of a case: the same each time, whatever cases there are.
func draws(name string) *rand.Rand {
	h := sha256.Sum256([]byte(name))
	return rand.New(rand.NewPCG(le.Uint64(h[:]), le.Uint64(h[8:])))
}

// Cases are all, in a fixed order.
func Cases() []*Case {
	return slices.Concat(f32Cases(), f64Cases(), convertCases(), randomCases(), warpCases(), mmaCases(), asyncCases())
}
