// cublas.cpp: the interface of cuBLAS 12 for the products that acumen asks for. They are work on the handle's stream, as
// kernels are.
#include <cstdio>
#include <set>

#include "work.h"

namespace blas {
enum MathMode { DEFAULT_MATH = 0, TENSOR_OP_MATH = 1, PEDANTIC_MATH = 2, TF32_MATH = 3, MODE_MASK = 15 };

struct Handle {
  void *stream = nullptr;
  void *workspace = nullptr;
  size_t workspace_bytes = 0;
  int math = DEFAULT_MATH;
  int device_pointers = 0;
};

namespace {
std::set<Handle *> &handles() {
  static auto *s = new std::set<Handle *>;
  return *s;
}

// HandleCall is a call with a handle.
struct HandleCall : Call {
  HandleCall(const char *name, Handle *h) : Call(name) {
    if (!status && !handles().count(h)) status = NOT_INITIALIZED;
  }
};

int queue(Handle *h, Product p, int ta, int tb, const void *alpha, const void *beta) {
  HandleCall call(p.name, h);
  if (call.status) return call.status;
  if (int e = check(&p, ta, tb)) return e;
  if (!alpha || !beta) return bad(p.name, "no alpha or beta");
  if (acusim_capturing(h->stream) && !h->workspace) {
    fprintf(stderr, "acusim: capture: %s without a workspace of the handle allocates (SetStream takes the workspace away)\n", p.name);
    return INTERNAL_ERROR;
  }
  if ((h->math & MODE_MASK) == TF32_MATH && p.ab_type == F32) p.tf32 = true;
  if (h->device_pointers) p.alpha_at = alpha, p.beta_at = beta;
  else on_host(&p, alpha, beta);
  p.workspace = h->workspace;
  p.workspace_bytes = h->workspace_bytes;
  return enqueue(h->stream, p);
}

Product product(const char *name, int m, int n, int k, const void *a, int a_type, long long lda, long long sa, const void *b, long long ldb,
                long long sb, void *c, int c_type, long long ldc, long long sc, int count) {
  Product p = {};
  p.name = name;
  p.m = m, p.n = n, p.k = k;
  p.a = a, p.b = b, p.c = c;
  p.ab_type = a_type, p.c_type = c_type;
  p.lda = lda, p.ldb = ldb, p.ldc = ldc;
  p.step_a = sa, p.step_b = sb, p.step_c = sc;
  p.count = count;
  p.f64 = a_type == F64;
  return p;
}

int set(Handle *h, const char *name, int Handle::*field, int value) {
  HandleCall call(name, h);
  if (call.status) return call.status;
  h->*field = value;
  return SUCCESS;
}
} // namespace
} // namespace blas

using namespace blas;

API int cublasCreate_v2(Handle **h) {
  Call call(__func__, true);
  if (call.status) return call.status;
  if (!h) return INVALID_VALUE;
  *h = new Handle;
  handles().insert(*h);
  acusim_count("cuBLAS handles", 1);
  return SUCCESS;
}
API int cublasDestroy_v2(Handle *h) {
  HandleCall call(__func__, h);
  if (call.status) return call.status;
  if (!handles().erase(h)) return NOT_INITIALIZED;
  delete h;
  acusim_count("cuBLAS handles", -1);
  return SUCCESS;
}
API int cublasSetStream_v2(Handle *h, void *stream) {
  HandleCall call(__func__, h);
  if (call.status) return call.status;
  h->stream = stream;
  h->workspace = nullptr; // whichever stream it was
  h->workspace_bytes = 0;
  return SUCCESS;
}
API int cublasGetStream_v2(Handle *h, void **stream) {
  HandleCall call(__func__, h);
  if (call.status) return call.status;
  *stream = h->stream;
  return SUCCESS;
}
API int cublasSetWorkspace_v2(Handle *h, void *p, size_t bytes) {
  HandleCall call(__func__, h);
  if (call.status) return call.status;
  if ((uintptr_t)p % 256) return bad(__func__, "the workspace is not aligned to 256 bytes");
  h->workspace = p;
  h->workspace_bytes = bytes;
  return SUCCESS;
}
API int cublasSetMathMode(Handle *h, int mode) { return set(h, __func__, &Handle::math, mode); }
API int cublasGetMathMode(Handle *h, int *mode) {
  HandleCall call(__func__, h);
  if (call.status) return call.status;
  *mode = h->math;
  return SUCCESS;
}
API int cublasSetPointerMode_v2(Handle *h, int mode) { return set(h, __func__, &Handle::device_pointers, mode); }
API int cublasGetPointerMode_v2(Handle *h, int *mode) {
  HandleCall call(__func__, h);
  if (call.status) return call.status;
  *mode = h->device_pointers;
  return SUCCESS;
}
API int cublasGetVersion_v2(Handle *h, int *version) {
  HandleCall call(__func__, h);
  if (call.status) return call.status;
  *version = VERSION;
  return SUCCESS;
}
API int cublasGetProperty(int which, int *value) {
  if (which < 0 || which > 2) return INVALID_VALUE;
  *value = which == 0 ? VERSION / 10000 : which == 1 ? VERSION / 100 % 100 : VERSION % 100;
  return SUCCESS;
}
API const char *cublasGetStatusString(int s) {
  switch (s) {
  case 0: return "success";
  case 1: return "the library was not initialized";
  case 3: return "the resource allocation failed";
  case 7: return "an unsupported value or parameter was passed to the function";
  case 8: return "the function requires a feature absent from the device architecture";
  case 11: return "an access to GPU memory space failed";
  case 13: return "the GPU program failed to execute";
  case 14: return "an internal operation failed";
  case 15: return "the functionality requested is not supported";
  }
  return "unknown status";
}
API const char *cublasGetStatusName(int s) {
  switch (s) {
  case 0: return "CUBLAS_STATUS_SUCCESS";
  case 1: return "CUBLAS_STATUS_NOT_INITIALIZED";
  case 3: return "CUBLAS_STATUS_ALLOC_FAILED";
  case 7: return "CUBLAS_STATUS_INVALID_VALUE";
  case 8: return "CUBLAS_STATUS_ARCH_MISMATCH";
  case 11: return "CUBLAS_STATUS_MAPPING_ERROR";
  case 13: return "CUBLAS_STATUS_EXECUTION_FAILED";
  case 14: return "CUBLAS_STATUS_INTERNAL_ERROR";
  case 15: return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "unknown status";
}

API int cublasSgemm_v2(Handle *h, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int lda, const float *b, int ldb,
                       const float *beta, float *c, int ldc) {
  return queue(h, product(__func__, m, n, k, a, F32, lda, 0, b, ldb, 0, c, F32, ldc, 0, 1), ta, tb, alpha, beta);
}
API int cublasDgemm_v2(Handle *h, int ta, int tb, int m, int n, int k, const double *alpha, const double *a, int lda, const double *b,
                       int ldb, const double *beta, double *c, int ldc) {
  return queue(h, product(__func__, m, n, k, a, F64, lda, 0, b, ldb, 0, c, F64, ldc, 0, 1), ta, tb, alpha, beta);
}
API int cublasSgemmStridedBatched(Handle *h, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int lda, long long sa,
                                  const float *b, int ldb, long long sb, const float *beta, float *c, int ldc, long long sc, int count) {
  return queue(h, product(__func__, m, n, k, a, F32, lda, sa, b, ldb, sb, c, F32, ldc, sc, count), ta, tb, alpha, beta);
}
API int cublasDgemmStridedBatched(Handle *h, int ta, int tb, int m, int n, int k, const double *alpha, const double *a, int lda,
                                  long long sa, const double *b, int ldb, long long sb, const double *beta, double *c, int ldc,
                                  long long sc, int count) {
  return queue(h, product(__func__, m, n, k, a, F64, lda, sa, b, ldb, sb, c, F64, ldc, sc, count), ta, tb, alpha, beta);
}

API int cublasGemmEx(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda, const void *b,
                     int b_type, int ldb, const void *beta, void *c, int c_type, int ldc, int compute_type, int) {
  Product p = product(__func__, m, n, k, a, a_type, lda, 0, b, ldb, 0, c, c_type, ldc, 0, 1);
  return compute(&p, b_type, compute_type) ? queue(h, p, ta, tb, alpha, beta) : NOT_SUPPORTED;
}
API int cublasGemmStridedBatchedEx(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda,
                                   long long sa, const void *b, int b_type, int ldb, long long sb, const void *beta, void *c, int c_type,
                                   int ldc, long long sc, int count, int compute_type, int) {
  Product p = product(__func__, m, n, k, a, a_type, lda, sa, b, ldb, sb, c, c_type, ldc, sc, count);
  return compute(&p, b_type, compute_type) ? queue(h, p, ta, tb, alpha, beta) : NOT_SUPPORTED;
}
