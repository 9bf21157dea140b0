package device

// UnOp is an elementwise function of one argument, with up to two numbers a and b.
type UnOp uint8

// The unary functions.
const (
	Identity  UnOp = iota // x
	Affine                // a x + b
	Exp                   // e^x
	Expm1                 // e^x - 1, exact near 0
	Log                   // ln x
	Log1p                 // ln(1+x), exact near 0
	Sqrt                  // square root of x + a
	Recip                 // 1 / (x + a)
	Abs                   // |x|; derivative 0 at 0
	Sign                  // -1, 0 or 1
	Sigmoid               // 1 / (1 + e^-x)
	Tanh                  // hyperbolic tangent
	Erf                   // error function
	Relu                  // max(x, 0); NaN stays; derivative 0 at 0
	LeakyRelu             // x if x > 0, else a x; derivative a at 0
	Gelu                  // x Phi(x), Phi by erf (Hendrycks and Gimpel, arXiv 1606.08415)
	GeluTanh              // its tanh approximation: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
	Silu                  // x sigmoid(x)
	Clamp                 // min(max(x, a), b); NaN stays; derivative 1 where a <= x <= b
	Floor                 // largest integer not above x; derivative 0
	IsFinite              // 1 if x is neither NaN nor infinite, else 0; derivative 0
	numUnOps
)

var unOpName = [...]string{"identity", "affine", "exp", "expm1", "log", "log1p", "sqrt", "recip", "abs", "sign", "sigmoid", "tanh", "erf",
	"relu", "leaky_relu", "gelu", "gelu_tanh", "silu", "clamp", "floor", "is_finite"}

// String is the function's name, as hooks and profiles show it.
func (op UnOp) String() string { return unOpName[op] }

// UnOps is the number of unary functions; they are 0 to UnOps-1.
func UnOps() int { return int(numUnOps) }

// GradReads says which of x and y = f(x) UnaryGrad reads for op. The other may be the zero View, so that it need not
// be kept for backward.
func (op UnOp) GradReads() (x, y bool) {
	switch op {
	case Identity, Affine, Sign, Floor, IsFinite:
		return false, false
	case Exp, Expm1, Sqrt, Recip, Sigmoid, Tanh, Relu:
		return false, true
	}
	return true, false
}

// BinOp is an elementwise function of two arguments.
type BinOp uint8

// The binary functions. Max and Min give NaN if either argument is NaN. Eq and Lt give 1 or 0.
const (
	Add BinOp = iota
	Sub
	Mul
	Div // of integers: rounds toward zero; by 0 gives 0
	Pow // x^y as math.Pow; for integers a repeated product, negative exponents give 0
	Max
	Min
	Eq
	Lt
	numBinOps
)

var binOpName = [...]string{"add", "sub", "mul", "div", "pow", "max", "min", "eq", "lt"}

// String is the function's name, as hooks and profiles show it.
func (op BinOp) String() string { return binOpName[op] }

// BinOps is the number of binary functions; they are 0 to BinOps-1.
func BinOps() int { return int(numBinOps) }

// RedOp folds the elements along some axes into one.
type RedOp uint8

// The reductions. Over no elements Sum, SumSq and MaxAbs give 0; the others panic.
const (
	Sum       RedOp = iota
	SumSq           // sum of squares
	ReduceMax       // NaN wins
	ReduceMin       // NaN wins
	ArgMax          // index of the first largest, counted row-major over the reduced axes; NaN is largest; the result is I32
	MaxAbs          // largest |x|; NaN wins
	numRedOps
)

var redOpName = [...]string{"sum", "sumsq", "max", "min", "argmax", "maxabs"}

// String is the reduction's name, as hooks and profiles show it.
func (op RedOp) String() string { return redOpName[op] }

// RedOps is the number of reductions; they are 0 to RedOps-1.
func RedOps() int { return int(numRedOps) }

// Dist is what Random draws.
type Dist uint8

// The distributions. See philox.go for the definitions that all devices share.
const (
	Uniform     Dist = iota // in [0, 1): (u >> 8) / 2^24, equal bit for bit on all devices
	Normal                  // mean 0, variance 1 (Box-Muller); devices agree to 1e-6
	Bits                    // 32 random bits, in an I32 view
	Permutation             // 0 .. n-1 in random order, n = y.Len(), in an I32 view
)

var distName = [...]string{"uniform", "normal", "bits", "permutation"}

// String is the distribution's name.
func (d Dist) String() string { return distName[d] }

// Kernels is the small set of tensor operations that every device has; all else composes from them, or is a fused
// kernel found with As. The destination comes first. Sources are broadcast to the destination's shape as numpy does.
// A kernel calculates in Compute of all its views' types and rounds once into the destination's type; conversion to an
// integer type rounds toward zero and saturates, NaN gives 0. Sums, products and powers of integers are those modulo
// 2^64 before that. A destination may be the very view of a source of an elementwise kernel; any other overlap of
// destination and source is the caller's fault. A shape that does not fit panics with the kernel's name and the shapes.
// Zero-sized views are legal everywhere and do nothing.
type Kernels interface {
	// Fill sets every element to v.
	Fill(y View, v float64)
	// Iota sets every element to start + step i, i its index along axis.
	Iota(y View, axis int, start, step float64)
	// Copy is y = x: cast, transpose, pad, concat and im2col (Copy of a Window) are copies between views.
	Copy(y, x View)
	// Unary is y = op(x; a, b).
	Unary(op UnOp, y, x View, a, b float64)
	// UnaryGrad is dx = dy op'(x; a, b), given y = op(x). Of x and y only what op.GradReads names is read.
	UnaryGrad(op UnOp, dx, dy, x, y View, a, b float64)
	// Binary is y = op(a, b).
	Binary(op BinOp, y, a, b View)
	// Where is y = a where cond is not 0, else b.
	Where(y, cond, a, b View)
	// Reduce folds x along the axes in which y's extent is 1. y has x's rank. The order of summation is a function of
	// the shape alone.
	Reduce(op RedOp, y, x View)
	// MatMul is y = alpha a b + beta y over the last two axes, a (..., m, k), b (..., k, n), y (..., m, n), the leading
	// axes broadcast to y's. beta 0 means y is not read. f16 and bf16 products are accumulated in f32.
	MatMul(y, a, b View, alpha, beta float64)
	// Gather is y[i...] = x[idx[i...]]: y's shape is idx's shape followed by x's without its first axis. An index
	// outside x is an error at the next Sync.
	Gather(y, x, idx View)
	// ScatterAdd is y[idx[i...]] += x[i...], in the order of i; shapes as in Gather with x and y exchanged. An index
	// outside y is an error at the next Sync.
	ScatterAdd(y, x, idx View)
	// Random draws y by d. state is an I32 view of 4: seed low, seed high, step, micro-batch. Element e in row-major
	// order comes from Philox 4x32-10 with key = seed and counter = (e/4, stream, step, micro-batch).
	Random(y View, d Dist, state View, stream uint32)
}
