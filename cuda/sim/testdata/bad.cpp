// bad.cpp CASE commits one fault and prints the result of the call that must tell it; bad.cpp CASE mended does the same
// without the fault.
#include <cstring>
#include <functional>
#include <map>
#include <thread>

#include "cu.h"
#include "lt.h"
#include "params.h"

static bool mended;
static Ptr x, y, half;
static float host[64];

// place is upload without the legacy stream.
template <class T> static Ptr place(const std::vector<T> &v, Handle s) {
  Ptr p = alloc(v.size() * sizeof(T));
  need(cuMemcpyHtoDAsync_v2(p, v.data(), v.size() * sizeof(T), s));
  return p;
}
static Ptr ones(size_t n, Handle s) { return place(std::vector<float>(n, 1.f), s); }

static void buffers() {
  Handle s;
  need(cuStreamCreate(&s, 1));
  x = ones(64, s);
  y = ones(64, s);
  half = place(std::vector<uint16_t>(64, 0x3c00), s);
  need(cuStreamDestroy_v2(s));
}

// run launches a kernel and waits for it.
static int run(const char *name, VectorParams p, unsigned grid = 1, unsigned block = 64, unsigned shared = 0) {
  p.mended = mended;
  int e = launch(name, grid, block, p, nullptr, shared);
  return e ? e : cuCtxSynchronize();
}
static int run(const char *name, long long n = 64) { return run(name, {x, y, 0, n}); }
static int run_blocks(const char *name) { return run(name, {x, upload(std::vector<float>(128, 1.f)), 0, 64}, 2); }

static Handle stream(bool blocking = false) {
  Handle s;
  need(cuStreamCreate(&s, !blocking));
  return s;
}
static Handle event() {
  Handle e;
  need(cuEventCreate(&e, 0));
  return e;
}
// capturing is a stream that captures: mended, one that does not.
static Handle capturing(int mode = 1, bool blocking = false) {
  Handle s = stream(blocking);
  if (!mended) need(cuStreamBeginCapture_v2(s, mode));
  return s;
}
// broken ends a capture that is expected to be invalid by now.
static int broken(Handle s, int error) {
  if (mended) return error;
  Handle g;
  int e = cuStreamEndCapture(s, &g);
  if (e != 901 || g) printf("EndCapture = %d\n", e);
  return error;
}
// forked gives a stream that has joined the capture of s.
static Handle forked(Handle s) {
  Handle e = event(), other = stream();
  need(cuEventRecord(e, s));
  need(cuStreamWaitEvent(other, e, 0));
  return other;
}
static int gemm(Handle h, Ptr a, int k = 8) {
  float one = 1, zero = 0;
  return cublasSgemm_v2(h, 0, 0, 8, 8, k, &one, a, 8, x, k, &zero, y, 8);
}

static const std::map<std::string, std::function<int()>> cases = {
    {"read_beyond", [] { return run("read_beyond"); }},
    {"write_beyond", [] { return run("write_beyond"); }},
    {"shared_beyond", [] { return run("shared_beyond", {x, y, 0, 64}, 1, 64, 256); }},
    {"index_beyond", [] { return run("index_beyond"); }},
    {"use_after_free",
     [] {
       if (!mended) need(cuMemFree_v2(x));
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
       return cuMemFree_v2(mended ? y : x);
     }},
    {"unwritten", [] { return run("copy", {mended ? x : alloc(256), y, 0, 64}); }},
    {"unwritten_gemm",
     [] {
       Handle h;
       need(cublasCreate_v2(&h));
       need(gemm(h, mended ? x : alloc(256)));
       return cuCtxSynchronize();
     }},
    {"gemm_beyond",
     [] {
       Handle h;
       need(cublasCreate_v2(&h));
       need(gemm(h, x, mended ? 8 : 9));
       return cuCtxSynchronize();
     }},
    {"shared_unwritten", [] { return run("shared_unwritten"); }},
    {"no_syncthreads", [] { return run("no_syncthreads"); }},
    {"one_syncthreads", [] { return run("one_syncthreads"); }},
    {"overwritten", [] { return run("overwritten"); }},
    {"overwritten_in_warp", [] { return run("overwritten", {x, y, 0, 64}, 1, 32); }},
    {"no_syncwarp", [] { return run("no_syncwarp", {half, y, 0, 64}, 1, 32); }},
    {"no_wait", [] { return run("no_wait", {half, y, 0, 64}, 1, 32); }},
    {"blocks_race", [] { return run_blocks("blocks_race"); }},
    {"blocks_race_read", [] { return run_blocks("blocks_race_read"); }},
    {"misaligned", [] { return run("misaligned"); }},
    {"misaligned_copy", [] { return run("misaligned_copy"); }},
    {"divergent_barrier", [] { return run("divergent_barrier"); }},
    {"phase_never_ends", [] { return run("phase_never_ends"); }},
    {"product_overwritten", [] { return run("product_overwritten", {x, y, 0, 64}, 1, 128, 13 * 1024); }},
    {"group_barrier", [] { return run("group_barrier"); }},
    {"wild", [] { return run("wild", mended ? (long long)y : 4096); }},
    {"host_pointer", [] { return run("host_pointer", mended ? (long long)x : (long long)(uintptr_t)host); }},
    {"divide_by_zero", [] { return run("divide_by_zero", mended ? 65 : 64); }},
    {"sticky",
     [] {
       Handle s, copy = function("copy");
       VectorParams arguments = {x, y, 0, 64};
       void *params[] = {&arguments};
       int e = mended ? 0 : 700;
       if (run("wild", mended ? (long long)y : 4096) != e) return -1;
       Ptr p;
       if (cuMemAlloc_v2(&p, 4) != e || cuStreamCreate(&s, 0) != e || cuMemcpyDtoH_v2(host, y, 4) != e) return -1;
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
       Handle s = stream(), g;
       Ptr p;
       need(cuStreamBeginCapture_v2(s, 2));
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
       need(cublasCreate_v2(&h));
       need(cublasSetWorkspace_v2(h, alloc(4096), 4096));
       need(cublasSetStream_v2(h, s)); // takes the workspace away
       if (mended) need(cublasSetWorkspace_v2(h, alloc(4096), 4096));
       need(gemm(h, x));
       need(cuStreamBeginCapture_v2(s, 1));
       int e = gemm(h, x);
       need(cuStreamEndCapture(s, &g));
       return e;
     }},
    {"capture_product", // the first one of its kind loads a kernel
     [] {
       Handle h, s = stream();
       need(cublasCreate_v2(&h));
       need(cublasSetStream_v2(h, s));
       need(cublasSetWorkspace_v2(h, alloc(4096), 4096));
       need(gemm(h, x));
       need(cuStreamBeginCapture_v2(s, 1));
       need(gemm(h, x));
       return broken(s, gemm(h, x, mended ? 8 : 4));
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
       Handle s = stream(true);
       need(cuStreamBeginCapture_v2(s, 1));
       return broken(s, launch("copy", 1, 64, VectorParams{x, y, 0, 64}, mended ? s : nullptr));
     }},
    {"capture_event_query",
     [] {
       Handle e = event(), s = capturing();
       need(cuEventRecord(e, s));
       if (mended) need(cuEventSynchronize(e));
       return broken(s, cuEventQuery(e));
     }},
    {"capture_isolation",
     [] {
       Handle e = event();
       need(cuEventRecord(e, stream()));
       Handle s = capturing();
       return broken(s, cuStreamWaitEvent(s, e, 0));
     }},
    {"capture_unjoined",
     [] {
       function("copy");
       Handle s = stream(), e = event(), g;
       need(cuStreamBeginCapture_v2(s, 1));
       Handle other = forked(s);
       need(launch("copy", 1, 64, VectorParams{x, y, 0, 64}, other));
       need(cuEventRecord(e, other));
       if (mended) need(cuStreamWaitEvent(s, e, 0));
       return cuStreamEndCapture(s, &g);
     }},
    {"capture_unmatched",
     [] {
       Handle s = stream(), g;
       need(cuStreamBeginCapture_v2(s, 1));
       Handle other = forked(s);
       return cuStreamEndCapture(mended ? s : other, &g);
     }},
    {"capture_merge",
     [] {
       Handle e = event(), s = capturing();
       need(cuEventRecord(e, s));
       return broken(s, cuStreamWaitEvent(capturing(), e, 0));
     }},
    {"capture_other_thread",
     [] {
       Handle s = stream(), c;
       need(cuStreamBeginCapture_v2(s, 1));
       int e = 0;
       need(cuDevicePrimaryCtxRetain(&c, 0));
       auto end = [&] {
         Handle g;
         need(cuCtxSetCurrent(c));
         e = cuStreamEndCapture(s, &g);
       };
       if (mended) end();
       else std::thread(end).join();
       return broken(s, e);
     }},

    // cublasLt.
    {"fused", [] { LtProduct p(8, half); need(p.choose()); return p.multiply(half, half, x, alloc(1 << 20), 1 << 20, stream()); }},
    {"fused_uneven", [] { return LtProduct(mended ? 8 : 9, half).choose(); }},
    {"fused_misaligned", // 256 bytes were promised
     [] {
       LtProduct p(8, half);
       need(p.choose());
       Ptr to = alloc(4096);
       return p.multiply(half, half, to + (mended ? 0 : 16), alloc(1 << 20), 1 << 20, stream());
     }},
    {"fused_no_workspace",
     [] {
       LtProduct p(8, half);
       need(p.choose());
       if (mended) return p.multiply(half, half, x, alloc(1 << 20), 1 << 20, stream());
       return p.multiply(half, half, x, 0, 0, stream());
     }},
    {"fused_no_choice",
     [] {
       LtProduct p(8, half);
       if (mended) need(p.choose());
       return p.multiply(half, half, x, alloc(1 << 20), 1 << 20, stream());
     }},
    {"fused_other_choice",
     [] {
       LtProduct p(8, half), q(16, half);
       need(p.choose());
       if (mended) need(q.choose());
       else memcpy(q.result, p.result, sizeof p.result);
       return q.multiply(ones(64, stream()), half, alloc(4096), alloc(1 << 20), 1 << 20, stream());
     }},

    // What must be asked for within limits.
    {"too_many_threads", [] { return launch("copy", 1, mended ? 64 : 2048, VectorParams{x, y, 0, 64}); }},
    {"beyond_bounds", [] { return launch("copy", 1, mended ? 64 : 128, VectorParams{x, y, 0, 64}); }},
    {"no_blocks", [] { return launch("copy", mended, 64, VectorParams{x, y, 0, 64}); }},
    {"too_much_shared", [] { return launch("copy", 1, 64, VectorParams{x, y, 0, 64}, nullptr, mended ? 49152 : 49153); }},
    {"too_much_shared_asked", [] { return cuFuncSetAttribute(function("copy"), 8, mended ? 232448 : 232449); }},
    {"parameter_size",
     [] {
       if (mended) return launch("copy", 1, 64, VectorParams{x, y, 0, 64});
       return launch("copy", 1, 64, x);
     }},
    {"copy_beyond", [] { return cuMemcpyDtoH_v2(host, x, mended ? 256 : 257); }},
    {"no_memory", [] { Ptr p; return cuMemAlloc_v2(&p, (size_t)(mended ? 20 : 200) << 30); }},
    {"unknown_kernel", [] { Handle f; return cuModuleGetFunction(&f, module_, mended ? "copy" : "no such kernel"); }},
    {"bad_image", [] { Handle m; return cuModuleLoadData(&m, mended ? "acusim" : "nonsense"); }},
    {"legacy_forbidden", [] { return launch("copy", 1, 64, VectorParams{x, y, 0, 64}, mended ? stream() : nullptr); }},
    {"stale_stream",
     [] {
       Handle s = stream();
       if (!mended) need(cuStreamDestroy_v2(s));
       return cuStreamSynchronize(s);
     }},
    {"leak",
     [] {
       for (Ptr p : {x, half}) need(cuMemFree_v2(p));
       if (mended) need(cuMemFree_v2(y));
       need(cuModuleUnload(module_));
       return cuDevicePrimaryCtxRelease_v2(0);
     }},
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
};

int main(int argc, char **argv) {
  auto it = argc > 1 ? cases.find(argv[1]) : cases.end();
  if (it == cases.end()) return puts("usage: bad CASE [mended]"), 2;
  mended = argc > 2;
  open();
  buffers();
  printf("%d\n", it->second());
  return 0;
}
