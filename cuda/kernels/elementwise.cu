#include "unary.cuh"
#include "vector.cuh"

struct IotaParams {
  Fault *fault;
  double start, step;
  Nest nest; // operand 1 has stride 1 along the axis and 0 along others: its offset is the index
};

// iota is y = start + step i.
KERNEL(iota, 256, IotaParams) {
  GUARD(p);
  each<2>(p.nest, [&](const i64 (&at)[2]) {
    put<double>(p.nest.op[0], at[0], __dadd_rn(p.start, __dmul_rn(p.step, (double)at[1])));
  });
}

struct UnaryParams {
  Fault *fault;
  double a, b;
  int op, pad;
  Nest nest; // y, x; for a derivative dx, dy, and x or y
};

// unary_flat_T is y = f(x) over contiguous memory of type T.
template <class T> __device__ inline void unary_flat(const UnaryParams &p) {
  float a = (float)p.a, b = (float)p.b;
  with_unary(p.op, [&](auto op) {
    flat<T>(p.nest.op[0].data, p.nest.op[1].data, p.nest.n, [&](float x) { return f_of<T>(op, x, a, b); });
  });
}
// hot: unary_flat_f32 unary_flat_f16 unary_flat_bf16
KERNEL(unary_flat_f32, 256, UnaryParams) {
  GUARD(p);
  unary_flat<float>(p);
}
KERNEL(unary_flat_f16, 256, UnaryParams) {
  GUARD(p);
  unary_flat<f16>(p);
}
KERNEL(unary_flat_bf16, 256, UnaryParams) {
  GUARD(p);
  unary_flat<bf16>(p);
}

// unary_each is y = f(x) over single elements of any type.
template <class C> __device__ inline void unary_one(const UnaryParams &p, const i64 (&at)[2]) {
  C x = get<C>(p.nest.op[1], at[1]);
  with_unary(p.op, [&](auto op) { x = op.f(x, (C)p.a, (C)p.b); });
  put<C>(p.nest.op[0], at[0], x);
}
KERNEL(unary_each, 256, UnaryParams) {
  GUARD(p);
  each<2>(p.nest, [&](const i64 (&at)[2]) { unary_one<float>(p, at); });
}
KERNEL(unary_double, 256, UnaryParams) {
  GUARD(p);
  each<2>(p.nest, [&](const i64 (&at)[2]) { unary_one<double>(p, at); });
}

// unary_four is y = f(x) over fours of neighbours.
// hot
KERNEL(unary_four, 256, UnaryParams) {
  GUARD(p);
  each_four<2>(
      p.nest,
      [&](const i64 (&at)[2]) {
        Four x = get4(p.nest, 1, at[1]);
        with_unary(p.op, [&](auto op) {
          for (int k = 0; k < 4; k++) x.v[k] = op.f(x.v[k], (float)p.a, (float)p.b);
        });
        put4(p.nest, at[0], x);
      },
      [&](const i64 (&at)[2]) { unary_one<float>(p, at); });
}

// unary_grad_flat_T is dx = dy f' over contiguous memory of type T.
template <class T> __device__ inline void unary_grad_flat(const UnaryParams &p) {
  float a = (float)p.a, b = (float)p.b;
  with_unary(p.op, [&](auto op) {
    flat<T>(p.nest.op[0].data, p.nest.op[1].data, p.nest.op[2].data, p.nest.n, [&](float g, float v) { return df_of<T>(op, g, v, a, b); });
  });
}
// hot: unary_grad_flat_f32 unary_grad_flat_f16 unary_grad_flat_bf16
KERNEL(unary_grad_flat_f32, 256, UnaryParams) {
  GUARD(p);
  unary_grad_flat<float>(p);
}
KERNEL(unary_grad_flat_f16, 256, UnaryParams) {
  GUARD(p);
  unary_grad_flat<f16>(p);
}
KERNEL(unary_grad_flat_bf16, 256, UnaryParams) {
  GUARD(p);
  unary_grad_flat<bf16>(p);
}

// unary_grad_each is dx = dy f' over single elements of any type.
template <class C> __device__ inline void unary_grad_one(const UnaryParams &p, const i64 (&at)[3]) {
  C g = get<C>(p.nest.op[1], at[1]), v = get<C>(p.nest.op[2], at[2]);
  with_unary(p.op, [&](auto op) { g = op.df(g, v, (C)p.a, (C)p.b); });
  put<C>(p.nest.op[0], at[0], g);
}
KERNEL(unary_grad_each, 256, UnaryParams) {
  GUARD(p);
  each<3>(p.nest, [&](const i64 (&at)[3]) { unary_grad_one<float>(p, at); });
}
KERNEL(unary_grad_double, 256, UnaryParams) {
  GUARD(p);
  each<3>(p.nest, [&](const i64 (&at)[3]) { unary_grad_one<double>(p, at); });
}

// unary_grad_four is dx = dy f' over fours of neighbours.
// hot
KERNEL(unary_grad_four, 256, UnaryParams) {
  GUARD(p);
  each_four<3>(
      p.nest,
      [&](const i64 (&at)[3]) {
        Four g = get4(p.nest, 1, at[1]), v = get4(p.nest, 2, at[2]);
        with_unary(p.op, [&](auto op) {
          for (int k = 0; k < 4; k++) g.v[k] = op.df(g.v[k], v.v[k], (float)p.a, (float)p.b);
        });
        put4(p.nest, at[0], g);
      },
      [&](const i64 (&at)[3]) { unary_grad_one<float>(p, at); });
}
