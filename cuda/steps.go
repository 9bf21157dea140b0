package cuda

// What a step takes, for GraphSteps alone: it need not be exact, and must not depend on the GPU's load. A kernel is 2 us
// at least; a large GPU moves 3 TB and does 100 TFLOP in a second.
const (
	kernelSeconds    = 2e-6
	bytesPerSecond   = 3e12
	flopsPerSecond   = 1e14
	graphSeconds     = 1e-3 // beside which the 10 us that it takes to begin a graph are 1 %
	graphStepsAtMost = 16   // what comes between graphs waits so long: signals, checkpoints
)

// GraphSteps is how many steps of training one graph should hold, a power of two: of a step so short that beginning a
// graph counts beside it as many as make a millisecond. It depends on the step alone: its calls, the bytes that they
// touch, and their floating-point operations.
func (d *Device) GraphSteps(calls int, bytes, flops float64) int {
	step := kernelSeconds*float64(calls) + max(bytes/bytesPerSecond, flops/flopsPerSecond)
	k := 1
	for k < graphStepsAtMost && float64(k)*step < graphSeconds {
		k *= 2
	}
	return k
}
