// params.h: the parameter blocks of the test kernels, for both sides.
#pragma once
#ifndef ACUMEN_SIM
typedef unsigned long long Address;
#define POINTER(T) Address
#else
#define POINTER(T) T *
#endif
struct VectorParams {
  POINTER(float) x;
  POINTER(float) y;
  POINTER(int) flag;
  long long n;
  long long mended; // of kernels with a fault: 1 without it
};
struct MatrixParams {
  POINTER(float) c;
  POINTER(const void) a;
  POINTER(const void) b;
  int m, n, k, pad;
};
