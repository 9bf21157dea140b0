// unary.cuh defines the functions of one argument, device.UnOp, and their derivatives, for C = float and double.
#pragma once
#include "normal.cuh"

enum Unary {
  IDENTITY, AFFINE, EXP, EXPM1, LOG, LOG1P, SQRT, RECIP, ABS, SIGN, SIGMOID, TANH, ERF, RELU, LEAKY_RELU, GELU, GELU_TANH, SILU, CLAMP, FLOOR, IS_FINITE
};

#define EITHER(name, single, twice)                                \
  __device__ inline float name(float x) { return single(x); }      \
  __device__ inline double name(double x) { return twice(x); }
EITHER(m_exp, expf, exp)
EITHER(m_expm1, expm1f, expm1)
EITHER(m_log, logf, log)
EITHER(m_log1p, log1pf, log1p)
EITHER(m_sqrt, sqrtf, sqrt)
EITHER(m_tanh, tanhf, tanh)
EITHER(m_erf, erff, erf)
EITHER(m_floor, floorf, floor)
EITHER(m_abs, fabsf, fabs)
#undef EITHER

// over_one is 1/x for x >= 1; the quick division, which is off by 2 ulp, gives 0 from 2^126 on.
__device__ inline float over_one(float x) { return __fdividef(1.f, x); }
__device__ inline double over_one(double x) { return 1 / x; }

// sigmoid of minus infinity is 0: 1 over infinity.
template <class C> __device__ inline C sigmoid(C x) { return over_one(C(1) + m_exp(-x)); }

template <class C> __device__ inline C gelu_inner(C x) {
  return C(0.79788456080286535588) * (x + C(0.044715) * x * x * x); // sqrt(2/pi)
}

// A comparison with NaN is false: clamped and its like are written so that NaN stays.
template <class C> __device__ inline C clamped(C x, C lo, C hi) {
  x = x < lo ? lo : x;
  return x > hi ? hi : x;
}

template <class C> __device__ inline C signum(C x) { return x > C(0) ? C(1) : x < C(0) ? C(-1) : x; }

// Un is one of the functions.
template <int OP> struct Un {
  // f is the function of x.
  template <class C> static __device__ inline C f(C x, C a, C b) {
    switch (OP) {
    case AFFINE: return a * x + b;
    case EXP: return m_exp(x);
    case EXPM1: return m_expm1(x);
    case LOG: return m_log(x);
    case LOG1P: return m_log1p(x);
    case SQRT: return m_sqrt(x + a);
    case RECIP: return C(1) / (x + a);
    case ABS: return m_abs(x);
    case SIGN: return signum(x);
    case SIGMOID: return sigmoid(x);
    case TANH: return m_tanh(x);
    case ERF: return m_erf(x);
    case RELU: return x <= C(0) ? C(0) : x;
    case LEAKY_RELU: return x > C(0) ? x : a * x;
    case GELU: return x * normal_cdf(x);
    case GELU_TANH: // 1/2 (1 + tanh u) is the sigmoid of 2u, without cancellation
      x = x < C(-100) ? C(-100) : x; // 0, and 0 times infinity at minus infinity
      return x * sigmoid(C(2) * gelu_inner(x));
    case SILU: return x * sigmoid(x);
    case CLAMP: return clamped(x, a, b);
    case FLOOR: return m_floor(x);
    case IS_FINITE: return m_abs(x) < C(INFINITY) ? C(1) : C(0);
    }
    return x;
  }

  // df is g times the derivative; v is x or y, as device.UnOp.GradReads says.
  template <class C> static __device__ inline C df(C g, C v, C a, C b) {
    switch (OP) {
    case AFFINE: return a * g;
    case EXP: return g * v;
    case EXPM1: return g * (v + C(1));
    case LOG: return g / v;
    case LOG1P: return g / (C(1) + v);
    case SQRT: return g / (C(2) * v);
    case RECIP: return -g * v * v;
    case ABS: return g * signum(v);
    case SIGN:
    case FLOOR:
    case IS_FINITE: return C(0);
    case SIGMOID: return g * v * (C(1) - v);
    case TANH: return g * (C(1) - v * v);
    case ERF: return g * (C(1.12837916709551257390) * m_exp(-v * v)); // 2/sqrt(pi)
    case RELU: return v > C(0) ? g : C(0);
    case LEAKY_RELU: return v > C(0) ? g : a * g;
    case GELU: return g * (normal_cdf(v) + v * m_exp(C(-0.5) * v * v) * C(0.39894228040143267794)); // 1/sqrt(2 pi)
    case GELU_TANH: {
      v = clamped(v, C(-10), C(10)); // beyond, the derivative is 0 or 1
      C e = m_exp(C(-2) * gelu_inner(v)), s = over_one(C(1) + e); // e s is 1-s without cancellation
      return g * (s + C(2) * v * s * (e * s) * C(0.79788456080286535588) * (C(1) + C(3 * 0.044715) * v * v));
    }
    case SILU: {
      C s = sigmoid(v);
      return g * s * (C(1) + v * (C(1) - s));
    }
    case CLAMP: return v < a || v > b ? C(0) : g;
    }
    return g;
  }
};

// f_of and df_of are the function and the derivative as results of type T need them, computed in f32.
template <class T, int OP> __device__ inline float f_of(Un<OP>, float x, float a, float b) {
  return OP == GELU ? x * normal_cdf_for<T>(x) : Un<OP>::f(x, a, b);
}
template <class T, int OP> __device__ inline float df_of(Un<OP>, float g, float v, float a, float b) {
  if (OP == GELU && sizeof(T) == 2) return g * (normal_cdf_short(v) + v * __expf(-0.5f * v * v) * 0.398942280f);
  return Un<OP>::df(g, v, a, b);
}

// with_unary calls f with the Un of op.
template <class F> __device__ inline void with_unary(int op, F f) {
  switch (op) {
  case IDENTITY: f(Un<IDENTITY>()); break;
  case AFFINE: f(Un<AFFINE>()); break;
  case EXP: f(Un<EXP>()); break;
  case EXPM1: f(Un<EXPM1>()); break;
  case LOG: f(Un<LOG>()); break;
  case LOG1P: f(Un<LOG1P>()); break;
  case SQRT: f(Un<SQRT>()); break;
  case RECIP: f(Un<RECIP>()); break;
  case ABS: f(Un<ABS>()); break;
  case SIGN: f(Un<SIGN>()); break;
  case SIGMOID: f(Un<SIGMOID>()); break;
  case TANH: f(Un<TANH>()); break;
  case ERF: f(Un<ERF>()); break;
  case RELU: f(Un<RELU>()); break;
  case LEAKY_RELU: f(Un<LEAKY_RELU>()); break;
  case GELU: f(Un<GELU>()); break;
  case GELU_TANH: f(Un<GELU_TANH>()); break;
  case SILU: f(Un<SILU>()); break;
  case CLAMP: f(Un<CLAMP>()); break;
  case FLOOR: f(Un<FLOOR>()); break;
  case IS_FINITE: f(Un<IS_FINITE>()); break;
  }
}
