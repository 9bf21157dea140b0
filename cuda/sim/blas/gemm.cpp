// gemm.cpp: a blocked product. Blocks of A and B are converted to the compute type and packed; a kernel of 2 vectors by 6
// columns runs over them.
#include "gemm.h"

#include <algorithm>
#include <vector>

#include "../shim/types.h"

namespace blas {
size_t bytes_of(int type) { return type == F64 ? 8 : type == F32 ? 4 : type == F16 || type == BF16 ? 2 : 0; }

namespace {
enum { LANES_BYTES = 32, NR = 6, MC = 192, NC = 240, KC = 256 };

template <class T> struct Vector;
template <> struct Vector<float> { typedef float V __attribute__((vector_size(LANES_BYTES))); };
template <> struct Vector<double> { typedef double V __attribute__((vector_size(LANES_BYTES))); };

#ifdef __FMA__
inline Vector<float>::V fma(Vector<float>::V a, Vector<float>::V b, Vector<float>::V c) { return __builtin_ia32_vfmaddps256(a, b, c); }
inline Vector<double>::V fma(Vector<double>::V a, Vector<double>::V b, Vector<double>::V c) { return __builtin_ia32_vfmaddpd256(a, b, c); }
#else
template <class V> inline V fma(V a, V b, V c) { return a * b + c; }
#endif

// to_tf32 rounds to 10 mantissa bits, ties away from zero.
inline float to_tf32(float x) {
  uint32_t u = sim::bits<uint32_t>(x);
  return (u & 0x7f800000u) == 0x7f800000u ? x : sim::bits<float>((u + 0x1000u) & 0xffffe000u);
}

template <int TYPE> struct Element;
template <> struct Element<F32> {
  typedef float T;
  static float get(T x) { return x; }
};
template <> struct Element<F64> {
  typedef double T;
  static double get(T x) { return x; }
};
template <> struct Element<F16> {
  typedef uint16_t T;
  static float get(T x) { return sim::half_to_f32(x); }
};
template <> struct Element<BF16> {
  typedef uint16_t T;
  static float get(T x) { return sim::bfloat_to_f32(x); }
};

// pack copies a block of rows x cols with the given strides into panels of width w along the rows, zeros beyond.
template <int TYPE, class T, bool TF32>
void pack(T *to, const void *from, long long row, long long col, int rows, int cols, int w) {
  typedef Element<TYPE> E;
  const typename E::T *p = (const typename E::T *)from;
  auto get = [&](int i, int k) {
    T x = (T)E::get(p[i * row + k * col]);
    if (TF32) x = (T)to_tf32((float)x);
    return x;
  };
  for (int i = 0; i < rows; i += w) {
    int h = std::min(w, rows - i);
    for (int k = 0; k < cols; k++) {
      for (int r = 0; r < h; r++) to[r] = get(i + r, k);
      for (int r = h; r < w; r++) to[r] = 0;
      to += w;
    }
  }
}

template <class T> void pack_any(T *to, int type, bool tf32, const void *from, long long row, long long col, int rows, int cols, int w) {
  switch (type) {
  case F32:
    if (tf32) return pack<F32, T, true>(to, from, row, col, rows, cols, w);
    return pack<F32, T, false>(to, from, row, col, rows, cols, w);
  case F64: return pack<F64, T, false>(to, from, row, col, rows, cols, w);
  case F16: return pack<F16, T, false>(to, from, row, col, rows, cols, w);
  default: return pack<BF16, T, false>(to, from, row, col, rows, cols, w);
  }
}

// tile adds the product of a panel of A (2 vectors high) and one of B (NR wide) to acc.
template <class T> void tile(int k, const T *a, const T *b, T *acc, int ld) {
  typedef typename Vector<T>::V V;
  enum { L = LANES_BYTES / sizeof(T) };
  V c[NR][2];
  for (int j = 0; j < NR; j++)
    for (int i = 0; i < 2; i++) memcpy(&c[j][i], acc + j * ld + i * L, sizeof(V));
  for (int q = 0; q < k; q++, a += 2 * L, b += NR) {
    V x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, a + L, sizeof y);
    for (int j = 0; j < NR; j++) {
      V v = b[j] - V{};
      c[j][0] = fma(x, v, c[j][0]);
      c[j][1] = fma(y, v, c[j][1]);
    }
  }
  for (int j = 0; j < NR; j++)
    for (int i = 0; i < 2; i++) memcpy(acc + j * ld + i * L, &c[j][i], sizeof(V));
}

// bias is entry i of p's bias.
template <class T> T bias(const Product &p, long long i) {
  switch (p.c_type) {
  case F32: return (T)((const float *)p.bias)[i];
  case F64: return (T)((const double *)p.bias)[i];
  case F16: return (T)sim::half_to_f32(((const uint16_t *)p.bias)[i]);
  default: return (T)sim::bfloat_to_f32(((const uint16_t *)p.bias)[i]);
  }
}

// finish writes part of C, from row i and column j on, given what was summed for it. What is added to a C of 16 bits is
// rounded to its type before: cuBLAS 13.1 was seen to do so on an H100.
template <class T> void finish(T *acc, const Product &p, void *c, int i, int j, int rows, int cols, T alpha, T beta) {
  auto each = [&](auto load, auto store, auto narrow) {
    for (int y = 0; y < cols; y++)
      for (int x = 0; x < rows; x++) {
        long long at = (long long)(j + y) * p.ldc + i + x;
        T v = alpha * acc[y * MC + x];
        if (beta != 0) v = narrow(v) + beta * load(at);
        if (p.bias) v += bias<T>(p, i + x);
        if (p.relu && (v < 0 || (v != v && p.nan_is_zero))) v = 0;
        store(at, v);
      }
  };
  switch (p.c_type) {
  case F32: {
    float *q = (float *)c;
    return each([=](long long at) { return (T)q[at]; }, [=](long long at, T v) { q[at] = (float)v; }, [](T v) { return v; });
  }
  case F64: {
    double *q = (double *)c;
    return each([=](long long at) { return (T)q[at]; }, [=](long long at, T v) { q[at] = (double)v; }, [](T v) { return v; });
  }
  case F16: {
    uint16_t *q = (uint16_t *)c;
    return each([=](long long at) { return (T)sim::half_to_f32(q[at]); }, [=](long long at, T v) { q[at] = sim::f32_to_half((float)v); },
                [](T v) { return (T)sim::half_to_f32(sim::f32_to_half((float)v)); });
  }
  default: {
    uint16_t *q = (uint16_t *)c;
    return each([=](long long at) { return (T)sim::bfloat_to_f32(q[at]); }, [=](long long at, T v) { q[at] = sim::f32_to_bfloat((float)v); },
                [](T v) { return (T)sim::bfloat_to_f32(sim::f32_to_bfloat((float)v)); });
  }
  }
}

template <class T> void run(const Product &p, const void *a, const void *b, void *c, T alpha, T beta) {
  enum { L = LANES_BYTES / sizeof(T), MR = 2 * L };
  static_assert(MC % MR == 0 && NC % NR == 0, "blocks hold whole tiles");
  // op(A) is m x k: row and column strides; op(B) is k x n.
  long long ar = p.ta ? p.lda : 1, ac = p.ta ? 1 : p.lda, br = p.tb ? p.ldb : 1, bc = p.tb ? 1 : p.ldb;
  size_t size = bytes_of(p.ab_type);
  std::vector<T> pa((size_t)MC * KC), pb((size_t)NC * KC), acc((size_t)MC * NC);
  for (int j = 0; j < p.n; j += NC) {
    int cols = std::min((int)NC, p.n - j);
    for (int i = 0; i < p.m; i += MC) {
      int rows = std::min((int)MC, p.m - i);
      std::fill(acc.begin(), acc.end(), T(0));
      for (int q = 0; q < p.k && alpha != 0; q += KC) {
        int depth = std::min((int)KC, p.k - q);
        pack_any(pa.data(), p.ab_type, p.tf32, (const char *)a + (size_t)(i * ar + q * ac) * size, ar, ac, rows, depth, MR);
        pack_any(pb.data(), p.ab_type, p.tf32, (const char *)b + (size_t)(q * br + j * bc) * size, bc, br, cols, depth, NR);
        for (int y = 0; y < cols; y += NR)
          for (int x = 0; x < rows; x += MR) tile(depth, &pa[(size_t)x * depth], &pb[(size_t)y * depth], &acc[(size_t)y * MC + x], MC);
      }
      finish(acc.data(), p, c, i, j, rows, cols, alpha, beta);
    }
  }
}
} // namespace

void multiply(const Product &p, const void *a, const void *b, void *c, double alpha, double beta) {
  if (p.f64) run<double>(p, a, b, c, alpha, beta);
  else run<float>(p, a, b, c, (float)alpha, (float)beta);
}
} // namespace blas
