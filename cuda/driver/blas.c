//go:build cuda

#include "blas.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMPUTE_64F = 70, ALGO_DEFAULT = -1, NO_REDUCED_PRECISION_REDUCTION = 16 };

struct acu_blas {
  void *lib, *before;
  int (*create)(void **);
  int (*destroy)(void *);
  int (*set_stream)(void *, CUstream);
  int (*set_workspace)(void *, void *, size_t);
  int (*set_math_mode)(void *, int);
  int (*property)(int, int *);
  int (*gemm)(void *, int, int, int, int, int, const void *, const void *, int, int, const void *, int, int, const void *,
              void *, int, int, int, int);
  int (*gemm_batched)(void *, int, int, int, int, int, const void *, const void *, int, int, long long, const void *, int, int,
                      long long, const void *, void *, int, int, long long, int, int, int);
  const char *(*name)(int); // these two since 11.4
  const char *(*text)(int);
};

acu_blas *acu_blas_open(const char *path, const char *before, char *reason, int size) {
  acu_blas *b = calloc(1, sizeof *b);
  if (!b) {
    snprintf(reason, size, "out of memory");
    return NULL;
  }
  if (before) b->before = dlopen(before, RTLD_NOW | RTLD_LOCAL); // where this fails the next call says why
  b->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!b->lib) {
    const char *e = dlerror();
    snprintf(reason, size, "%s", e ? e : "cannot be loaded");
    acu_blas_close(b);
    return NULL;
  }
  struct {
    const char *name;
    void *to;
    int needed;
  } want[] = {
      {"cublasCreate_v2", &b->create, 1},
      {"cublasDestroy_v2", &b->destroy, 1},
      {"cublasSetStream_v2", &b->set_stream, 1},
      {"cublasSetWorkspace_v2", &b->set_workspace, 1},
      {"cublasSetMathMode", &b->set_math_mode, 1},
      {"cublasGetProperty", &b->property, 1},
      {"cublasGemmEx", &b->gemm, 1},
      {"cublasGemmStridedBatchedEx", &b->gemm_batched, 1},
      {"cublasGetStatusName", &b->name, 0},
      {"cublasGetStatusString", &b->text, 0},
  };
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    void *f = *(void **)want[i].to = dlsym(b->lib, want[i].name);
    if (!f && want[i].needed) {
      snprintf(reason, size, "%s has no function %s: cuBLAS 11 or later is needed", path, want[i].name);
      acu_blas_close(b);
      return NULL;
    }
  }
  return b;
}

void acu_blas_close(acu_blas *b) {
  if (b->lib) dlclose(b->lib);
  if (b->before) dlclose(b->before);
  free(b);
}

int acu_blas_property(acu_blas *b, int which) {
  int v = 0;
  return b->property(which, &v) == 0 ? v : 0;
}

const char *acu_blas_name(acu_blas *b, int status) { return b->name ? b->name(status) : NULL; }
const char *acu_blas_text(acu_blas *b, int status) { return b->text ? b->text(status) : NULL; }

int acu_blas_handle(acu_blas *b, acu_context c, CUstream stream, CUdeviceptr workspace, size_t bytes, void **handle, const char **call) {
  int r = acu_enter(c);
  if (r != 0) return r;
  *call = "cublasCreate";
  if ((r = b->create(handle)) != 0) return r;
  *call = "cublasSetStream";
  r = b->set_stream(*handle, stream);
  if (r == 0 && bytes != 0) { // after the stream: setting that takes the workspace away
    *call = "cublasSetWorkspace";
    r = b->set_workspace(*handle, (void *)workspace, bytes);
  }
  if (r == 0) { // sums stay in f32 also where the output is f16
    *call = "cublasSetMathMode";
    r = b->set_math_mode(*handle, NO_REDUCED_PRECISION_REDUCTION);
  }
  if (r != 0) b->destroy(*handle);
  return r;
}

int acu_blas_destroy(acu_blas *b, acu_context c, void *handle) {
  int r = acu_enter(c);
  return r != 0 ? r : b->destroy(handle);
}

int acu_blas_gemm(acu_blas *b, acu_context c, void *handle, const acu_product *p) {
  int r = acu_enter(c);
  if (r != 0) return r;
  float alpha = (float)p->alpha, beta = (float)p->beta;
  int wide = p->compute == COMPUTE_64F;
  const void *al = wide ? (const void *)&p->alpha : &alpha, *be = wide ? (const void *)&p->beta : &beta;
  const void *A = (const void *)p->a, *B = (const void *)p->b;
  void *C = (void *)p->c;
  if (p->batch == 1)
    return b->gemm(handle, p->opa, p->opb, p->m, p->n, p->k, al, A, p->ta, p->lda, B, p->tb, p->ldb, be, C, p->tc, p->ldc,
                   p->compute, ALGO_DEFAULT);
  return b->gemm_batched(handle, p->opa, p->opb, p->m, p->n, p->k, al, A, p->ta, p->lda, p->sa, B, p->tb, p->ldb, p->sb, be, C,
                         p->tc, p->ldc, p->sc, p->batch, p->compute, ALGO_DEFAULT);
}
