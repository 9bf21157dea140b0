// cuBLAS, found at run time. Its functions are declared here as its interface has had them since version 11.
#pragma once

#include "driver.h"

typedef struct acu_blas acu_blas;

// acu_blas_open loads the library; NULL if that fails, with a reason of at most size bytes.
acu_blas *acu_blas_open(const char *path, const char *before, char *reason, int size);
void acu_blas_close(acu_blas *b);

// acu_blas_property gives a part of the version: 0 major, 1 minor, 2 patch.
int acu_blas_property(acu_blas *b, int which);

const char *acu_blas_name(acu_blas *b, int status);
const char *acu_blas_text(acu_blas *b, int status);

// acu_blas_handle makes a handle for a stream with its workspace. call is the one that failed.
int acu_blas_handle(acu_blas *b, acu_context c, CUstream stream, CUdeviceptr workspace, size_t bytes, void **handle, const char **call);
int acu_blas_destroy(acu_blas *b, acu_context c, void *handle);

// acu_product is C = alpha*op(A)*op(B) + beta*C on column-major matrices.
typedef struct {
  int opa, opb, m, n, k;
  int ta, tb, tc, compute; // cudaDataType, cublasComputeType_t
  int lda, ldb, ldc, batch;
  long long sa, sb, sc;
  double alpha, beta;
  CUdeviceptr a, b, c;
} acu_product;

int acu_blas_gemm(acu_blas *b, acu_context c, void *handle, const acu_product *p);
