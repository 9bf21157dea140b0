package opstest

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// GoldenFormat is what a file of golden cases calls itself.
const GoldenFormat = "acumen-golden-v1"

// GoldenCase is one literal case: an op with its inputs, and what comes out according to someone else. Layouts are
// PyTorch's: activations (N,C,H,W), convolution weights (O,C/groups,kh,kw).
type GoldenCase struct {
	ID       string                     `json:"id"`
	Op       string                     `json:"op"`
	Params   map[string]json.RawMessage `json:"params"`
	Inputs   map[string]*Array          `json:"inputs"`
	Expected map[string]*Array          `json:"expected"`
	Upstream string                     `json:"upstream"`
	Grads    map[string]*Array          `json:"grads"`
	Atol     map[string]float64         `json:"atol"`
	Rtol     float64                    `json:"rtol"`
}

// UnmarshalJSON reads {"shape","data"|"fill","dtype"}, or a bare number.
func (g *Array) UnmarshalJSON(b []byte) error {
	var one goldenNumber
	if json.Unmarshal(b, &one) == nil {
		*g = Array{Shape: []int{}, Data: []float64{float64(one)}}
		return nil
	}
	var raw struct {
		Shape []int          `json:"shape"`
		Data  []goldenNumber `json:"data"`
		Fill  *goldenNumber  `json:"fill"`
		DType string         `json:"dtype"`
	}
	if err := strict(b, &raw); err != nil {
		return err
	}
	n := 1
	for _, d := range raw.Shape {
		if d < 0 || d > 0 && n > 1<<28/d {
			return fmt.Errorf("shape %v cannot be", raw.Shape)
		}
		n *= d
	}
	g.Shape, g.Data = raw.Shape, make([]float64, n)
	switch {
	case raw.Fill != nil && raw.Data == nil:
		for i := range g.Data {
			g.Data[i] = float64(*raw.Fill)
		}
	case len(raw.Data) == n && raw.Fill == nil:
		for i, v := range raw.Data {
			g.Data[i] = float64(v)
		}
	default:
		return fmt.Errorf("%d numbers for shape %v", len(raw.Data), raw.Shape)
	}
	switch raw.DType {
	case "i64", "i32", "int64", "int32":
		g.Int = true
	case "", "f16", "bf16", "f32", "f64", "float32", "float64":
	default:
		return fmt.Errorf("dtype %q is not known", raw.DType)
	}
	return nil
}

// goldenNumber is a number, "inf", "-inf" or "nan".
type goldenNumber float64

func (g *goldenNumber) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(string(b)) {
	case `"inf"`, `"+inf"`, `"infinity"`:
		*g = goldenNumber(math.Inf(1))
	case `"-inf"`, `"-infinity"`:
		*g = goldenNumber(math.Inf(-1))
	case `"nan"`:
		*g = goldenNumber(math.NaN())
	case "null":
		return fmt.Errorf("null is not a number")
	default:
		return json.Unmarshal(b, (*float64)(g))
	}
	return nil
}

func strict(b []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// ReadGolden reads a file of cases.
func ReadGolden(path string) ([]GoldenCase, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cases, err := ParseGolden(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cases, nil
}

// ParseGolden reads the text of a file of cases. A case that cannot be read is an error that names it.
func ParseGolden(b []byte) ([]GoldenCase, error) {
	var file struct {
		Format string            `json:"format"`
		Cases  []json.RawMessage `json:"cases"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	if file.Format != GoldenFormat {
		return nil, fmt.Errorf("format %q is not %s", file.Format, GoldenFormat)
	}
	cases := make([]GoldenCase, len(file.Cases))
	for i, raw := range file.Cases {
		if err := json.Unmarshal(raw, &cases[i]); err != nil {
			return nil, fmt.Errorf("case %d (%s): %w", i, cases[i].ID, err)
		}
		if cases[i].Op == "" {
			return nil, fmt.Errorf("case %d (%s): no op", i, cases[i].ID)
		}
	}
	return cases, nil
}

// Mismatch is a tensor of a golden case that came out wrong, or could not be had at all.
type Mismatch struct {
	Case, Tensor string
	Index        []int // of the worst element, in the case's layout
	Got, Want    float64
	Tolerance    float64
	Reason       string // set if there is nothing to compare
}

// String is the mismatch in one line.
func (m Mismatch) String() string {
	if m.Reason != "" {
		return fmt.Sprintf("%s: %s: %s", m.Case, m.Tensor, m.Reason)
	}
	return fmt.Sprintf("%s: %s: worst element %v: got %.17g, wanted %.17g, tolerance %.3g", m.Case, m.Tensor, m.Index, m.Got, m.Want, m.Tolerance)
}

// compare checks got against want by the rule of the format: |got - want| <= atol + rtol |want|.
func (c *GoldenCase) compare(name string, got, want *Array) *Mismatch {
	if want == nil {
		return &Mismatch{Case: c.ID, Tensor: name, Reason: "null is not a tensor"}
	}
	if !slices.Equal(got.Shape, want.Shape) && !(len(got.Data) == 1 && len(want.Data) == 1) {
		return &Mismatch{Case: c.ID, Tensor: name, Reason: fmt.Sprintf("shape %v, wanted %v", got.Shape, want.Shape)}
	}
	atol, ok := c.Atol[name]
	if !ok {
		atol = 1e-6 // the format's default
	}
	worst, at := 0.0, -1
	for i, w := range want.Data {
		g, tol := got.Data[i], atol+c.Rtol*math.Abs(w)
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if d := math.Abs(g - w); !(d <= tol) || math.IsInf(w, 0) {
			if excess := d / tol; at < 0 || excess > worst || math.IsNaN(d) {
				worst, at = excess, i
			}
		}
	}
	if at < 0 {
		return nil
	}
	w := want.Data[at]
	return &Mismatch{Case: c.ID, Tensor: name, Index: unravel(at, want.Shape), Got: got.Data[at], Want: w, Tolerance: atol + c.Rtol*math.Abs(w)}
}
