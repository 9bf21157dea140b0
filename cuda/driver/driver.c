//go:build cuda

#include "driver.h"

// The id of the context that was made current on this thread last. Nothing else in the process sets contexts, so the
// driver need not be asked; an id is not used twice, so a context opened anew at the same address is set anew. (The TLS
// model is the one that costs one instruction and no library.)
static __thread unsigned long long entered __attribute__((tls_model("initial-exec")));

int acu_enter(acu_context c) {
  if (entered == c.id) return 0;
  CUresult r = cuCtxSetCurrent(c.handle);
  if (r == 0) entered = c.id;
  return -(int)r;
}

#define ENTER(c)            \
  do {                      \
    int r_ = acu_enter(c);  \
    if (r_ != 0) return r_; \
  } while (0)

static int plain;

// Drivers from 11.8 on have cuLaunchKernelEx.
static int extended(void) {
  static int known; // 1: no, 2: yes; threads that race here write the same value
  int k = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (k == 0) __atomic_store_n(&known, k = acu_symbol("cuLaunchKernelEx") ? 2 : 1, __ATOMIC_RELAXED);
  return k == 2 && !__atomic_load_n(&plain, __ATOMIC_RELAXED);
}

void acu_launch_plain(int on) { __atomic_store_n(&plain, on, __ATOMIC_RELAXED); }

const char *acu_launch_call(void) { return extended() ? "cuLaunchKernelEx" : "cuLaunchKernel"; }

int acu_launch(acu_context c, CUstream stream, CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
               unsigned bz, unsigned shared, void *params, size_t size) {
  ENTER(c);
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, params, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
  if (!extended()) return cuLaunchKernel(f, gx, gy, gz, bx, by, bz, shared, stream, NULL, extra);
  CUlaunchConfig config = {
      .gridDimX = gx, .gridDimY = gy, .gridDimZ = gz,
      .blockDimX = bx, .blockDimY = by, .blockDimZ = bz,
      .sharedMemBytes = shared, .hStream = stream,
  };
  return cuLaunchKernelEx(&config, f, NULL, extra);
}

int acu_function_set(acu_context c, CUfunction f, int attribute, int value) {
  ENTER(c);
  return cuFuncSetAttribute(f, (CUfunction_attribute)attribute, value);
}

int acu_pinned(acu_context c, size_t bytes, void **at) {
  ENTER(c);
  return cuMemHostAlloc(at, bytes, 0);
}

int acu_begin_capture(acu_context c, CUstream stream) {
  ENTER(c);
  return cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
}

int acu_end_capture(acu_context c, CUstream stream, acu_graph *g) {
  ENTER(c);
  CUgraph graph = NULL;
  g->call = "cuStreamEndCapture";
  CUresult r = cuStreamEndCapture(stream, &graph);
  if (r == 0) {
    g->call = "cuGraphGetNodes";
    r = cuGraphGetNodes(graph, NULL, &g->nodes);
  }
  if (r == 0) {
    g->call = "cuGraphInstantiateWithFlags";
    r = cuGraphInstantiateWithFlags(&g->exec, graph, 0);
  }
  if (graph) {
    CUresult d = cuGraphDestroy(graph);
    if (r == 0 && d != 0) {
      g->call = "cuGraphDestroy";
      cuGraphExecDestroy(g->exec);
      r = d;
    }
  }
  return r;
}

int acu_graph_launch(acu_context c, CUgraphExec exec, CUstream stream) {
  ENTER(c);
  return cuGraphLaunch(exec, stream);
}

int acu_graph_destroy(acu_context c, CUgraphExec exec) {
  ENTER(c);
  return cuGraphExecDestroy(exec);
}

int acu_uuid(CUdevice device, unsigned char *uuid) { return cuDeviceGetUuid_v2((CUuuid *)uuid, device); }

int acu_pci(CUdevice device, char *id, int size) { return cuDeviceGetPCIBusId(id, size, device); }

int acu_version(void) {
  CUresult (*get)(int *) = (CUresult(*)(int *))acu_symbol("cuDriverGetVersion");
  int v = 0;
  return get && get(&v) == 0 ? v : 0;
}

static const char *describe(const char *call, int code) {
  CUresult (*get)(CUresult, const char **) = (CUresult(*)(CUresult, const char **))acu_symbol(call);
  const char *s = NULL;
  return get && get((CUresult)code, &s) == 0 ? s : NULL;
}

const char *acu_error_name(int code) { return describe("cuGetErrorName", code); }
const char *acu_error_text(int code) { return describe("cuGetErrorString", code); }
