package vectors

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

const format = 1

// Results are what a GPU gave for the cases.
type Results struct {
	Format int      `json:"format"`
	Device string   `json:"device"` // the GPU and its driver
	Arch   string   `json:"arch"`   // of the kernels' images
	Cases  []Result `json:"cases"`
}

// Result is one case's.
type Result struct {
	Name   string `json:"name"`
	Inputs string `json:"inputs"` // Case.Digest
	Bytes  int    `json:"bytes"`
	Data   []byte `json:"-"`
}

// Collect runs all cases. Those whose result is not the reference's are listed in wrong, and kept all the same.
func Collect(r *Rig, device string) (all Results, figures []Figure, wrong []error) {
	all = Results{Format: format, Device: device, Arch: r.Arch()}
	for _, c := range Cases() {
		if !r.Takes(c) {
			continue
		}
		y, err := r.Run(c)
		if err != nil {
			return all, figures, append(wrong, err) // a GPU that has failed goes on failing
		}
		worst, err := c.Check(y)
		if err != nil {
			wrong = append(wrong, err)
		}
		figures = append(figures, Figure{c.Name, c.Count(), c.Exact(), worst})
		all.Cases = append(all.Cases, Result{c.Name, c.Digest(), len(y), y})
	}
	return all, figures, wrong
}

// Figure is how near a case's results came to the reference.
type Figure struct {
	Name  string
	Count int
	Exact bool
	Worst float64 // in units of the case's bound
}

// Compare holds results against those of a GPU. Cases whose inputs are others by now are named in stale; n counts those
// that were compared.
func (a *Results) Compare(gpu *Results) (n int, stale []string, wrong []error) {
	cases := map[string]*Case{}
	for _, c := range Cases() {
		cases[c.Name] = c
	}
	mine := map[string]Result{}
	for _, r := range a.Cases {
		mine[r.Name] = r
	}
	for _, g := range gpu.Cases {
		m, ok := mine[g.Name]
		if !ok || m.Inputs != g.Inputs || cases[g.Name] == nil {
			stale = append(stale, g.Name)
			continue
		}
		n++
		if err := cases[g.Name].Agree(m.Data, g.Data); err != nil {
			wrong = append(wrong, err)
		}
	}
	return n, stale, wrong
}

// Write writes a file: packed by gzip, a line of JSON that says what follows, then the bytes of all results.
func (a *Results) Write(w io.Writer) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	head, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = z.Write(append(head, '\n'))
	for _, c := range a.Cases {
		if err == nil {
			_, err = z.Write(c.Data)
		}
	}
	if err != nil {
		return err
	}
	return z.Close()
}

// Read reads what Write wrote.
func Read(r io.Reader) (*Results, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("vectors: %w", err)
	}
	b := bufio.NewReader(z)
	head, err := b.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("vectors: the first line: %w", err)
	}
	var a Results
	if err := json.Unmarshal(head, &a); err != nil {
		return nil, fmt.Errorf("vectors: the first line: %w", err)
	}
	if a.Format != format {
		return nil, fmt.Errorf("vectors: format %d, this program reads %d: let the bundle write the file anew", a.Format, format)
	}
	for i := range a.Cases {
		c := &a.Cases[i]
		if c.Bytes < 0 || c.Bytes > math.MaxInt32 {
			return nil, fmt.Errorf("vectors: %s: %d bytes", c.Name, c.Bytes)
		}
		var data bytes.Buffer
		if n, err := io.CopyN(&data, b, int64(c.Bytes)); err != nil {
			return nil, fmt.Errorf("vectors: %s: %d of %d bytes: %w", c.Name, n, c.Bytes, err)
		}
		c.Data = data.Bytes()
	}
	if n, err := io.Copy(io.Discard, b); n > 0 || err != nil { // to the end, where gzip checks its sum
		return nil, fmt.Errorf("vectors: after the last case: %d bytes, %v", n, err)
	}
	return &a, nil
}
