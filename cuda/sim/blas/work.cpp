// work.cpp: products as work on a stream: what they may touch, and when.
#include "work.h"

#include <cstdio>
#include <cstring>
#include <set>
#include <string>

namespace blas {
Call::Call(const char *name, bool capture_forbids) {
  int e = acusim_enter(name, capture_forbids);
  status = e > 0 ? e : e < 0 ? (capture_forbids && e != -3 && e != -201 ? NOT_INITIALIZED : EXECUTION_FAILED) : SUCCESS;
}

int bad(const char *name, const char *what) {
  fprintf(stderr, "acusim: %s: %s\n", name, what);
  return INVALID_VALUE;
}

bool compute(Product *p, int b_type, int type) {
  if (p->ab_type != b_type) return false;
  switch (type) {
  case COMPUTE_32F: case COMPUTE_32F_PEDANTIC: return p->ab_type != F64;
  case COMPUTE_32F_FAST_TF32: p->tf32 = true; return p->ab_type == F32;
  case COMPUTE_64F: case COMPUTE_64F_PEDANTIC: return p->ab_type == F64;
  }
  return false;
}

void on_host(Product *p, const void *alpha, const void *beta) {
  if (p->f64) p->alpha = *(const double *)alpha, p->beta = *(const double *)beta;
  else p->alpha = *(const float *)alpha, p->beta = *(const float *)beta;
}

namespace {
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
    if (p.bias && !held(p, (const char *)p.bias, p.m, 1, p.m, out, ACUSIM_READ)) return;
    if (!held(p, c, p.m, p.n, p.ldc, out, ACUSIM_WRITE)) return;
    multiply(p, a, b, c, alpha, beta);
  }
}

bool types_fit(const Product &p) {
  if (p.f64) return p.ab_type == F64 && p.c_type == F64;
  if (p.ab_type == F32) return p.c_type == F32;
  return (p.ab_type == F16 || p.ab_type == BF16) && (p.c_type == p.ab_type || p.c_type == F32);
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
  snprintf(kind, sizeof kind, "%s %d%d %dx%dx%d %d>%d %lld %lld %lld, %d by %lld %lld %lld %d%d%d%d", p.name, p.ta, p.tb, p.m, p.n, p.k, p.ab_type,
           p.c_type, p.lda, p.ldb, p.ldc, p.count, p.step_a, p.step_b, p.step_c, p.f64, p.tf32, p.bias != nullptr, p.relu);
  if (loaded->count(kind)) return true;
  if (acusim_unsafe((std::string("the first product of its kind (") + kind + "), which loads a kernel,").c_str())) return false;
  loaded->insert(kind);
  return true;
}

} // namespace

int check(Product *p, int ta, int tb) {
  if (ta < 0 || ta > 2 || tb < 0 || tb > 2) return bad(p->name, "no such operation");
  p->ta = ta != 0, p->tb = tb != 0;
  if (p->m < 0 || p->n < 0 || p->k < 0 || p->count < 0) return bad(p->name, "a negative extent");
  if (!types_fit(*p)) return NOT_SUPPORTED;
  if (p->lda < (p->ta ? p->k : p->m) || p->ldb < (p->tb ? p->n : p->k) || p->ldc < p->m || p->lda < 1 || p->ldb < 1 || p->ldc < 1)
    return bad(p->name, "a leading dimension is smaller than the matrix");
  if (p->count > 1 && p->m && p->n && !apart(*p)) return bad(p->name, "the products of a batch overlap");
  size_t in = bytes_of(p->ab_type), out = bytes_of(p->c_type);
  if ((uintptr_t)p->a % in || (uintptr_t)p->b % in || (uintptr_t)p->c % out) return bad(p->name, "a matrix is not aligned to its elements");
  return SUCCESS;
}

int enqueue(void *stream, const Product &p) {
  if (!p.m || !p.n || !p.count) return SUCCESS;
  if (!load(p)) return EXECUTION_FAILED;
  return acusim_enqueue(stream, p.name, execute, &p, sizeof p) ? EXECUTION_FAILED : SUCCESS;
}
} // namespace blas
