// cublaslt.cpp: the interface of cublasLt 12 for products with a bias and ReLU. An algorithm is good for the product that it
// was chosen for, with addresses aligned as was said then, and needs workspace.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

#include "work.h"

namespace blas {
enum DescAttribute { DESC_POINTER_MODE = 2, DESC_TRANSA = 3, DESC_TRANSB = 4, DESC_EPILOGUE = 7, DESC_BIAS = 8 };
enum Epilogue { EPILOGUE_DEFAULT = 1, EPILOGUE_RELU = 2, EPILOGUE_BIAS = 4, EPILOGUE_RELU_BIAS = 6 };
enum PreferenceAttribute { PREF_WORKSPACE = 1, PREF_REDUCTIONS = 3, PREF_ALIGN_A = 5, PREF_ALIGN_D = 8 };

struct Object {}; // whatever the library makes: it must be given back
struct Light : Object {};
struct Desc : Object {
  int compute, scale;
  int ta = 0, tb = 0, epilogue = EPILOGUE_DEFAULT;
  const void *bias = nullptr;
};
struct Layout : Object {
  int type;
  uint64_t rows, cols;
  int64_t ld;
};
struct Preference : Object {
  uint64_t workspace = 0;
  uint32_t align[4] = {256, 256, 256, 256}; // of A, B, C, D
};

// Algorithm is what cublasLtMatmulAlgo_t holds: 64 bytes.
struct Algorithm {
  uint32_t magic;
  int m, n, k, epilogue, types;
  uint32_t align[3], workspace;
  uint64_t unused[3];
};
static_assert(sizeof(Algorithm) == 64, "the size that the interface has");
struct Result { // cublasLtMatmulHeuristicResult_t
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

namespace {
enum { MAGIC = 0x6c747374, NEEDS = 1 << 16 }; // bytes of workspace that algorithms need here

std::set<Object *> &objects() {
  static auto *s = new std::set<Object *>;
  return *s;
}
bool known(Object *o) { return objects().count(o); }

template <class T> int make(T **to, T *made) {
  if (!to) {
    delete made;
    return INVALID_VALUE;
  }
  *to = made;
  objects().insert(made);
  acusim_count("cublasLt objects", 1);
  return SUCCESS;
}

template <class T> int destroy(const char *name, T *o) {
  Call call(name);
  if (call.status) return call.status;
  if (!objects().erase(o)) return bad(name, "there is no such object");
  delete o;
  acusim_count("cublasLt objects", -1);
  return SUCCESS;
}

template <class T> int take(const char *name, T *to, const void *from, size_t bytes) {
  if (!from || bytes != sizeof(T)) return bad(name, "an attribute of another size");
  memcpy(to, from, sizeof(T));
  return SUCCESS;
}

// describe makes a product of what a call was given; false if none of the library's algorithms computes it.
int describe(const char *name, Product *p, Desc *d, Layout *a, Layout *b, Layout *c, Layout *out) {
  if (!known(d) || !known(a) || !known(b) || !known(c) || !known(out)) return bad(name, "there is no such object");
  if (c->type != out->type || c->rows != out->rows || c->cols != out->cols || c->ld != out->ld) return NOT_SUPPORTED;
  *p = {};
  p->name = name;
  p->m = (int)out->rows, p->n = (int)out->cols, p->k = (int)(d->ta ? a->rows : a->cols);
  if ((int)(d->ta ? a->cols : a->rows) != p->m || (int)(d->tb ? b->cols : b->rows) != p->k || (int)(d->tb ? b->rows : b->cols) != p->n)
    return bad(name, "matrices that do not fit");
  p->ab_type = a->type, p->c_type = out->type;
  p->lda = a->ld, p->ldb = b->ld, p->ldc = out->ld;
  p->count = 1;
  if (!compute(p, b->type, d->compute) || p->f64 || d->scale != F32) return NOT_SUPPORTED;
  const char *nan = getenv("ACUSIM_RELU");
  p->nan_is_zero = nan && !strcmp(nan, "zero");
  p->relu = d->epilogue & EPILOGUE_RELU;
  if (d->epilogue & EPILOGUE_BIAS) p->bias = d->bias;
  return check(p, d->ta, d->tb);
}

Algorithm algorithm(const Product &p, int epilogue) {
  Algorithm g = {};
  g.magic = MAGIC;
  g.m = p.m, g.n = p.n, g.k = p.k;
  g.epilogue = epilogue;
  g.types = p.ab_type * 64 + p.c_type * 4 + p.ta * 2 + p.tb;
  g.workspace = NEEDS;
  return g;
}
} // namespace
} // namespace blas

using namespace blas;

API int cublasLtCreate(Light **h) {
  Call call(__func__, true);
  return call.status ? call.status : make(h, new Light);
}
API int cublasLtDestroy(Light *h) { return destroy(__func__, h); }

API int cublasLtMatmulDescCreate(Desc **d, int compute_type, int scale_type) {
  Call call(__func__);
  if (call.status) return call.status;
  Desc *made = new Desc;
  made->compute = compute_type, made->scale = scale_type;
  return make(d, made);
}
API int cublasLtMatmulDescDestroy(Desc *d) { return destroy(__func__, d); }
API int cublasLtMatmulDescSetAttribute(Desc *d, int attribute, const void *from, size_t bytes) {
  Call call(__func__);
  if (call.status) return call.status;
  if (!known(d)) return bad(__func__, "there is no such object");
  switch (attribute) {
  case DESC_TRANSA: return take(__func__, &d->ta, from, bytes);
  case DESC_TRANSB: return take(__func__, &d->tb, from, bytes);
  case DESC_EPILOGUE: return take(__func__, &d->epilogue, from, bytes);
  case DESC_BIAS: return take(__func__, &d->bias, from, bytes);
  }
  return bad(__func__, "an attribute that is not known");
}

API int cublasLtMatrixLayoutCreate(Layout **l, int type, uint64_t rows, uint64_t cols, int64_t ld) {
  Call call(__func__);
  if (call.status) return call.status;
  Layout *made = new Layout;
  made->type = type, made->rows = rows, made->cols = cols, made->ld = ld;
  return make(l, made);
}
API int cublasLtMatrixLayoutDestroy(Layout *l) { return destroy(__func__, l); }

API int cublasLtMatmulPreferenceCreate(Preference **p) {
  Call call(__func__);
  return call.status ? call.status : make(p, new Preference);
}
API int cublasLtMatmulPreferenceDestroy(Preference *p) { return destroy(__func__, p); }
API int cublasLtMatmulPreferenceSetAttribute(Preference *p, int attribute, const void *from, size_t bytes) {
  Call call(__func__);
  if (call.status) return call.status;
  if (!known(p)) return bad(__func__, "there is no such object");
  uint32_t reductions;
  switch (attribute) {
  case PREF_WORKSPACE: return take(__func__, &p->workspace, from, bytes);
  case PREF_REDUCTIONS: return take(__func__, &reductions, from, bytes);
  }
  if (attribute < PREF_ALIGN_A || attribute > PREF_ALIGN_D) return bad(__func__, "an attribute that is not known");
  return take(__func__, &p->align[attribute - PREF_ALIGN_A], from, bytes);
}

// Tensor cores take their operands 16 bytes at a time.
API int cublasLtMatmulAlgoGetHeuristic(Light *h, Desc *d, Layout *a, Layout *b, Layout *c, Layout *out, Preference *want, int most,
                                       Result *results, int *found) {
  Call call(__func__, true);
  if (call.status) return call.status;
  if (!known(h) || !known(want) || most < 1 || !results || !found) return bad(__func__, "there is no such object");
  *found = 0;
  Product p;
  if (int e = describe(__func__, &p, d, a, b, c, out)) return e;
  size_t in = bytes_of(p.ab_type), size = bytes_of(p.c_type);
  uint32_t least = want->align[0];
  for (uint32_t x : want->align) least = x < least ? x : least;
  if (least < 16 || p.lda * in % 16 || p.ldb * in % 16 || p.ldc * size % 16 || want->workspace < NEEDS) return NOT_SUPPORTED;
  *results = {};
  results->algorithm = algorithm(p, d->epilogue);
  memcpy(results->algorithm.align, want->align, sizeof results->algorithm.align);
  results->workspace = NEEDS;
  *found = 1;
  return SUCCESS;
}

API int cublasLtMatmul(Light *h, Desc *d, const void *alpha, const void *a, Layout *la, const void *b, Layout *lb, const void *beta, const void *c,
                       Layout *lc, void *out, Layout *lout, const Algorithm *with, void *workspace, size_t bytes, void *stream) {
  Call call(__func__);
  if (call.status) return call.status;
  if (!known(h)) return bad(__func__, "there is no such handle");
  Product p;
  if (int e = describe(__func__, &p, d, la, lb, lc, lout)) return e;
  if (c != out) return NOT_SUPPORTED;
  p.a = a, p.b = b, p.c = out;
  if (int e = check(&p, d->ta, d->tb)) return e;
  if (!alpha || !beta) return bad(__func__, "no alpha or beta");
  if ((d->epilogue & EPILOGUE_BIAS) && !d->bias) return bad(__func__, "no bias");
  on_host(&p, alpha, beta);
  if (!with) return bad(__func__, "no algorithm: this library would then choose one anew");
  Algorithm fits = algorithm(p, d->epilogue);
  memcpy(fits.align, with->align, sizeof fits.align);
  if (memcmp(&fits, with, sizeof fits)) return bad(__func__, "an algorithm that was chosen for another product");
  const void *at[] = {a, b, out};
  for (int i = 0; i < 3; i++)
    if ((uintptr_t)at[i] % with->align[i]) return bad(__func__, "a matrix that is aligned less than the algorithm was chosen for");
  if (!workspace || (uintptr_t)workspace % 256 || bytes < with->workspace) return bad(__func__, "less workspace than the algorithm needs, or not aligned to 256 bytes");
  p.workspace = workspace, p.workspace_bytes = bytes;
  return enqueue(stream, p);
}
