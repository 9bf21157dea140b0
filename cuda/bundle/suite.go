package bundle

import (
	"strings"
	"time"
)

// family is the tests of one family of ops: tests of package cuda, of the conformance suite, and rows of the case table;
// each a list of patterns for whole names.
type family struct {
	name, about               string
	tests, conformance, table string
}

var families = []family{
	{"memory", "allocations, transfers, handles, errors that stay", "", "Transfers OutOfMemory Shapes Fetch Sticky Leak Handles", ""},
	{"graph", "capture and replay, hooks", "Capture.* Primer.* Graph.*", "Capture.* Hook.* DryRun", ""},
	{"copy", "copies, casts, fills", "Copy.* Fill.*", "Fill Iota Copy.*", "Reshape Transpose Slice Pad Concat"},
	{"elementwise", "functions of one and two arguments", "Unary.* Binary.* Elementwise.*", "Unary.* Binary.* Where InPlace",
		"Add Sub Mul Div Pow Neg Exp Log Sqrt Clamp Scale Sigmoid Tanh Relu LeakyRelu Gelu GeluTanh Silu"},
	{"reduce", "sums, maxima, norms", "Reduce.* ArgMax.*", "Reduce.*", "Sum Mean Max"},
	{"matmul", "products by cuBLAS and by our kernels", "MatMul.* Product.* Linear.*", "MatMul.*", "MatMul Linear.*"},
	{"gather", "rows by index, and their gradients", "Gather.* Scatter.* Index.*", "Gather ScatterAdd IndexOutside", "Gather Take"},
	{"random", "draws, permutations, dropout", "Random.* Permutation.* Dropout.*", "Random Permutation", ""},
	{"softmax", "softmax and losses", "Softmax.*", "", "Softmax LogSoftmax .*Loss BCE.* CrossEntropy.*"},
	{"conv2d", "convolutions, forward and gradients", "Conv2D.*", "", "Conv2D.*"},
	{"pool2d", "pooling", "(Max|Avg)?Pool2D.* Divider", "", "(Max|Avg|Adaptive|Global).*Pool2D.*"},
	{"batchnorm", "batch norm", "BatchNorm.*", "", "BatchNorm.*"},
	{"optim", "updates of weights", "SGD.* Adam.* Optim.*", "", ""},
	{"augment", "batches from resident bytes", "Augment.*", "", ""},
	{"golden", "numbers that PyTorch gave", "Golden.*", "", ""},
}

// pattern is what -test.run is given: names under Test, and below the suites that have tests of their own.
func (f family) pattern() string {
	any := func(prefix, names string) []string {
		if names == "" {
			return nil
		}
		return []string{prefix + "^(" + strings.ReplaceAll(names, " ", "|") + ")$"}
	}
	var all []string
	if f.tests != "" {
		all = append(all, "^Test("+strings.ReplaceAll(f.tests, " ", "|")+")$")
	}
	all = append(all, any("^TestConformance$/", f.conformance)...)
	all = append(all, any("^TestTable$/", f.table)...)
	all = append(all, any("^TestTableInHalfPrecision$/", f.table)...)
	return strings.Join(all, "|")
}

const familyLimit = 2 * time.Minute

// suite is the stages of the device suite. What is in no family is in the last one.
func suite() (stages []Stage) {
	var patterns []string
	for _, f := range families {
		stages = append(stages, Stage{Name: "suite-" + f.name, About: f.about, Limit: familyLimit, Needs: []string{loadStage}, Tests: f.pattern()})
		patterns = append(patterns, f.pattern())
	}
	return append(stages, Stage{Name: "suite-rest", About: "what is in no family", Limit: familyLimit, Needs: []string{loadStage}, Tests: ".", Except: strings.Join(patterns, "|")})
}
