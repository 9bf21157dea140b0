package opstest_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/device/devicetest"
	"github.com/acumen-ml/acumen/ops/opstest"
	"github.com/acumen-ml/acumen/testdata/golden"
)

// devices are those that every row runs on.
func devices(t *testing.T) (devs []opstest.Named) {
	for _, name := range append([]string{"cpu"}, devicetest.Accelerators()...) {
		devs = append(devs, opstest.Open(t, name)...)
	}
	d := devicetest.NewDeferred()
	t.Cleanup(func() { assert.NoError(t, d.Close()) })
	return append(devs, opstest.Named{Name: "deferred", Device: d})
}

func TestTable(t *testing.T) { opstest.RunTable(t, devices(t)) }

func TestTableInHalfPrecision(t *testing.T) { opstest.RunTableInHalfPrecision(t, devices(t)) }

func TestGolden(t *testing.T) { opstest.RunGoldenFiles(t, devices(t), golden.Files) }

// Every row has the sizes at which kernels break.
func TestRowsHaveSizes(t *testing.T) {
	for _, r := range opstest.Table() {
		var empty, one, odd bool
		for _, c := range r.Cases {
			n, isOdd := 1, false
			for _, d := range c.Shapes[0] {
				n *= d
				isOdd = isOdd || d%2 == 1 && d > 1
			}
			for _, s := range c.Shapes {
				empty = empty || slices.Contains(s, 0)
			}
			if s, ok := strings.CutPrefix(c.Name, "empty"); ok && s == "" {
				empty = true // the result is
			}
			one, odd = one || n == 1 || c.Name == "two numbers", odd || isOdd
		}
		assert.True(t, empty && one && odd, "%s: empty %v, one %v, odd %v", r.Op, empty, one, odd)
	}
}

// exported lists the exported functions of package ops.
func exported(t *testing.T) []string {
	set := token.NewFileSet()
	var files []*ast.File
	paths, err := filepath.Glob("../*.go")
	require.NoError(t, err)
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, p, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, f)
	}
	pkg, err := doc.NewFromFiles(set, files, "github.com/acumen-ml/acumen/ops")
	require.NoError(t, err)
	var names []string
	for _, f := range pkg.Funcs {
		names = append(names, f.Name)
	}
	for _, typ := range pkg.Types { // functions that make a type stand under it
		for _, f := range typ.Funcs {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return names
}

// missing tells what a function of ops lacks.
func missing(names []string, rows []opstest.Row, exempt map[string]string, golden map[string]int) []string {
	byOp := map[string]opstest.Row{}
	for _, r := range rows {
		byOp[r.Op] = r
	}
	var out []string
	for _, name := range names {
		if exempt[name] != "" {
			continue
		}
		r, ok := byOp[name]
		if !ok {
			out = append(out, name+" has no row in the table")
			continue
		}
		if !hasGradient(r) {
			out = append(out, name+" has no gradient check")
		}
		if golden[r.Golden] == 0 {
			out = append(out, name+" has no golden case")
		}
	}
	return out
}

func hasGradient(r opstest.Row) bool {
	return slices.ContainsFunc(r.Cases, func(c opstest.Case) bool {
		return !slices.Contains(c.Const, 0) && (len(c.Int) == 0 || c.Int[0] == 0)
	})
}

func TestEveryOpIsTested(t *testing.T) {
	byOp, _ := opstest.GoldenFiles(t, golden.Files)
	names := exported(t)
	require.Greater(t, len(names), 40)
	assert.Empty(t, missing(names, opstest.Table(), opstest.Exempt(), byOp))
	for _, r := range opstest.Table() {
		assert.Contains(t, names, r.Op, "a row for a function that is not there")
	}
	for name := range opstest.Exempt() {
		assert.Contains(t, names, name, "an exemption for a function that is not there")
	}
	// The check itself sees what is missing.
	assert.Equal(t, []string{"NoSuchOp has no row in the table"}, missing([]string{"NoSuchOp"}, opstest.Table(), nil, byOp))
	assert.Len(t, missing([]string{"Relu"}, opstest.Table(), nil, nil), 1)
}

func TestGoldenFindsFaults(t *testing.T) {
	dev, err := device.Open("cpu")
	require.NoError(t, err)
	defer dev.Close()
	run := func(text string) []opstest.Mismatch {
		cs, err := opstest.ParseGolden([]byte(`{"format": "acumen-golden-v1", "cases": [` + text + `]}`))
		require.NoError(t, err)
		return opstest.RunGolden(dev, device.F64, &cs[0])
	}
	good := `{"id": "r", "op": "relu", "inputs": {"x": {"shape": [3], "data": [-1, 0, 2]}}, "expected": {"y": {"shape": [3], "data": [0, 0, 2]}}, "upstream": "sum", "grads": {"x": {"shape": [3], "data": [0, 0, 1]}}}`
	assert.Empty(t, run(good))
	for _, c := range []struct{ name, old, new, say string }{
		{"value", "[0, 0, 2]", "[0, 0, 2.00001]", "r: y: worst element [2]: got 2, wanted 2.00001"},
		{"gradient", "[0, 0, 1]", "[0, 0.5, 1]", "r: grad.x: worst element [1]: got 0, wanted 0.5"},
		{"shape", `"expected": {"y": {"shape": [3], "data": [0, 0, 2]}`, `"expected": {"y": {"shape": [2], "data": [0, 0]}`, "shape [3], wanted [2]"},
		{"op", `"relu"`, `"reloo"`, `op "reloo" is not known`},
		{"parameter", `"inputs"`, `"params": {"slop": 1}, "inputs"`, `parameter "slop" is not known`},
		{"input", `{"x": {"shape": [3], "data": [-1, 0, 2]}`, `{"z": {"shape": [1], "fill": 1}, "x": {"shape": [3], "data": [-1, 0, 2]}`, `input "z" is not known`},
		{"upstream", `"sum"`, `"product"`, `upstream "product" is not known`},
		{"result", `"expected": {"y"`, `"expected": {"q"`, "no such result"},
		{"missing input", `"x"`, `"w"`, `input "x" is missing`},
	} {
		require.Contains(t, good, c.old)
		bad := run(strings.Replace(good, c.old, c.new, 1))
		if assert.NotEmpty(t, bad, c.name) {
			assert.Contains(t, bad[0].String(), c.say, c.name)
		}
	}
}

func FuzzParseGolden(f *testing.F) {
	f.Add([]byte(`{"format": "acumen-golden-v1", "cases": [{"id": "a", "op": "relu", "inputs": {"x": {"shape": [2], "fill": "nan"}}, "expected": {"loss": 3}}]}`))
	f.Add([]byte(`{"format": "acumen-golden-v1", "cases": [{"op": "relu", "inputs": {"x": {"shape": [-1, 5000000000], "data": []}}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		cases, err := opstest.ParseGolden(b)
		if err != nil {
			return
		}
		for _, c := range cases {
			for _, in := range c.Inputs {
				if in == nil {
					continue
				}
				n := 1
				for _, d := range in.Shape {
					n *= d
				}
				if n != len(in.Data) {
					t.Fatalf("%v with %d numbers", in.Shape, len(in.Data))
				}
			}
		}
	})
}
