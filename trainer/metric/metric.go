// Package metric counts on the device what an evaluation tells: loss, top-1 and top-5, right answers per class, and the
// confusion matrix. Nothing is read until the end.
package metric

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/ops"
)

// Result is what an evaluation found.
type Result struct {
	N         int       `json:"n"` // examples
	Loss      float64   `json:"loss"`
	Top1      float64   `json:"top1"`      // share of examples whose largest output is their class's
	Top5      float64   `json:"top5"`      // among the five largest; equal outputs rank by class number
	PerClass  []float64 `json:"per_class"` // share of right answers of each class; 0 for a class without examples
	Confusion [][]int   `json:"confusion"` // [class][answer]
}

// Accumulator adds up batches on a device.
type Accumulator struct {
	dev     device.Device
	classes int
	mem     device.Memory
	loss    device.View // F64: sum of losses
	top5    device.View // I32
	matrix  device.View // I32 (classes*classes): class*classes + answer
}

// NewAccumulator takes a few bytes per pair of classes on dev.
func NewAccumulator(dev device.Device, classes int) (*Accumulator, error) {
	m, err := dev.Alloc(16 + 4*classes*classes)
	if err != nil {
		return nil, err
	}
	return &Accumulator{dev, classes, m, device.Make(m, device.F64, 0), device.Make(m, device.I32, 2), device.Make(m, device.I32, 4, classes*classes)}, nil
}

// Bytes is the device memory in use.
func (a *Accumulator) Bytes() int { return a.mem.Bytes() }

// Reset begins a new evaluation.
func (a *Accumulator) Reset(t *ops.Tape) {
	t.Dev.Fill(a.loss, 0)
	t.Dev.Fill(a.top5, 0)
	t.Dev.Fill(a.matrix, 0)
}

// Add counts a batch: logits (n, classes), labels I32 (n), and the batch's mean loss, a scalar. It can be captured.
func (a *Accumulator) Add(t *ops.Tape, logits, labels, loss device.View) {
	d, ar := t.Dev, t.Arena
	n, k := logits.D(0), a.classes
	if logits.Rank != 2 || logits.D(1) != k || labels.Rank != 1 || labels.D(0) != n {
		panic(fmt.Sprintf("metric.Add: logits %s and labels %s for %d classes", logits, labels, k))
	}
	sum := ar.Get(device.F64)
	d.Unary(device.Affine, sum, loss, float64(n), 0)
	d.Binary(device.Add, a.loss, a.loss, sum)
	ar.Put(sum)

	// The matrix: one is added at class*k + answer.
	cell, answer, ones := ar.Get(device.I32, n), ar.Get(device.I32, n, 1), ar.Get(device.I32, n)
	d.Reduce(device.ArgMax, answer, logits)
	d.Fill(ones, float64(k))
	d.Binary(device.Mul, cell, labels, ones)
	d.Binary(device.Add, cell, cell, answer.Reshape(n))
	d.Fill(ones, 1)
	d.ScatterAdd(a.matrix, ones, cell)
	ar.Put(cell)
	ar.Put(answer)
	ar.Put(ones)

	// The rank of the right class is the number of classes less those that come after it: whose output is smaller, or
	// as large and the class not before it. So counted, a NaN is the largest output, as ArgMax has it, and its own
	// class's NaN is no hit.
	class, mine := ar.Get(device.I32, k), ar.Get(logits.Type, n, 1)
	hot, zero := ar.Get(device.I32, n, k), ar.Get(logits.Type)
	own := ar.Get(logits.Type, n, k)
	d.Iota(class, 0, 0, 1)
	d.Fill(zero, 0)
	d.Binary(device.Eq, hot, labels.Reshape(n, 1), class)
	d.Where(own, hot, logits, zero)
	d.Reduce(device.Sum, mine, own)
	ar.Put(own)
	ar.Put(zero)
	after, tie := ar.Get(device.I32, n, k), ar.Get(device.I32, n, k)
	d.Binary(device.Lt, after, logits, mine)
	d.Binary(device.Eq, tie, logits, mine)
	d.Binary(device.Add, after, after, tie)
	d.Binary(device.Lt, hot, class, labels.Reshape(n, 1))
	d.Binary(device.Mul, tie, tie, hot)
	d.Binary(device.Sub, after, after, tie)
	behind, in5 := ar.Get(device.I32, n, 1), ar.Get(device.I32, n, 1)
	bound, hits := ar.Get(device.I32), ar.Get(device.I32, 1, 1)
	d.Reduce(device.Sum, behind, after)
	d.Fill(bound, float64(max(k-5, 0))) // rank < 5 is classes - rank > classes - 5
	d.Binary(device.Lt, in5, bound, behind)
	d.Reduce(device.Sum, hits, in5)
	d.Binary(device.Add, a.top5, a.top5, hits.Reshape())
	for _, v := range []device.View{class, mine, hot, after, tie, behind, in5, bound, hits} {
		ar.Put(v)
	}
}

// Read waits for the device and tells what was counted.
func (a *Accumulator) Read() (Result, error) {
	all := device.Make(a.mem, device.U8, 0, a.mem.Bytes())
	b := make([]byte, all.Bytes())
	if err := a.dev.Download(b, all); err != nil {
		return Result{}, err
	}
	r := Result{PerClass: make([]float64, a.classes), Confusion: make([][]int, a.classes)}
	right := 0
	for c := range a.classes {
		r.Confusion[c] = make([]int, a.classes)
		of := 0
		for k := range a.classes {
			r.Confusion[c][k] = int(int32(binary.LittleEndian.Uint32(b[16+4*(c*a.classes+k):])))
			of += r.Confusion[c][k]
		}
		r.N += of
		right += r.Confusion[c][c]
		if of > 0 {
			r.PerClass[c] = float64(r.Confusion[c][c]) / float64(of)
		}
	}
	if r.N == 0 {
		return r, nil
	}
	r.Loss = math.Float64frombits(binary.LittleEndian.Uint64(b)) / float64(r.N)
	r.Top1 = float64(right) / float64(r.N)
	r.Top5 = float64(int32(binary.LittleEndian.Uint32(b[8:]))) / float64(r.N)
	return r, nil
}

// Close frees the memory.
func (a *Accumulator) Close() {
	if a.mem != nil {
		a.mem.Free()
		a.mem = nil
	}
}
