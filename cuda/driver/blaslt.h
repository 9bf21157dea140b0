// cublasLt, found beside cuBLAS: products with an epilogue. Its functions and numbers are declared here as its interface has
// had them since version 11.
#pragma once

#include "blas.h"

typedef struct acu_lt acu_lt;

// acu_lt_open loads the library; NULL if that fails, with a reason of at most size bytes.
acu_lt *acu_lt_open(const char *path, char *reason, int size);

int acu_lt_handle(acu_lt *l, acu_context c, void **handle);
int acu_lt_destroy(acu_lt *l, acu_context c, void *handle);

// acu_lt_plan is a product made ready: its description, and the algorithm that was chosen.
typedef struct {
  void *desc, *a, *b, *c;
  unsigned long long algorithm[8];
} acu_lt_plan;

// acu_lt_prepare chooses for a product with beta 0, one matrix, whose addresses are alignments in bytes. bias has m numbers of
// C's type. found is 0 if there is no algorithm for it; then, and after an error, there is nothing to drop. call is the one
// that failed.
int acu_lt_prepare(acu_lt *l, acu_context c, void *handle, const acu_product *p, int epilogue, CUdeviceptr bias, size_t workspace,
                   acu_lt_plan *plan, int *found, const char **call);
int acu_lt_drop(acu_lt *l, acu_context c, acu_lt_plan *plan, const char **call);

int acu_lt_multiply(acu_lt *l, acu_context c, void *handle, const acu_lt_plan *plan, CUdeviceptr a, CUdeviceptr b, CUdeviceptr to,
                    CUdeviceptr workspace, size_t bytes, CUstream stream);
