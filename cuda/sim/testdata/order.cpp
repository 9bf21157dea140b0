// order.cpp CASE shows what the order of work is: between streams, in graphs, by events.
#include <functional>
#include <map>

#include "cu.h"
#include "params.h"

static Ptr x, y;
static Handle a, b, e;
static VectorParams params() { return {x, y, 0, 64}; } // y += x or y = x
static float first(Ptr p) {
  need(cuCtxSynchronize());
  return download<float>(p, 1)[0];
}
static Handle instantiate(Handle s) {
  Handle g, exec;
  need(cuStreamEndCapture(s, &g));
  need(cuGraphInstantiateWithFlags(&exec, g, 0));
  need(cuGraphDestroy(g));
  return exec;
}

static const std::map<std::string, std::function<float()>> cases = {
    // x = 5 is queued on one stream and read on another.
    {"missing_wait",
     [] {
       need(cuMemsetD32Async(x, 0x40a00000, 64, a));
       need(launch("copy", 1, 64, params(), b));
       need(cuStreamSynchronize(b));
       return first(y);
     }},
    {"wait",
     [] {
       need(cuMemsetD32Async(x, 0x40a00000, 64, a));
       need(cuEventRecord(e, a));
       need(cuStreamWaitEvent(b, e, 0));
       need(launch("copy", 1, 64, params(), b));
       need(cuStreamSynchronize(b));
       return first(y);
     }},
    // A synchronous copy does not wait for a non-blocking stream.
    {"missing_synchronise",
     [] {
       need(cuMemsetD32Async(x, 0x40a00000, 64, a));
       return download<float>(x, 1)[0];
     }},
    // Pinned memory is read when the copy runs, pageable memory at once.
    {"pinned_overwritten",
     [] {
       void *p;
       need(cuMemHostAlloc(&p, 256, 0));
       for (int i = 0; i < 64; i++) ((float *)p)[i] = 3;
       need(cuMemcpyHtoDAsync_v2(x, p, 256, a));
       ((float *)p)[0] = 4;
       return first(x);
     }},
    {"pageable_overwritten",
     [] {
       std::vector<float> v(64, 3.f);
       need(cuMemcpyHtoDAsync_v2(x, v.data(), 256, a));
       v[0] = 4;
       return first(x);
     }},
    {"query",
     [] {
       need(launch("add", 1, 64, params(), a));
       need(launch("add", 1, 64, params(), a));
       need(cuEventRecord(e, a));
       int n = 0;
       while (cuEventQuery(e) == 600) n++;
       return n > 0 ? first(y) : -1.f;
     }},
    {"graph_twice", // y = 1 + 1 + 1
     [] {
       function("add");
       need(cuStreamBeginCapture_v2(a, 1));
       need(launch("add", 1, 64, params(), a));
       Handle exec = instantiate(a);
       need(cuGraphLaunch(exec, a));
       need(cuGraphLaunch(exec, a));
       float v = first(y);
       need(cuGraphExecDestroy(exec));
       return v;
     }},
    {"graph_fork", // b adds, joined: y = 1 + 1, then x = y
     [] {
       function("add"), function("copy");
       need(cuStreamBeginCapture_v2(a, 1));
       need(cuEventRecord(e, a));
       need(cuStreamWaitEvent(b, e, 0));
       need(launch("add", 1, 64, params(), b));
       need(cuEventRecord(e, b));
       need(cuStreamWaitEvent(a, e, 0));
       need(launch("copy", 1, 64, VectorParams{y, x, 0, 64}, a));
       Handle exec = instantiate(a);
       need(cuGraphLaunch(exec, a));
       return first(x);
     }},
    {"graph_fork_missing_join", // the copy does not depend on the addition: the graph runs it first
     [] {
       Handle e2;
       need(cuEventCreate(&e2, 0));
       function("add"), function("copy");
       need(cuStreamBeginCapture_v2(a, 1));
       need(cuEventRecord(e, a));
       need(cuStreamWaitEvent(b, e, 0));
       need(launch("add", 1, 64, params(), b));
       need(cuEventRecord(e2, b));
       need(launch("copy", 1, 64, VectorParams{y, x, 0, 64}, a));
       need(cuStreamWaitEvent(a, e2, 0));
       Handle exec = instantiate(a);
       need(cuGraphLaunch(exec, a));
       return first(x);
     }},
    {"graph_gemm", // 8x8 ones times ones
     [] {
       Handle h;
       float one = 1, zero = 0;
       need(cublasCreate_v2(&h));
       need(cublasSetStream_v2(h, a));
       need(cublasSetWorkspace_v2(h, alloc(4096), 4096));
       need(cublasSgemm_v2(h, 0, 0, 8, 8, 8, &one, x, 8, x, 8, &zero, upload(std::vector<float>(64)), 8)); // loads the kernel
       need(cuStreamBeginCapture_v2(a, 1));
       need(cublasSgemm_v2(h, 0, 0, 8, 8, 8, &one, x, 8, x, 8, &zero, y, 8));
       Handle exec = instantiate(a);
       float before = first(y);
       need(cuGraphLaunch(exec, a));
       return before == 1 ? first(y) : -1.f;
     }},
    {"large_alloc", // memory that is not touched costs nothing, and is poison
     [] {
       Ptr p = alloc((size_t)60 << 30);
       uint32_t u = download<uint32_t>(p + ((size_t)59 << 30), 1)[0];
       need(cuMemFree_v2(p));
       return u == 0xffffffffu ? 1.f : 0.f;
     }},
};

int main(int, char **argv) {
  auto it = cases.find(argv[1]);
  if (it == cases.end()) return printf("no case %s\n", argv[1]), 2;
  open();
  x = upload(std::vector<float>(64, 1.f));
  y = upload(std::vector<float>(64, 1.f));
  need(cuStreamCreate(&a, 1));
  need(cuStreamCreate(&b, 1));
  need(cuEventCreate(&e, 0));
  printf("%g\n", it->second());
  return 0;
}
