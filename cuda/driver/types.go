package driver

import "fmt"

// Ptr is an address in device memory.
type Ptr uintptr

// Codes of CUresult that a caller may want to tell apart.
const (
	InvalidValue           = 1
	OutOfMemory            = 2
	DevicesUnavailable     = 46 // busy in exclusive mode, or prohibited
	NoDevice               = 100
	InvalidDevice          = 101
	InvalidContext         = 201
	NoBinaryForGPU         = 209
	UnsupportedPTX         = 222
	NotFound               = 500 // also: the driver lacks the function that was called
	NotReady               = 600
	IllegalAddress         = 700
	SystemDriverMismatch   = 803 // kernel module and libcuda.so.1 are of different versions
	CompatNotSupported     = 804
	StreamCaptureForbidden = 900
	StreamCaptureInvalid   = 901
)

// Error is a call that failed: "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2): out of memory".
type Error struct {
	Call string // the C function, and for a launch the kernel in parentheses
	Code int    // CUresult or cublasStatus_t
	Name string // CUDA_ERROR_OUT_OF_MEMORY; may be empty
	Text string // the library's own sentence; may be empty
}

// Error is one line: the call, the code's name and number, the library's sentence.
func (e *Error) Error() string {
	s := e.Call + ": "
	if e.Name != "" {
		s += fmt.Sprintf("%s (%d)", e.Name, e.Code)
	} else {
		s += fmt.Sprintf("error %d", e.Code)
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// NoLibrary is the error of Load where there is no driver at all.
type NoLibrary struct {
	Reason string // what the dynamic linker said
}

// Error is one line.
func (e *NoLibrary) Error() string {
	return "no NVIDIA driver: " + e.Reason
}

// Attributes of a GPU, for GPU.Attribute: some of CUdevice_attribute.
const (
	MaxThreadsPerBlock       = 1
	MaxSharedPerBlock        = 8 // bytes without SetMaxShared
	ClockRate                = 13
	MultiprocessorCount      = 16
	ComputeModeAttribute     = 20
	MemoryClockRate          = 36
	MemoryBusWidth           = 37
	L2CacheSize              = 38
	MaxThreadsPerSM          = 39
	CapabilityMajor          = 75
	CapabilityMinor          = 76
	MaxSharedPerSM           = 81
	MaxRegistersPerSM        = 82
	MaxSharedPerBlockOptin   = 97 // bytes with SetMaxShared
	MaxPersistingL2CacheSize = 108
)

// Attributes of a function, for Function.Attribute: CUfunction_attribute.
const (
	FuncMaxThreads       = 0 // per block
	FuncSharedBytes      = 1 // static
	FuncConstBytes       = 2
	FuncLocalBytes       = 3 // per thread: spills show here
	FuncRegisters        = 4 // per thread
	FuncBinaryVersion    = 6 // 90 for sm_90
	FuncMaxDynamicShared = 8
)

// ComputeMode is who may use a GPU.
type ComputeMode int

// The compute modes that nvidia-smi sets.
const (
	ModeDefault          ComputeMode = 0
	ModeProhibited       ComputeMode = 2
	ModeExclusiveProcess ComputeMode = 3
)

// String is the mode's name as nvidia-smi writes it.
func (m ComputeMode) String() string {
	switch m {
	case ModeDefault:
		return "Default"
	case ModeProhibited:
		return "Prohibited"
	case ModeExclusiveProcess:
		return "Exclusive_Process"
	}
	return "unknown"
}

// GPU is the number of a device among those that are visible: 0 to Count()-1.
type GPU int

// Type is the type of a matrix's elements: cudaDataType.
type Type int32

// The element types of products.
const (
	F32  Type = 0
	F64  Type = 1
	F16  Type = 2
	BF16 Type = 14
)

// Compute is what a product calculates in: cublasComputeType_t.
type Compute int32

// How products calculate.
const (
	ComputeF32  Compute = 68 // exact products of f16 and bf16, f32 sums
	ComputeF64  Compute = 70
	ComputeTF32 Compute = 77 // f32 operands rounded to TF32, f32 sums
)

// Product is C = alpha·op(A)·op(B) + beta·C. The matrices are row-major: op(A) is M x K, op(B) K x N, C M x N. A leading
// dimension is the number of elements from one row to the next as stored, before op. With Batch > 1 there are that many
// products, each operand's matrices its stride apart; a stride of 0 repeats one matrix, though not for C.
type Product struct {
	M, N, K             int
	TransA, TransB      bool
	TypeA, TypeB, TypeC Type
	Compute             Compute
	Alpha, Beta         float64
	A, B, C             Ptr
	LDA, LDB, LDC       int
	StrideA, StrideB    int
	StrideC             int
	Batch               int // 0 means 1
}

// Epilogue is what becomes of a product's sums before they are rounded: cublasLtEpilogue_t.
type Epilogue int32

// The epilogues.
const (
	AddBias     Epilogue = 4 // the column's bias is added
	AddBiasRelu Epilogue = 6 // then max(x, 0)
)

// FusedProduct is a product with an epilogue. Bias is the address of N numbers of C's type.
type FusedProduct struct {
	Product
	Epilogue Epilogue
	Bias     Ptr
}
