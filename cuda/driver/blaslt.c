//go:build cuda

#include "blaslt.h"
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_SUPPORTED = 15 };                                                // cublasStatus_t
enum { TRANSA = 3, TRANSB = 4, EPILOGUE = 7, BIAS_POINTER = 8 };            // cublasLtMatmulDescAttributes_t
enum { MAX_WORKSPACE = 1, REDUCTION_SCHEMES = 3, ALIGN_A = 5 };             // cublasLtMatmulPreferenceAttributes_t
enum { REDUCE_IN_COMPUTE_TYPE = 2 };                                        // cublasLtReductionScheme_t
enum { SCALE_32F = 0 };                                                     // cudaDataType

typedef struct { // cublasLtMatmulHeuristicResult_t
  unsigned long long algorithm[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
} result;

struct acu_lt {
  void *lib;
  int (*create)(void **);
  int (*destroy)(void *);
  int (*desc_create)(void **, int, int);
  int (*desc_destroy)(void *);
  int (*desc_set)(void *, int, const void *, size_t);
  int (*layout_create)(void **, int, uint64_t, uint64_t, int64_t);
  int (*layout_destroy)(void *);
  int (*preference_create)(void **);
  int (*preference_destroy)(void *);
  int (*preference_set)(void *, int, const void *, size_t);
  int (*choose)(void *, void *, void *, void *, void *, void *, void *, int, result *, int *);
  int (*matmul)(void *, void *, const void *, const void *, void *, const void *, void *, const void *, const void *, void *,
                void *, void *, const void *, void *, size_t, CUstream);
};

acu_lt *acu_lt_open(const char *path, char *reason, int size) {
  acu_lt *l = calloc(1, sizeof *l);
  if (!l) {
    snprintf(reason, size, "out of memory");
    return NULL;
  }
  l->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!l->lib) {
    const char *e = dlerror();
    snprintf(reason, size, "%s", e ? e : "cannot be loaded");
    free(l);
    return NULL;
  }
  struct {
    const char *name;
    void *to;
  } want[] = {
      {"cublasLtCreate", &l->create},
      {"cublasLtDestroy", &l->destroy},
      {"cublasLtMatmulDescCreate", &l->desc_create},
      {"cublasLtMatmulDescDestroy", &l->desc_destroy},
      {"cublasLtMatmulDescSetAttribute", &l->desc_set},
      {"cublasLtMatrixLayoutCreate", &l->layout_create},
      {"cublasLtMatrixLayoutDestroy", &l->layout_destroy},
      {"cublasLtMatmulPreferenceCreate", &l->preference_create},
      {"cublasLtMatmulPreferenceDestroy", &l->preference_destroy},
      {"cublasLtMatmulPreferenceSetAttribute", &l->preference_set},
      {"cublasLtMatmulAlgoGetHeuristic", &l->choose},
      {"cublasLtMatmul", &l->matmul},
  };
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    void *f = *(void **)want[i].to = dlsym(l->lib, want[i].name);
    if (!f) {
      snprintf(reason, size, "%s has no function %s: cublasLt 11 or later is needed", path, want[i].name);
      dlclose(l->lib);
      free(l);
      return NULL;
    }
  }
  return l;
}

int acu_lt_handle(acu_lt *l, acu_context c, void **handle) {
  int r = acu_enter(c);
  return r != 0 ? r : l->create(handle);
}

int acu_lt_destroy(acu_lt *l, acu_context c, void *handle) {
  int r = acu_enter(c);
  return r != 0 ? r : l->destroy(handle);
}

// TRY makes a call whose failure ends the function.
#define TRY(name, r_)       \
  do {                      \
    *call = name;           \
    int e_ = (r_);          \
    if (e_ != 0) return e_; \
  } while (0)

static int describe(acu_lt *l, const acu_product *p, int epilogue, CUdeviceptr bias, acu_lt_plan *plan, const char **call) {
  TRY("cublasLtMatmulDescCreate", l->desc_create(&plan->desc, p->compute, SCALE_32F));
  struct {
    int attribute;
    const void *value;
    size_t bytes;
  } set[] = {
      {TRANSA, &p->opa, sizeof p->opa},
      {TRANSB, &p->opb, sizeof p->opb},
      {EPILOGUE, &epilogue, sizeof epilogue},
      {BIAS_POINTER, &bias, sizeof bias},
  };
  for (size_t i = 0; i < sizeof set / sizeof *set; i++)
    TRY("cublasLtMatmulDescSetAttribute", l->desc_set(plan->desc, set[i].attribute, set[i].value, set[i].bytes));
  TRY("cublasLtMatrixLayoutCreate", l->layout_create(&plan->a, p->ta, p->opa ? p->k : p->m, p->opa ? p->m : p->k, p->lda));
  TRY("cublasLtMatrixLayoutCreate", l->layout_create(&plan->b, p->tb, p->opb ? p->n : p->k, p->opb ? p->k : p->n, p->ldb));
  TRY("cublasLtMatrixLayoutCreate", l->layout_create(&plan->c, p->tc, p->m, p->n, p->ldc));
  return 0;
}

static int prefer(acu_lt *l, void *preference, const acu_product *p, size_t workspace, const char **call) {
  uint64_t most = workspace;
  uint32_t schemes = REDUCE_IN_COMPUTE_TYPE; // parts of a sum are not rounded to the type of C
  uint32_t align[4] = {(uint32_t)p->a, (uint32_t)p->b, (uint32_t)p->c, (uint32_t)p->c};
  TRY("cublasLtMatmulPreferenceSetAttribute", l->preference_set(preference, MAX_WORKSPACE, &most, sizeof most));
  TRY("cublasLtMatmulPreferenceSetAttribute", l->preference_set(preference, REDUCTION_SCHEMES, &schemes, sizeof schemes));
  for (int i = 0; i < 4; i++)
    TRY("cublasLtMatmulPreferenceSetAttribute", l->preference_set(preference, ALIGN_A + i, &align[i], sizeof align[i]));
  return 0;
}

static int choose(acu_lt *l, void *handle, const acu_product *p, size_t workspace, acu_lt_plan *plan, int *found, const char **call) {
  void *preference = NULL;
  TRY("cublasLtMatmulPreferenceCreate", l->preference_create(&preference));
  int r = prefer(l, preference, p, workspace, call);
  if (r == 0) {
    result best;
    memset(&best, 0, sizeof best);
    *call = "cublasLtMatmulAlgoGetHeuristic";
    r = l->choose(handle, plan->desc, plan->a, plan->b, plan->c, plan->c, preference, 1, &best, found);
    memcpy(plan->algorithm, best.algorithm, sizeof plan->algorithm);
    if (r == NOT_SUPPORTED || (r == 0 && *found && best.state != 0)) r = *found = 0;
  }
  int d = l->preference_destroy(preference);
  if (r == 0 && d != 0) {
    *call = "cublasLtMatmulPreferenceDestroy";
    r = d;
  }
  return r;
}

int acu_lt_prepare(acu_lt *l, acu_context c, void *handle, const acu_product *p, int epilogue, CUdeviceptr bias, size_t workspace,
                   acu_lt_plan *plan, int *found, const char **call) {
  int r = acu_enter(c);
  if (r != 0) return r;
  memset(plan, 0, sizeof *plan);
  *found = 0;
  r = describe(l, p, epilogue, bias, plan, call);
  if (r == 0) r = choose(l, handle, p, workspace, plan, found, call);
  if (r == 0 && *found) return 0;
  const char *drop;
  int d = acu_lt_drop(l, c, plan, &drop);
  if (r == 0 && d != 0) {
    *call = drop;
    r = d;
  }
  return r;
}

int acu_lt_drop(acu_lt *l, acu_context c, acu_lt_plan *plan, const char **call) {
  int first = acu_enter(c);
  if (first != 0) return first;
  void *layouts[] = {plan->a, plan->b, plan->c};
  for (int i = 0; i < 3; i++) {
    int r = layouts[i] ? l->layout_destroy(layouts[i]) : 0;
    if (first == 0 && r != 0) *call = "cublasLtMatrixLayoutDestroy", first = r;
  }
  int r = plan->desc ? l->desc_destroy(plan->desc) : 0;
  if (first == 0 && r != 0) *call = "cublasLtMatmulDescDestroy", first = r;
  memset(plan, 0, sizeof *plan);
  return first;
}

int acu_lt_multiply(acu_lt *l, acu_context c, void *handle, const acu_lt_plan *plan, CUdeviceptr a, CUdeviceptr b, CUdeviceptr to,
                    CUdeviceptr workspace, size_t bytes, CUstream stream) {
  int r = acu_enter(c);
  if (r != 0) return r;
  float one = 1, zero = 0;
  return l->matmul(handle, plan->desc, &one, (const void *)a, plan->a, (const void *)b, plan->b, &zero, (const void *)to, plan->c,
                   (void *)to, plan->c, plan->algorithm, (void *)workspace, bytes, stream);
}
