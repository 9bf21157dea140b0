//go:build cuda && bundle

package cuda_test

import (
	"testing"

	"github.com/acumen-ml/acumen/cuda"
	"github.com/acumen-ml/acumen/cuda/bundle"
	_ "github.com/acumen-ml/acumen/device/all"
	"github.com/acumen-ml/acumen/ops/opstest"
	"github.com/acumen-ml/acumen/testdata/golden"
)

// This file makes the GPU bundle of the tests of package cuda: `make gpu-bundle` compiles them with the tag bundle. The
// suites of other packages, which those test on every device, are tests here.

func init() { cuda.Program = bundle.Main }

func TestTable(t *testing.T) { opstest.RunTable(t, opstest.Open(t, "cuda:0")) }

func TestTableInHalfPrecision(t *testing.T) {
	opstest.RunTableInHalfPrecision(t, opstest.Open(t, "cuda:0"))
}

func TestGolden(t *testing.T) { opstest.RunGoldenFiles(t, opstest.Open(t, "cuda:0"), golden.Files) }
