// cublas.cpp: the interface of cuBLAS 12 for the products that acumen asks for. They are work on the handle's stream, as
// kernels are.
#include <cstdio>
#include <cstring>
#include <set>
#include <string>

#include "../driver/plugin.h"
#include "gemm.h"

#define API extern "C" __attribute__((visibility("default")))

namespace blas {
enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, INTERNAL_ERROR = 14, NOT_SUPPORTED = 15, EXECUTION_FAILED = 13 };
enum MathMode { DEFAULT_MATH = 0, TENSOR_OP_MATH = 1, PEDANTIC_MATH = 2, TF32_MATH = 3, MODE_MASK = 15 };
enum ComputeType { COMPUTE_16F = 64, COMPUTE_32F = 68, COMPUTE_32F_PEDANTIC = 69, COMPUTE_64F = 70, COMPUTE_64F_PEDANTIC = 71,
                   COMPUTE_32F_FAST_16F = 74, COMPUTE_32F_FAST_16BF = 75, COMPUTE_32F_FAST_TF32 = 77 };
enum { VERSION = 120900 };

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

// Call holds the driver's lock during a call.
struct Call {
  int status;
  Call(const char *name, Handle *h, bool capture_forbids = false) {
    int e = acusim_enter(name, capture_forbids);
    status = e > 0 ? e : e < 0 ? (capture_forbids && e != -3 && e != -201 ? NOT_INITIALIZED : EXECUTION_FAILED) : SUCCESS;
    if (!status && h && !handles().count(h)) status = NOT_INITIALIZED;
  }
  ~Call() { acusim_leave(); }
  Call(const Call &) = delete;
};

// extent is the number of elements from the first to the last of a column-major matrix.
long long extent(int rows, int cols, long long ld) { return rows && cols ? (cols - 1) * ld + rows : 0; }

bool held(const Product &p, const char *a, int rows, int cols, long long ld, size_t size, AcusimAccess access) {
  if (!acusim_access(p.name, a, (size_t)extent(rows, cols, ld) * size, ACUSIM_HELD)) return false;
  if (!acusim_checked()) return true;
  for (int j = 0; j < cols; j++)
    if (!acusim_access(p.name, a + (size_t)(j * ld) * size, (size_t)rows * size, access)) return false;
  return true;
}

double scalar(const Product &p, const void *at, double value) {
  if (!at) return value;
  return p.f64 ? *(const double *)at : (double)*(const float *)at;
}

void execute(const void *data) {
  Product p;
  memcpy(&p, data, sizeof p);
  size_t scalar_bytes = p.f64 ? 8 : 4;
  if (p.alpha_at && !(acusim_access(p.name, p.alpha_at, scalar_bytes, ACUSIM_READ) && acusim_access(p.name, p.beta_at, scalar_bytes, ACUSIM_READ)))
    return;
  double alpha = scalar(p, p.alpha_at, p.alpha), beta = scalar(p, p.beta_at, p.beta);
  if (p.workspace_bytes) { // what it held is lost, as it may be with cuBLAS
    size_t n = p.workspace_bytes < 4096 ? p.workspace_bytes : 4096;
    if (!acusim_access(p.name, p.workspace, p.workspace_bytes, ACUSIM_HELD) || !acusim_access(p.name, p.workspace, n, ACUSIM_WRITE)) return;
    memset(p.workspace, 0xff, n);
  }
  size_t in = bytes_of(p.ab_type), out = bytes_of(p.c_type);
  for (long long i = 0; i < p.count; i++) {
    const char *a = (const char *)p.a + i * p.step_a * (long long)in, *b = (const char *)p.b + i * p.step_b * (long long)in;
    char *c = (char *)p.c + i * p.step_c * (long long)out;
    if (alpha != 0 && p.k && !(held(p, a, p.ta ? p.k : p.m, p.ta ? p.m : p.k, p.lda, in, ACUSIM_READ) &&
                               held(p, b, p.tb ? p.n : p.k, p.tb ? p.k : p.n, p.ldb, in, ACUSIM_READ)))
      return;
    if (beta != 0 && !held(p, c, p.m, p.n, p.ldc, out, ACUSIM_READ)) return;
    if (!held(p, c, p.m, p.n, p.ldc, out, ACUSIM_WRITE)) return;
    multiply(p, a, b, c, alpha, beta);
  }
}

bool types_fit(const Product &p) {
  if (p.f64) return p.ab_type == F64 && p.c_type == F64;
  if (p.ab_type == F32) return p.c_type == F32;
  return (p.ab_type == F16 || p.ab_type == BF16) && (p.c_type == p.ab_type || p.c_type == F32);
}

int bad(const char *name, const char *what) {
  fprintf(stderr, "acusim: %s: %s\n", name, what);
  return INVALID_VALUE;
}

// apart: no element of C belongs to two products: one lies behind the other, or all lie side by side in the columns.
bool apart(const Product &p) {
  if (p.step_c >= extent(p.m, p.n, p.ldc)) return true;
  return p.step_c >= p.m && (p.count - 1) * p.step_c + p.m <= p.ldc;
}

// load loads the kernel for products of this kind when there is one for the first time, which no capture allows.
bool load(const Product &p) {
  static auto *loaded = new std::set<std::string>;
  char kind[300];
  snprintf(kind, sizeof kind, "%s %d%d %dx%dx%d %d>%d %lld %lld %lld, %d by %lld %lld %lld %d%d", p.name, p.ta, p.tb, p.m, p.n, p.k, p.ab_type,
           p.c_type, p.lda, p.ldb, p.ldc, p.count, p.step_a, p.step_b, p.step_c, p.f64, p.tf32);
  if (loaded->count(kind)) return true;
  if (acusim_unsafe((std::string("the first product of its kind (") + kind + "), which loads a kernel,").c_str())) return false;
  loaded->insert(kind);
  return true;
}

int queue(Handle *h, Product p, int ta, int tb, const void *alpha, const void *beta) {
  Call call(p.name, h);
  if (call.status) return call.status;
  if (ta < 0 || ta > 2 || tb < 0 || tb > 2) return bad(p.name, "no such operation");
  p.ta = ta != 0, p.tb = tb != 0;
  if (p.m < 0 || p.n < 0 || p.k < 0 || p.count < 0) return bad(p.name, "a negative extent");
  if (!types_fit(p)) return NOT_SUPPORTED;
  if (p.lda < (p.ta ? p.k : p.m) || p.ldb < (p.tb ? p.n : p.k) || p.ldc < p.m || p.lda < 1 || p.ldb < 1 || p.ldc < 1)
    return bad(p.name, "a leading dimension is smaller than the matrix");
  if (!alpha || !beta) return bad(p.name, "no alpha or beta");
  if (p.count > 1 && p.m && p.n && !apart(p)) return bad(p.name, "the products of a batch overlap");
  size_t in = bytes_of(p.ab_type), out = bytes_of(p.c_type);
  if ((uintptr_t)p.a % in || (uintptr_t)p.b % in || (uintptr_t)p.c % out) return bad(p.name, "a matrix is not aligned to its elements");
  if (acusim_capturing(h->stream) && !h->workspace) {
    fprintf(stderr, "acusim: capture: %s without a workspace of the handle allocates (SetStream takes the workspace away)\n", p.name);
    return INTERNAL_ERROR;
  }
  if (!p.m || !p.n || !p.count) return SUCCESS;
  if ((h->math & MODE_MASK) == TF32_MATH && p.ab_type == F32) p.tf32 = true;
  if (!load(p)) return EXECUTION_FAILED;
  if (h->device_pointers) p.alpha_at = alpha, p.beta_at = beta;
  else if (p.f64) p.alpha = *(const double *)alpha, p.beta = *(const double *)beta;
  else p.alpha = *(const float *)alpha, p.beta = *(const float *)beta;
  p.workspace = h->workspace;
  p.workspace_bytes = h->workspace_bytes;
  return acusim_enqueue(h->stream, p.name, execute, &p, sizeof p) ? EXECUTION_FAILED : SUCCESS;
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
  Call call(name, h);
  if (call.status) return call.status;
  h->*field = value;
  return SUCCESS;
}
} // namespace
} // namespace blas

using namespace blas;

API int cublasCreate_v2(Handle **h) {
  Call call(__func__, nullptr, true);
  if (call.status) return call.status;
  if (!h) return INVALID_VALUE;
  *h = new Handle;
  handles().insert(*h);
  acusim_count("cuBLAS handles", 1);
  return SUCCESS;
}
API int cublasDestroy_v2(Handle *h) {
  Call call(__func__, h);
  if (call.status) return call.status;
  if (!handles().erase(h)) return NOT_INITIALIZED;
  delete h;
  acusim_count("cuBLAS handles", -1);
  return SUCCESS;
}
API int cublasSetStream_v2(Handle *h, void *stream) {
  Call call(__func__, h);
  if (call.status) return call.status;
  h->stream = stream;
  h->workspace = nullptr; // whichever stream it was
  h->workspace_bytes = 0;
  return SUCCESS;
}
API int cublasGetStream_v2(Handle *h, void **stream) {
  Call call(__func__, h);
  if (call.status) return call.status;
  *stream = h->stream;
  return SUCCESS;
}
API int cublasSetWorkspace_v2(Handle *h, void *p, size_t bytes) {
  Call call(__func__, h);
  if (call.status) return call.status;
  if ((uintptr_t)p % 256) return bad(__func__, "the workspace is not aligned to 256 bytes");
  h->workspace = p;
  h->workspace_bytes = bytes;
  return SUCCESS;
}
API int cublasSetMathMode(Handle *h, int mode) { return set(h, __func__, &Handle::math, mode); }
API int cublasGetMathMode(Handle *h, int *mode) {
  Call call(__func__, h);
  if (call.status) return call.status;
  *mode = h->math;
  return SUCCESS;
}
API int cublasSetPointerMode_v2(Handle *h, int mode) { return set(h, __func__, &Handle::device_pointers, mode); }
API int cublasGetPointerMode_v2(Handle *h, int *mode) {
  Call call(__func__, h);
  if (call.status) return call.status;
  *mode = h->device_pointers;
  return SUCCESS;
}
API int cublasGetVersion_v2(Handle *h, int *version) {
  Call call(__func__, h);
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

// compute sets what the compute type says; false if this type is not served for these matrices.
static bool compute(Product *p, int b_type, int type) {
  if (p->ab_type != b_type) return false;
  switch (type) {
  case COMPUTE_32F: case COMPUTE_32F_PEDANTIC: return p->ab_type != F64;
  case COMPUTE_32F_FAST_TF32: p->tf32 = true; return p->ab_type == F32;
  case COMPUTE_64F: case COMPUTE_64F_PEDANTIC: return p->ab_type == F64;
  }
  return false;
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
