package trainer_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/device"
	"github.com/acumen-ml/acumen/trainer"
	"github.com/acumen-ml/acumen/trainer/augment"
	"github.com/acumen-ml/acumen/trainer/data"
	"github.com/acumen-ml/acumen/trainer/optim"
)

const callsOf = "ACUMEN_TEST_CALLS_OF"

// driverCalls runs train in a process of its own and gives the calls of the driver and of cuBLAS that it made there, in
// order, with train's marks among them. Only the stand-in driver writes such a list; elsewhere the test is skipped. In
// that other process it gives nothing.
func driverCalls(t *testing.T, name string, train func(mark func(string))) []string {
	t.Helper()
	if os.Getenv(callsOf) == t.Name() {
		f, err := os.OpenFile(os.Getenv("ACUSIM_LOG"), os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		train(func(s string) { fmt.Fprintln(f, s) })
		require.NoError(t, f.Close())
		return nil
	}
	d := open(t, name, 1)
	simulated := strings.Contains(device.Describe(d), "acusim")
	require.NoError(t, d.Close())
	if !simulated {
		t.Skip("a true driver does not list its calls")
	}
	log := filepath.Join(t.TempDir(), "calls")
	require.NoError(t, os.WriteFile(log, nil, 0o666))
	c := exec.Command(os.Args[0], "-test.run", "^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	c.Env = append(os.Environ(), callsOf+"="+t.Name(), "ACUSIM_LOG="+log, "ACUSIM_LEAKS=1")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "leak")
	b, err := os.ReadFile(log)
	require.NoError(t, err)
	return strings.Fields(string(b))
}

// launches are the calls that a capture may hold.
var launches = map[string]bool{"cuLaunchKernelEx": true, "cublasGemmEx": true, "cublasGemmStridedBatchedEx": true, "cublasLtMatmul": true}

// Between the begin and the end of a capture nothing is called but launches: no function is loaded there, nothing is
// allocated, and cuBLAS meets no product for the first time, which the stand-in would refuse.
func TestCapturesHoldLaunchesOnAccelerators(t *testing.T) {
	mnist, _, err := data.EmbeddedMNIST()
	require.NoError(t, err)
	if mnist, err = data.Limit(mnist, 20); err != nil {
		t.Fatal(err)
	}
	onAccelerators(t, func(t *testing.T, name string) {
		for _, c := range []struct {
			what, spec string
			set        data.Set
		}{
			{"lenet5", `{name: lenet5, input: [28, 28, 1], classes: 10}`, mnist},
			{"resnet20", `{name: resnet20, input: [32, 32, 3], classes: 10}`, colours(t, 20)},
			{"cifar94", small94, colours(t, 20)},
		} {
			for _, typ := range []device.DType{device.F32, device.F16} {
				t.Run(c.what+"-"+typ.String(), func(t *testing.T) {
					if testing.Short() && c.what != "lenet5" {
						t.Skip("deep networks take a while")
					}
					calls := driverCalls(t, name, func(func(string)) {
						d := open(t, name, 1)
						e, err := trainer.NewEngine(d, network(t, c.spec), c.set, trainer.Options{Epochs: 1, Batch: 8, EvalBatch: 16, Precision: typ,
							Optimizer: optim.SGD{LR: 0.01, Momentum: 0.9}, ClipNorm: 5, Augment: augment.Spec{Flip: true, Pad: 2}})
						require.NoError(t, err)
						for range e.StepsPerEpoch() { // two of 8, one of 4
							require.NoError(t, e.TrainStep())
						}
						_, err = e.Evaluate(context.Background(), c.set)
						require.NoError(t, err)
						require.NoError(t, e.Close())
						require.NoError(t, d.Close())
					})
					if calls == nil {
						return
					}
					captures, held, inside := 0, map[string]int{}, false
					for i, call := range calls {
						switch {
						case call == "cuStreamBeginCapture_v2":
							captures, inside = captures+1, true
						case call == "cuStreamEndCapture":
							inside = false
						case inside:
							held[call]++
							require.True(t, launches[call], "call %d, in a capture: %s", i, call)
						}
					}
					t.Logf("%d captures hold %v, of %d calls", captures, held, len(calls))
					assert.GreaterOrEqual(t, captures, 6, "epoch, steps of 8 and of 4, evaluation of 16 and of 4 and what precedes it")
					assert.Greater(t, held["cuLaunchKernelEx"], 200)
					assert.Positive(t, held["cublasGemmEx"])
					assert.Equal(t, c.what == "lenet5" && typ == device.F16, held["cublasLtMatmul"] > 0, "its layer of 120 outputs, with bias and activation")
				})
			}
		}
	})
}

// Calls of the driver that wait for the device, or may.
var waits = map[string]bool{"cuStreamSynchronize": true, "cuEventSynchronize": true, "cuCtxSynchronize": true, "cuMemcpyHtoD_v2": true, "cuMemcpyDtoH_v2": true,
	"cuMemcpyDtoD_v2": true, "cuMemcpy": true, "cuMemsetD8_v2": true, "cuMemAlloc_v2": true, "cuMemFree_v2": true, "cuMemHostAlloc": true, "cuMemFreeHost": true,
	"cuModuleLoadData": true, "cuModuleUnload": true}

// Within an epoch the host never waits for the device: all that it calls is graphs, and now and then a read of the step's
// numbers, after which it asks. In the first epoch it captures what it launches then. Several steps are one graph.
func TestEpochsDoNotWaitOnAccelerators(t *testing.T) {
	onAccelerators(t, func(t *testing.T, name string) {
		for _, typ := range []device.DType{device.F32, device.F16} {
			t.Run(typ.String(), func(t *testing.T) {
				calls := driverCalls(t, name, func(mark func(string)) {
					o := options()
					o.Epochs, o.LogEvery, o.Precision, o.CaptureSteps = 3, 8, typ, 4
					o.Observe = func(e trainer.Event) {
						if e.Kind == trainer.EventStart || e.Kind == trainer.EventEpoch {
							mark("epoch")
						}
					}
					d := open(t, name, 1)
					_, err := trainer.Fit(context.Background(), d, network(t, convNet), pictures(t, 16*40, 1), nil, o)
					require.NoError(t, err)
					require.NoError(t, d.Close())
				})
				if calls == nil {
					return
				}
				epochs := strings.Split(strings.Join(calls, " "), "epoch")
				require.Len(t, epochs, 5)
				for i, epoch := range epochs[1:4] {
					first, last := strings.Index(epoch, "cuGraphLaunch"), strings.LastIndex(epoch, "cuGraphLaunch")
					require.Less(t, first, last)
					if i == 0 {
						first = 0
					}
					count := map[string]int{}
					for _, call := range strings.Fields(epoch[first:last] + "cuGraphLaunch") { // before and after: the ends of epochs
						count[call]++
						if i == 0 {
							assert.False(t, waits[call], "epoch 1: %s", call)
						} else {
							assert.Contains(t, []string{"cuGraphLaunch", "cuEventRecord", "cuEventQuery", "cuMemcpyDtoHAsync_v2", "cuCtxSetCurrent"}, call, "epoch %d", i+1)
						}
					}
					t.Logf("epoch %d: %v", i+1, count)
					assert.Equal(t, 1+40/4, count["cuGraphLaunch"], "the order, and 10 times 4 steps")
					assert.Equal(t, 2*4, count["cuMemcpyDtoHAsync_v2"], "numbers, and whether a kernel complained, after every 8 steps but the last")
				}
			})
		}
	})
}
