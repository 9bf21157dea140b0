#include "vector.cuh"

enum Binary { ADD, SUB, MUL, DIV, POW, MAX, MIN, EQ, LT };

__device__ inline float power(float a, float b) { return powf(a, b); }
__device__ inline double power(double a, double b) { return pow(a, b); }
// power of integers is a repeated product, modulo 2^64; a negative exponent gives 0.
__device__ inline i64 power(i64 a, i64 b) {
  if (b < 0) return 0;
  u64 r = 1, x = (u64)a;
  for (u64 n = (u64)b; n > 0; n >>= 1) {
    if (n & 1) r *= x;
    x *= x;
  }
  return (i64)r;
}

__device__ inline float quotient(float a, float b) { return a / b; }
__device__ inline double quotient(double a, double b) { return a / b; }
__device__ inline i64 quotient(i64 a, i64 b) { return b == 0 ? 0 : a / b; }

// The larger and the smaller: NaN if either is.
__device__ inline float larger(float a, float b) { return a != a || b != b ? a + b : fmaxf(a, b); }
__device__ inline double larger(double a, double b) { return a != a || b != b ? a + b : fmax(a, b); }
__device__ inline i64 larger(i64 a, i64 b) { return a > b ? a : b; }
__device__ inline float smaller(float a, float b) { return a != a || b != b ? a + b : fminf(a, b); }
__device__ inline double smaller(double a, double b) { return a != a || b != b ? a + b : fmin(a, b); }
__device__ inline i64 smaller(i64 a, i64 b) { return a < b ? a : b; }

// Bin is one of the functions.
template <int OP> struct Bin {
  template <class C> static __device__ inline C f(C a, C b) {
    switch (OP) {
    case ADD: return a + b;
    case SUB: return a - b;
    case MUL: return a * b;
    case DIV: return quotient(a, b);
    case POW: return power(a, b);
    case MAX: return larger(a, b);
    case MIN: return smaller(a, b);
    case EQ: return a == b ? C(1) : C(0);
    }
    return a < b ? C(1) : C(0); // LT
  }
};

// with_binary calls f with the Bin of op.
template <class F> __device__ inline void with_binary(int op, F f) {
  switch (op) {
  case ADD: f(Bin<ADD>()); break;
  case SUB: f(Bin<SUB>()); break;
  case MUL: f(Bin<MUL>()); break;
  case DIV: f(Bin<DIV>()); break;
  case POW: f(Bin<POW>()); break;
  case MAX: f(Bin<MAX>()); break;
  case MIN: f(Bin<MIN>()); break;
  case EQ: f(Bin<EQ>()); break;
  case LT: f(Bin<LT>()); break;
  }
}

struct BinaryParams {
  Fault *fault;
  int op, pad;
  Nest nest; // y, a, b
};

// binary_flat_T is y = f(a, b) over contiguous memory of type T.
template <class T> __device__ inline void binary_flat(const BinaryParams &p) {
  with_binary(p.op, [&](auto op) {
    flat<T>(p.nest.op[0].data, p.nest.op[1].data, p.nest.op[2].data, p.nest.n, [&](float a, float b) { return op.f(a, b); });
  });
}
// hot: binary_flat_f32 binary_flat_f16 binary_flat_bf16
KERNEL(binary_flat_f32, 256, BinaryParams) {
  GUARD(p);
  binary_flat<float>(p);
}
KERNEL(binary_flat_f16, 256, BinaryParams) {
  GUARD(p);
  binary_flat<f16>(p);
}
KERNEL(binary_flat_bf16, 256, BinaryParams) {
  GUARD(p);
  binary_flat<bf16>(p);
}

// binary_each is y = f(a, b) over single elements of any type, calculated in f32, f64 or exact integers.
template <class C> __device__ inline void binary_one(const BinaryParams &p, const i64 (&at)[3]) {
  C a = get<C>(p.nest.op[1], at[1]), b = get<C>(p.nest.op[2], at[2]);
  with_binary(p.op, [&](auto op) { a = op.f(a, b); });
  put<C>(p.nest.op[0], at[0], a);
}
KERNEL(binary_each, 256, BinaryParams) {
  GUARD(p);
  each<3>(p.nest, [&](const i64 (&at)[3]) { binary_one<float>(p, at); });
}
KERNEL(binary_double, 256, BinaryParams) {
  GUARD(p);
  each<3>(p.nest, [&](const i64 (&at)[3]) { binary_one<double>(p, at); });
}
KERNEL(binary_int, 256, BinaryParams) {
  GUARD(p);
  each<3>(p.nest, [&](const i64 (&at)[3]) { binary_one<i64>(p, at); });
}

// binary_four is y = f(a, b) over fours of neighbours.
// hot
KERNEL(binary_four, 256, BinaryParams) {
  GUARD(p);
  each_four<3>(
      p.nest,
      [&](const i64 (&at)[3]) {
        Four a = get4(p.nest, 1, at[1]), b = get4(p.nest, 2, at[2]);
        with_binary(p.op, [&](auto op) {
          for (int k = 0; k < 4; k++) a.v[k] = op.f(a.v[k], b.v[k]);
        });
        put4(p.nest, at[0], a);
      },
      [&](const i64 (&at)[3]) { binary_one<float>(p, at); });
}

struct WhereParams {
  Fault *fault;
  Nest nest; // y, condition, a, b
};

// where_each is y = a where the condition is not 0, else b.
template <class C> __device__ inline void where_one(const Nest &n, const i64 (&at)[4]) {
  bool c = get<C>(n.op[1], at[1]) != C(0);
  put<C>(n.op[0], at[0], get<C>(c ? n.op[2] : n.op[3], c ? at[2] : at[3]));
}
KERNEL(where_each, 256, WhereParams) {
  GUARD(p);
  each<4>(p.nest, [&](const i64 (&at)[4]) { where_one<float>(p.nest, at); });
}
KERNEL(where_double, 256, WhereParams) {
  GUARD(p);
  each<4>(p.nest, [&](const i64 (&at)[4]) { where_one<double>(p.nest, at); });
}
KERNEL(where_int, 256, WhereParams) {
  GUARD(p);
  each<4>(p.nest, [&](const i64 (&at)[4]) { where_one<i64>(p.nest, at); });
}

// where_four is where_each over fours of neighbours.
// hot
KERNEL(where_four, 256, WhereParams) {
  GUARD(p);
  each_four<4>(
      p.nest,
      [&](const i64 (&at)[4]) {
        Four c = get4(p.nest, 1, at[1]), a = get4(p.nest, 2, at[2]), b = get4(p.nest, 3, at[3]);
        for (int k = 0; k < 4; k++) a.v[k] = c.v[k] != 0.f ? a.v[k] : b.v[k];
        put4(p.nest, at[0], a);
      },
      [&](const i64 (&at)[4]) { where_one<float>(p.nest, at); });
}
