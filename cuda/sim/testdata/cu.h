// cu.h: the driver's functions that the test programs call, and helpers. Written from the interface's documentation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

typedef unsigned long long Ptr;
typedef void *Handle;
extern "C" {
int cuInit(unsigned);
int cuDriverGetVersion(int *);
int cuDeviceGetCount(int *);
int cuDeviceGetName(char *, int, int);
int cuDeviceGetAttribute(int *, int, int);
int cuDevicePrimaryCtxRetain(Handle *, int);
int cuDevicePrimaryCtxRelease_v2(int);
int cuCtxSetCurrent(Handle);
int cuCtxSynchronize();
int cuMemAlloc_v2(Ptr *, size_t);
int cuMemFree_v2(Ptr);
int cuMemGetInfo_v2(size_t *, size_t *);
int cuMemHostAlloc(void **, size_t, unsigned);
int cuMemFreeHost(void *);
int cuMemcpyHtoD_v2(Ptr, const void *, size_t);
int cuMemcpyDtoH_v2(void *, Ptr, size_t);
int cuMemcpyHtoDAsync_v2(Ptr, const void *, size_t, Handle);
int cuMemcpyDtoHAsync_v2(void *, Ptr, size_t, Handle);
int cuMemcpyDtoDAsync_v2(Ptr, Ptr, size_t, Handle);
int cuMemsetD32Async(Ptr, unsigned, size_t, Handle);
int cuMemsetD8_v2(Ptr, unsigned char, size_t);
int cuStreamCreate(Handle *, unsigned);
int cuStreamDestroy_v2(Handle);
int cuStreamSynchronize(Handle);
int cuStreamQuery(Handle);
int cuStreamWaitEvent(Handle, Handle, unsigned);
int cuStreamBeginCapture_v2(Handle, int);
int cuStreamEndCapture(Handle, Handle *);
int cuStreamIsCapturing(Handle, int *);
int cuEventCreate(Handle *, unsigned);
int cuEventDestroy_v2(Handle);
int cuEventRecord(Handle, Handle);
int cuEventQuery(Handle);
int cuEventSynchronize(Handle);
int cuEventElapsedTime(float *, Handle, Handle);
int cuGraphInstantiateWithFlags(Handle *, Handle, unsigned long long);
int cuGraphLaunch(Handle, Handle);
int cuGraphDestroy(Handle);
int cuGraphExecDestroy(Handle);
int cuGraphGetNodes(Handle, Handle *, size_t *);
int cuModuleLoadData(Handle *, const void *);
int cuModuleUnload(Handle);
int cuModuleGetFunction(Handle *, Handle, const char *);
int cuFuncSetAttribute(Handle, int, int);
int cuFuncGetAttribute(int *, int, Handle);
int cuGetErrorName(int, const char **);
int cuLaunchKernel(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Handle, void **, void **);
int cublasCreate_v2(Handle *);
int cublasDestroy_v2(Handle);
int cublasSetStream_v2(Handle, Handle);
int cublasSetWorkspace_v2(Handle, Ptr, size_t);
int cublasSetMathMode(Handle, int);
int cublasSgemm_v2(Handle, int, int, int, int, int, const float *, Ptr, int, Ptr, int, const float *, Ptr, int);
int cublasGemmEx(Handle, int, int, int, int, int, const void *, Ptr, int, int, Ptr, int, int, const void *, Ptr, int, int, int, int);
int cublasGemmStridedBatchedEx(Handle, int, int, int, int, int, const void *, Ptr, int, int, long long, Ptr, int, int, long long,
                               const void *, Ptr, int, int, long long, int, int, int);
long acusim_live(char *, size_t);
size_t acusim_peak();
}

// need ends the program if a call that should succeed does not.
#define need(call)                                                                  \
  do {                                                                              \
    int e_ = (call);                                                                \
    if (e_) printf("%s:%d: %s = %d\n", __FILE__, __LINE__, #call, e_), exit(1);      \
  } while (0)

inline Handle module_;
inline void open() {
  Handle c;
  need(cuInit(0));
  need(cuDevicePrimaryCtxRetain(&c, 0));
  need(cuCtxSetCurrent(c));
  need(cuModuleLoadData(&module_, "acusim"));
}
inline void close() {
  need(cuModuleUnload(module_));
  need(cuDevicePrimaryCtxRelease_v2(0));
}

inline Handle function(const char *name) {
  Handle f;
  need(cuModuleGetFunction(&f, module_, name));
  return f;
}

template <class P> int launch(const char *name, unsigned grid, unsigned block, const P &p, Handle stream = nullptr, unsigned shared = 0) {
  size_t n = sizeof p;
  void *extra[] = {(void *)1, (void *)&p, (void *)2, &n, nullptr};
  return cuLaunchKernel(function(name), grid, 1, 1, block, 1, 1, shared, stream, nullptr, extra);
}

template <class T> Ptr upload(const std::vector<T> &v) {
  Ptr p;
  need(cuMemAlloc_v2(&p, v.size() * sizeof(T)));
  need(cuMemcpyHtoD_v2(p, v.data(), v.size() * sizeof(T)));
  return p;
}
template <class T> std::vector<T> download(Ptr p, size_t n) {
  std::vector<T> v(n);
  need(cuMemcpyDtoH_v2(v.data(), p, n * sizeof(T)));
  return v;
}
inline Ptr alloc(size_t bytes) {
  Ptr p;
  need(cuMemAlloc_v2(&p, bytes));
  return p;
}
