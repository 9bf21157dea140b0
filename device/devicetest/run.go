package devicetest

import (
	"testing"

	"github.com/acumen-ml/acumen/device"
)

// suite is the tests that need one handle each.
var suite = []struct {
	name string
	test func(r *rig)
}{
	{"Transfers", testTransfers},
	{"OutOfMemory", testOutOfMemory},
	{"Fill", testFill},
	{"Iota", testIota},
	{"Copy", testCopy},
	{"CopyRounding", testCopyRounding},
	{"CopyWindow", testCopyWindow},
	{"Unary", testUnary},
	{"UnarySpecial", testUnarySpecial},
	{"UnaryGrad", testUnaryGrad},
	{"UnaryGradSpecial", testUnaryGradSpecial},
	{"Binary", testBinary},
	{"BinarySpecial", testBinarySpecial},
	{"BinaryInt", testBinaryInt},
	{"Where", testWhere},
	{"InPlace", testInPlace},
	{"Reduce", testReduce},
	{"ReduceSpecial", testReduceSpecial},
	{"ReduceEmpty", testReduceEmpty},
	{"MatMul", testMatMul},
	{"MatMulBatch", testMatMulBatch},
	{"MatMulTypes", testMatMulTypes},
	{"Gather", testGather},
	{"ScatterAdd", testScatterAdd},
	{"IndexOutside", testIndexOutside},
	{"Random", testRandom},
	{"Permutation", testPermutation},
	{"Shapes", testShapes},
	{"Capture", testCapture},
	{"CaptureIllegal", testCaptureIllegal},
	{"CapturePanic", testCapturePanic},
	{"CaptureError", testCaptureError},
	{"Fetch", testFetch},
	{"Sticky", testSticky},
	{"HookOrder", testHookOrder},
	{"HookFault", testHookFault},
	{"HookCalls", testHookCalls},
	{"DryRun", testDryRun},
}

// manyHandles are those that open devices themselves.
var manyHandles = []struct {
	name string
	test func(t *testing.T, open func() device.Device)
}{
	{"Leak", testLeak},
	{"Handles", testHandles},
}

// Run is the conformance suite: it tests the devices that open makes, a fresh handle at each call, against the
// contracts of package device. Every kernel is compared with float64 loops for all types, for sizes from 0 on and for
// strided, flipped, permuted and broadcast views.
func Run(t *testing.T, open func() device.Device) {
	for _, x := range suite {
		t.Run(x.name, func(t *testing.T) { x.test(newRig(t, open)) })
	}
	for _, x := range manyHandles {
		t.Run(x.name, func(t *testing.T) { x.test(t, open) })
	}
}

// Names are those of the tests under Run.
func Names() (names []string) {
	for _, x := range suite {
		names = append(names, x.name)
	}
	for _, x := range manyHandles {
		names = append(names, x.name)
	}
	return names
}
