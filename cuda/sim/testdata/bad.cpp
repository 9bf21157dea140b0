// bad.cpp CASE commits one fault and prints the result of the call that must tell it.
#include <cstring>
#include <functional>
#include <map>
#include <thread>

#include "cu.h"
#include "lt.h"
#include "params.h"

static Ptr x, y, half;
static float host[64];

// place is upload without the legacy stream.
template <class T> static Ptr place(const std::vector<T> &v, Handle s) {
  Ptr p = alloc(v.size() * sizeof(T));
  need(cuMemcpyHtoDAsync_v2(p, v.data(), v.size() * sizeof(T), s));
  return p;
}

static void buffers() {
  Handle s;
  need(cuStreamCreate(&s, 1));
  std::vector<float> v(64, 1.f);
  x = place(v, s);
  y = place(v, s);
  half = place(std::vector<uint16_t>(64, 0x3c00), s);
  need(cuStreamDestroy_v2(s));
}

// run launches a kernel and waits for it.
static int run(const char *name, VectorParams p, unsigned grid = 1, unsigned block = 64, unsigned shared = 0) {
  int e = launch(name, grid, block, p, nullptr, shared);
  return e ? e : cuCtxSynchronize();
}
static int run(const char *name, long long n = 64) { return run(name, {x, y, 0, n}); }

static Handle stream(bool blocking = false) {
  Handle s;
  need(cuStreamCreate(&s, !blocking));
  return s;
}
static Handle capturing(int mode = 1, bool blocking = false) {
  Handle s = stream(blocking);
  need(cuStreamBeginCapture_v2(s, mode));
  return s;
}
// broken ends a capture that is expected to be invalid by now.
static int broken(Handle s, int error) {
  Handle g;
  int e = cuStreamEndCapture(s, &g);
  if (e != 901 || g) printf("EndCapture = %d\n", e);
  return error;
}

static const std::map<std::string, std::function<int()>> cases = {
    {"read_beyond", [] { return run("read_beyond"); }},
    {"write_beyond", [] { return run("write_beyond"); }},
    {"shared_beyond", [] { return run("shared_beyond", {x, y, 0, 64}, 1, 64, 256); }},
    {"index_beyond", [] { return run("index_beyond"); }},
    {"use_after_free",
     [] {
       need(cuMemFree_v2(x));
       return run("copy");
     }},
    {"free_while_queued", // the release waits for the queue: no fault
     [] {
       Handle s = stream();
       need(launch("copy", 1, 64, VectorParams{x, y, 0, 64}, s));
       need(cuMemFree_v2(x));
       need(cuStreamSynchronize(s));
       return 0;
     }},
    {"double_free",
     [] {
       need(cuMemFree_v2(x));
       return cuMemFree_v2(x);
     }},
    {"unwritten", [] { return run("copy", {alloc(256), y, 0, 64}); }},
    {"unwritten_gemm",
     [] {
       Handle h;
       float one = 1, zero = 0;
       need(cublasCreate_v2(&h));
       need(cublasSgemm_v2(h, 0, 0, 8, 8, 8, &one, alloc(256), 8, x, 8, &zero, y, 8));
       return cuCtxSynchronize();
     }},
    {"gemm_beyond",
     [] {
       Handle h;
       float one = 1, zero = 0;
       need(cublasCreate_v2(&h));
       need(cublasSgemm_v2(h, 0, 0, 8, 8, 9, &one, x, 8, x, 9, &zero, y, 8));
       return cuCtxSynchronize();
     }},
    {"shared_unwritten", [] { return run("shared_unwritten"); }},
    {"no_syncthreads", [] { return run("no_syncthreads"); }},
    {"one_syncthreads", [] { return run("one_syncthreads"); }},
    {"no_syncwarp", [] { return run("no_syncwarp", {half, y, 0, 64}, 1, 32); }},
    {"no_wait", [] { return run("no_wait", {half, y, 0, 64}, 1, 32); }},
    {"blocks_race", [] { return run("blocks_race", {x, y, 0, 64}, 2); }},
    {"blocks_race_read", [] { return run("blocks_race_read", {x, upload(std::vector<float>(128, 1.f)), 0, 64}, 2); }},
    {"misaligned", [] { return run("misaligned", 1); }},
    {"misaligned_copy", [] { return run("misaligned_copy", 1); }},
    {"divergent_barrier", [] { return run("divergent_barrier"); }},
    {"wild", [] { return run("wild", 4096); }},
    {"host_pointer", [] { return run("host_pointer", (long long)(uintptr_t)host); }},
    {"divide_by_zero", [] { return run("divide_by_zero"); }},
    {"sticky",
     [] {
       Handle s, copy = function("copy");
       VectorParams arguments = {x, y, 0, 64};
       void *params[] = {&arguments};
       if (run("wild", 4096) != 700) return -1;
       Ptr p;
       if (cuMemAlloc_v2(&p, 4) != 700 || cuStreamCreate(&s, 0) != 700 || cuMemcpyDtoH_v2(host, y, 4) != 700) return -1;
       return cuLaunchKernel(copy, 1, 1, 1, 64, 1, 1, 0, nullptr, params, nullptr);
     }},

    // Captures.
    {"capture_sync", [] { Handle s = capturing(); return broken(s, cuStreamSynchronize(s)); }},
    {"capture_sync_other", [] { Handle s = capturing(); return broken(s, cuStreamSynchronize(stream())); }},
    {"capture_sync_context", [] { Handle s = capturing(); return broken(s, cuCtxSynchronize()); }},
    {"capture_query", [] { Handle s = capturing(); return broken(s, cuStreamQuery(s)); }},
    {"capture_copy", [] { Handle s = capturing(); return broken(s, cuMemcpyDtoH_v2(host, x, 4)); }},
    {"capture_alloc", [] { Handle s = capturing(); Ptr p; return broken(s, cuMemAlloc_v2(&p, 4)); }},
    {"capture_alloc_relaxed",
     [] {
       Handle s = capturing(2), g;
       Ptr p;
       need(cuMemAlloc_v2(&p, 4));
       need(cuStreamEndCapture(s, &g));
       return 0;
     }},
    {"capture_module", [] { Handle s = capturing(), m; return broken(s, cuModuleLoadData(&m, "acusim")); }},
    {"capture_function", // its first use loads the kernel
     [] {
       Handle s = capturing(), f;
       return broken(s, cuModuleGetFunction(&f, module_, "copy"));
     }},
    {"capture_handle", [] { Handle s = capturing(), h; return broken(s, cublasCreate_v2(&h)); }},
    {"capture_workspace",
     [] {
       Handle h, s = stream(), g;
       float one = 1, zero = 0;
       need(cublasCreate_v2(&h));
       need(cublasSetWorkspace_v2(h, alloc(4096), 4096));
       need(cublasSetStream_v2(h, s)); // takes the workspace away
       need(cuStreamBeginCapture_v2(s, 1));
       int e = cublasSgemm_v2(h, 0, 0, 8, 8, 8, &one, x, 8, x, 8, &zero, y, 8);
       need(cuStreamEndCapture(s, &g));
       return e;
     }},
    {"capture_product", // the first one of its kind loads a kernel
     [] {
       Handle h, s = stream();
       float one = 1, zero = 0;
       need(cublasCreate_v2(&h));
       need(cublasSetStream_v2(h, s));
       need(cublasSetWorkspace_v2(h, alloc(4096), 4096));
       need(cublasSgemm_v2(h, 0, 0, 8, 8, 8, &one, x, 8, x, 8, &zero, y, 8));
       need(cuStreamBeginCapture_v2(s, 1));
       need(cublasSgemm_v2(h, 0, 0, 8, 8, 8, &one, x, 8, x, 8, &zero, y, 8));
       return broken(s, cublasSgemm_v2(h, 0, 0, 8, 8, 4, &one, x, 8, x, 8, &zero, y, 8));
     }},
    {"capture_choice", // of an algorithm
     [] {
       LtProduct p(8, half);
       Handle s = capturing();
       return broken(s, p.choose());
     }},
    {"capture_fused",
     [] {
       LtProduct p(8, half);
       need(p.choose());
       Ptr workspace = alloc(1 << 20);
       Handle s = capturing();
       return broken(s, p.multiply(half, half, x, workspace, 1 << 20, s));
     }},
    {"capture_legacy",
     [] {
       function("copy");
       Handle s = capturing(1, true);
       return broken(s, launch("copy", 1, 64, VectorParams{x, y, 0, 64}));
     }},
    {"capture_event_query",
     [] {
       Handle e;
       need(cuEventCreate(&e, 0));
       Handle s = capturing();
       need(cuEventRecord(e, s));
       return broken(s, cuEventQuery(e));
     }},
    {"capture_isolation",
     [] {
       Handle e, other = stream();
       need(cuEventCreate(&e, 0));
       need(cuEventRecord(e, other));
       Handle s = capturing();
       return broken(s, cuStreamWaitEvent(s, e, 0));
     }},
    {"capture_unjoined",
     [] {
       Handle e, g, other = stream();
       function("copy");
       need(cuEventCreate(&e, 0));
       Handle s = capturing();
       need(cuEventRecord(e, s));
       need(cuStreamWaitEvent(other, e, 0));
       need(launch("copy", 1, 64, VectorParams{x, y, 0, 64}, other));
       return cuStreamEndCapture(s, &g);
     }},
    {"capture_unmatched",
     [] {
       Handle e, g, other = stream();
       need(cuEventCreate(&e, 0));
       Handle s = capturing();
       need(cuEventRecord(e, s));
       need(cuStreamWaitEvent(other, e, 0));
       return cuStreamEndCapture(other, &g);
     }},
    {"capture_merge",
     [] {
       Handle e;
       need(cuEventCreate(&e, 0));
       Handle s = capturing();
       need(cuEventRecord(e, s));
       return broken(s, cuStreamWaitEvent(capturing(), e, 0));
     }},

    {"capture_other_thread",
     [] {
       Handle s = capturing(), c;
       int e = 0;
       need(cuDevicePrimaryCtxRetain(&c, 0));
       std::thread([&] {
         Handle g;
         need(cuCtxSetCurrent(c));
         e = cuStreamEndCapture(s, &g);
       }).join();
       return broken(s, e);
     }},

    // cublasLt.
    {"fused", [] { LtProduct p(8, half); need(p.choose()); return p.multiply(half, half, x, alloc(1 << 20), 1 << 20, stream()); }},
    {"fused_uneven", [] { return LtProduct(9, half).choose(); }},
    {"fused_misaligned", // 256 bytes were promised
     [] {
       LtProduct p(8, half);
       need(p.choose());
       Ptr to = alloc(4096);
       return p.multiply(half, half, to + 16, alloc(1 << 20), 1 << 20, stream());
     }},
    {"fused_no_workspace", [] { LtProduct p(8, half); need(p.choose()); return p.multiply(half, half, x, 0, 0, stream()); }},
    {"fused_no_choice", [] { LtProduct p(8, half); return p.multiply(half, half, x, alloc(1 << 20), 1 << 20, stream()); }},
    {"fused_other_choice",
     [] {
       LtProduct p(8, half), q(16, half);
       need(p.choose());
       memcpy(q.result, p.result, sizeof p.result);
       return q.multiply(alloc(4096), half, alloc(4096), alloc(1 << 20), 1 << 20, stream());
     }},

    // What must be asked for within limits.
    {"too_many_threads", [] { return launch("copy", 1, 2048, VectorParams{x, y, 0, 64}); }},
    {"beyond_bounds", [] { return launch("copy", 1, 128, VectorParams{x, y, 0, 64}); }},
    {"no_blocks", [] { return launch("copy", 0, 64, VectorParams{x, y, 0, 64}); }},
    {"too_much_shared", [] { return launch("copy", 1, 64, VectorParams{x, y, 0, 64}, nullptr, 49153); }},
    {"too_much_shared_asked", [] { return cuFuncSetAttribute(function("copy"), 8, 232449); }},
    {"parameter_size", [] { return launch("copy", 1, 64, MatrixParams{x, y, 0, 1, 1, 1, 0}); }},
    {"copy_beyond", [] { return cuMemcpyDtoH_v2(host, x, 257); }},
    {"no_memory", [] { Ptr p; return cuMemAlloc_v2(&p, (size_t)200 << 30); }},
    {"unknown_kernel", [] { Handle f; return cuModuleGetFunction(&f, module_, "no such kernel"); }},
    {"bad_image", [] { Handle m; return cuModuleLoadData(&m, "nonsense"); }},
    {"legacy_forbidden", [] { return launch("copy", 1, 64, VectorParams{x, y, 0, 64}); }},
    // Values instead of codes.
    {"values_no_syncthreads",
     [] {
       std::vector<float> v(64);
       for (int i = 0; i < 64; i++) v[i] = (float)i;
       need(cuMemcpyHtoDAsync_v2(x, v.data(), 256, stream()));
       need(cuCtxSynchronize());
       need(run("no_syncthreads"));
       for (float f : download<float>(y, 64)) printf("%g ", f);
       return 0;
     }},
    {"values_no_wait",
     [] {
       need(run("no_wait", {half, y, 0, 64}, 1, 32));
       printf("%x\n", download<unsigned>(y, 1)[0]);
       return 0;
     }},
    {"stale_stream", [] { Handle s = stream(); need(cuStreamDestroy_v2(s)); return cuStreamSynchronize(s); }},
};

int main(int, char **argv) {
  auto it = cases.find(argv[1]);
  if (it == cases.end()) return printf("no case %s\n", argv[1]), 2;
  open();
  buffers();
  printf("%d\n", it->second());
  return 0;
}
