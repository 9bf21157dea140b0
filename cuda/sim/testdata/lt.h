// lt.h: a product of cublasLt on f16, made ready.
#pragma once
#include "cu.h"

extern "C" {
int cublasLtCreate(Handle *);
int cublasLtMatmulDescCreate(Handle *, int, int);
int cublasLtMatmulDescSetAttribute(Handle, int, const void *, size_t);
int cublasLtMatrixLayoutCreate(Handle *, int, uint64_t, uint64_t, int64_t);
int cublasLtMatmulPreferenceCreate(Handle *);
int cublasLtMatmulPreferenceSetAttribute(Handle, int, const void *, size_t);
int cublasLtMatmulAlgoGetHeuristic(Handle, Handle, Handle, Handle, Handle, Handle, Handle, int, void *, int *);
int cublasLtMatmul(Handle, Handle, const void *, Ptr, Handle, Ptr, Handle, const void *, Ptr, Handle, Ptr, Handle, const void *, Ptr, size_t, Handle);
}

// LtProduct is C = relu(A B + bias), A m x 8, B 8 x 8, all column-major.
struct LtProduct {
  Handle handle, desc, a, b, c, preference;
  unsigned long long result[12];
  int found = 0;

  LtProduct(int m, Ptr bias) {
    int half = 2, single = 0, epilogue = 6;
    size_t workspace = 1 << 20;
    need(cublasLtCreate(&handle));
    need(cublasLtMatmulDescCreate(&desc, 68, single));
    need(cublasLtMatmulDescSetAttribute(desc, 7, &epilogue, 4));
    need(cublasLtMatmulDescSetAttribute(desc, 8, &bias, 8));
    need(cublasLtMatrixLayoutCreate(&a, half, m, 8, m));
    need(cublasLtMatrixLayoutCreate(&b, half, 8, 8, 8));
    need(cublasLtMatrixLayoutCreate(&c, half, m, 8, m));
    need(cublasLtMatmulPreferenceCreate(&preference));
    need(cublasLtMatmulPreferenceSetAttribute(preference, 1, &workspace, 8));
  }
  int choose() { return cublasLtMatmulAlgoGetHeuristic(handle, desc, a, b, c, c, preference, 1, result, &found); }
  int multiply(Ptr x, Ptr y, Ptr to, Ptr workspace, size_t bytes, Handle stream) {
    float one = 1, zero = 0;
    return cublasLtMatmul(handle, desc, &one, x, a, y, b, &zero, to, c, to, c, result, workspace, bytes, stream);
  }
};
