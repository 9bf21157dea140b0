// Package modeltest fills networks with numbers by formula and compares results with digests of tensors, as
// testdata/golden/make_networks.py does it in PyTorch.
package modeltest

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"strings"

	"gorgonia.org/tensor"

	"github.com/acumen-ml/acumen/model"
)

// hashes are splitmix64 (Steele, Lea, Flood, OOPSLA 2014) of the name's FNV-1a hash as seed.
func hashes(name string, n int) []uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	seed, out := h.Sum64(), make([]uint64, n)
	for i := range out {
		z := seed + uint64(i)*0x9E3779B97F4A7C15
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		out[i] = z ^ z>>31
	}
	return out
}

// Values is offset + scale u for each element, u of [-1, 1) in steps of 2^-15.
func Values(name string, shape []int, scale, offset float64) *tensor.Dense {
	n := 1
	for _, d := range shape {
		n *= d
	}
	x := make([]float64, n)
	for i, h := range hashes(name, n) {
		x[i] = offset + scale*(float64(h>>48)/(1<<15)-1)
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
}

// Batch is n pictures of the given height, width and channels, of [-1, 1), and their labels, 0 to 9.
func Batch(name string, n int, shape [3]int) (x *tensor.Dense, labels []int32) {
	for _, h := range hashes(name+".labels", n) {
		labels = append(labels, int32(h%10))
	}
	return Values(name+".x", []int{n, shape[0], shape[1], shape[2]}, 1, 0), labels
}

// Fill gives all parameters and buffers of net values by formula, as float64 that float32 holds exactly.
func Fill(net *model.Network) {
	for _, p := range net.Params() {
		switch name := p.Path[strings.LastIndexByte(p.Path, '.')+1:]; name {
		case "weight":
			fan := 1
			for _, d := range p.Shape[1:] {
				fan *= d
			}
			p.Value = Values(p.Path, p.Shape, math.Exp2(math.RoundToEven(math.Log2(math.Sqrt(6/float64(fan))))), 0)
		case "bias":
			p.Value = Values(p.Path, p.Shape, 0.125, 0)
		case "gamma":
			p.Value = Values(p.Path, p.Shape, 0.25, 1)
		case "beta":
			p.Value = Values(p.Path, p.Shape, 0.25, 0)
		default:
			panic("modeltest.Fill: parameter " + p.Path)
		}
	}
	for _, b := range net.Buffers() {
		b.Value = Values(b.Path, b.Shape, 0.25, b.Fill)
	}
}

// Digest is what is kept of a tensor: its norm, its largest magnitude, and up to 64 entries spread evenly over it.
type Digest struct {
	Norm, Max float64
	Entries   []float64
}

// Distance is the largest difference between the kept entries and x's, over the largest magnitude, or the relative
// difference of the norms if that is larger. x is float32 or float64.
func (d Digest) Distance(x *tensor.Dense) float64 {
	var a []float64
	switch v := x.Data().(type) {
	case []float64:
		a = v
	case []float32:
		for _, f := range v {
			a = append(a, float64(f))
		}
	default:
		panic(fmt.Sprintf("modeltest.Digest: a tensor of %s", x.Dtype()))
	}
	k := min(64, len(a))
	if k != len(d.Entries) || d.Max == 0 {
		return math.Inf(1)
	}
	sum, worst := 0.0, 0.0
	for _, f := range a {
		sum += f * f
	}
	for i := range k {
		worst = max(worst, math.Abs(a[i*len(a)/k]-d.Entries[i])/d.Max) // NaN stays NaN
	}
	return max(worst, math.Abs(math.Sqrt(sum)-d.Norm)/d.Norm)
}

// Load reads a JSON file into v.
func Load(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
