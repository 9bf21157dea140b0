package acumen_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

const module = "github.com/acumen-ml/acumen"

// listed is what `go list -json` tells of a package.
type listed struct {
	Dir, ImportPath, Name     string
	GoFiles, IgnoredGoFiles   []string
	Imports                   []string
	TestGoFiles, XTestGoFiles []string
}

// here is the package's path below the module: "" for the root.
func (p listed) here() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func packages(t *testing.T) []listed {
	cmd := exec.Command("go", "list", "-json=Dir,ImportPath,Name,GoFiles,IgnoredGoFiles,Imports,TestGoFiles,XTestGoFiles", "./...")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, problems.String())
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		all = append(all, p)
	}
	require.NotEmpty(t, all)
	return all
}

// floors says which packages of the module a package may import; of several rules that match it, the first holds.
// A name that ends in /... stands for all packages below it, and itself.
var floors = []struct {
	who  string
	what []string
}{
	{"device", nil},
	{"device/cpu/simd/...", nil}, // micro-kernels on plain slices
	{"device/cpu/...", []string{"device", "device/cpu/simd/..."}},
	{"device/all", []string{"device", "device/cpu", "cuda"}},
	{"device/devicetest", []string{"..."}}, // tests may import any floor
	{"cuda/bundle", []string{"..."}},       // tests of every floor, for a GPU machine
	{"cuda/...", []string{"device", "cuda/..."}},
	{"internal/...", []string{"internal/..."}},
	{"ops/opstest/...", []string{"..."}}, // tests too
	{"ops", []string{"device", "internal/..."}},
	{"model/...", []string{"device", "ops", "model/...", "internal/..."}},
	{"trainer/report", []string{"device", "ops", "model/...", "trainer/...", "internal/..."}}, // shows what a run gave: above trainer
	{"trainer", []string{"device", "ops", "model/...", "trainer/...", "internal/..."}},
	{"trainer/...", []string{"device", "ops", "model/...", "trainer/...", "internal/..."}}, // and not trainer itself, see below
	{"configs", nil},
	{"bench/...", []string{"..."}},
	{"cmd/...", []string{"..."}},
	{"", nil},
}

func matches(pattern, name string) bool {
	if below, ok := strings.CutSuffix(pattern, "..."); ok {
		return below == "" || name == strings.TrimSuffix(below, "/") || strings.HasPrefix(name, below)
	}
	return pattern == name
}

// TestImports keeps who may import whom.
func TestImports(t *testing.T) {
	seam := 0
	for _, p := range packages(t) {
		me := p.here()
		var may []string
		known := false
		for _, f := range floors {
			if known = matches(f.who, me); known {
				may = f.what
				break
			}
		}
		if !assert.True(t, known, "package %s stands on no floor: add it to the table in arch_test.go", me) {
			continue
		}
		for _, i := range p.Imports {
			first, _, _ := strings.Cut(i, "/")
			if !strings.HasPrefix(i, module) {
				if me == "device" {
					seam++
					assert.NotContains(t, first, ".", "package device imports only the standard library, not %s", i)
				}
				continue
			}
			other := listed{ImportPath: i}.here()
			ok := false
			for _, m := range may {
				ok = ok || matches(m, other)
			}
			if strings.HasPrefix(me, "trainer/") && other == "trainer" && me != "trainer/report" {
				ok = false
			}
			assert.True(t, ok, "package %s may not import %s", me, other)
			if strings.HasPrefix(other, "device/cpu") || other == "cuda" || strings.HasPrefix(other, "cuda/") {
				inside := me == "device/all" || strings.HasPrefix(me, "device/cpu") || strings.HasPrefix(me, "cuda")
				tests := strings.HasPrefix(me, "ops/opstest") || me == "device/devicetest"
				kernel := (me == "bench" || me == "bench/peak") && other == "device/cpu/simd" // timed alone, beside what is made of it
				assert.True(t, inside || tests || kernel, "package %s names a back-end, %s: only device/all, tests and the benchmark of a kernel do", me, other)
			}
		}
	}
	assert.Positive(t, seam, "package device was looked at")
}

// TestComments requires a comment on every package and every exported name.
func TestComments(t *testing.T) {
	names := 0
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		set := token.NewFileSet()
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			require.NoError(t, err)
			files = append(files, f)
		}
		d, err := doc.NewFromFiles(set, files, p.ImportPath)
		require.NoError(t, err)
		begins := "Package " + p.Name + " "
		if p.Name == "main" {
			begins = "Command " + path.Base(p.ImportPath) + " "
		}
		assert.True(t, strings.HasPrefix(d.Doc, begins), "the comment of package %s does not begin with %q", p.ImportPath, begins)
		need := func(what, comment string) {
			names++
			assert.NotEmpty(t, strings.TrimSpace(comment), "%s: %s has no comment", p.ImportPath, what)
		}
		values := func(vs []*doc.Value) {
			for _, v := range vs {
				for _, s := range v.Decl.Specs {
					s := s.(*ast.ValueSpec)
					for _, n := range s.Names {
						if n.IsExported() {
							need(n.Name, v.Doc+s.Doc.Text()+s.Comment.Text())
						}
					}
				}
			}
		}
		funcs := func(owner string, fs []*doc.Func) {
			for _, f := range fs {
				need(owner+f.Name, f.Doc)
			}
		}
		values(d.Consts)
		values(d.Vars)
		funcs("", d.Funcs)
		for _, x := range d.Types {
			need(x.Name, x.Doc)
			values(x.Consts)
			values(x.Vars)
			funcs("", x.Funcs)
			funcs(x.Name+".", x.Methods)
		}
	}
	assert.Greater(t, names, 300, "so many names there are at least")
}

// TestFileSizes keeps files short enough to be read in one go: about 400 lines.
func TestFileSizes(t *testing.T) {
	files := 0
	for _, p := range packages(t) {
		for _, names := range [][]string{p.GoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles} {
			for _, name := range names {
				b, err := os.ReadFile(filepath.Join(p.Dir, name))
				if errors.Is(err, os.ErrNotExist) {
					continue // removed while this test runs
				}
				require.NoError(t, err)
				files++
				if !bytes.Contains(b, []byte("\n// Code generated ")) && !bytes.HasPrefix(b, []byte("// Code generated ")) {
					assert.LessOrEqual(t, bytes.Count(b, []byte("\n")), 450, "%s/%s has too many lines", p.here(), name)
				}
			}
		}
	}
	assert.Greater(t, files, 50)
}

// TestTensor is about gorgonia.org/tensor, which holds host arrays: without this version of assume-no-moving-gc it
// panics at start on Go versions that are newer than it.
func TestTensor(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	assert.Contains(t, string(b), "go4.org/unsafe/assume-no-moving-gc v0.0.0-20231121144256-b99613f794b6")
	x := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{1, 2, 3, 4, 5, 6}))
	require.NoError(t, x.T())
	require.NoError(t, x.Transpose())
	y, err := tensor.Add(x, x)
	require.NoError(t, err)
	assert.Equal(t, tensor.Shape{3, 2}, y.Shape())
	assert.Equal(t, []float64{2, 8, 4, 10, 6, 12}, y.Data())
}
