// Reduce folds elements along some axes. Each thread folds some elements one after the other, then threads fold what they
// have in a fixed tree; long folds are cut in chunks, whose results a second kernel folds in the same way.
#include "axes.cuh"
#include "reduce.cuh"

enum RedOp { SUM, SUMSQ, MAX, MIN, ARGMAX, MAXABS };

struct ReduceParams {
  Fault *fault;
  const void *x;
  void *y;
  void *part; // results of chunks; none if there is one chunk
  i64 outs, n, chunk;
  int chunks, op, xtype, ytype;
  int wide;   // threads side by side: along the folded elements in rows, along the outputs in columns
  int tall;   // threads of a column
  int cols;   // outputs of the innermost kept axis
  int vector; // 16 bytes can be read at once
  Axes kept, over;
};

template <class A> __device__ inline A lowest() { return -INFINITY; }
template <> __device__ inline i64 lowest<i64>() { return -9223372036854775807LL - 1; }
template <class A> __device__ inline A highest() { return INFINITY; }
template <> __device__ inline i64 highest<i64>() { return 9223372036854775807LL; }

// put is a call, since the conversions to all types, for all kernels here, would be most of the program.
template <class A> __device__ __noinline__ void put(void *y, int type, i64 at, A v) { store<A>(y, type, at, v); }

// Fold is a fold under way, of numbers of type A.
template <int OP, class A> struct Fold {
  A v;
  __device__ static Fold start() { return {OP == MAX ? lowest<A>() : OP == MIN ? highest<A>() : A(0)}; }
  __device__ void take(A x, u32) {
    if (OP == SUM) v += x;
    if (OP == SUMSQ) v += x * x;
    if (OP == MAX) v = larger(v, x);
    if (OP == MIN) v = smaller(v, x);
    if (OP == MAXABS) v = larger(v, x < 0 ? -x : x);
  }
  __device__ static Fold join(Fold a, Fold b) {
    if (OP == SUM || OP == SUMSQ) return {a.v + b.v};
    if (OP == MIN) return {smaller(a.v, b.v)};
    return {larger(a.v, b.v)};
  }
  __device__ void write(void *y, int type, i64 at) const { put<A>(y, type, at, v); }
  template <class B> __device__ Fold<OP, B> as() const { return {(B)v}; }
};

// ARGMAX keeps the index of the first largest, NaN being largest.
template <class A> struct Fold<ARGMAX, A> {
  A v;
  u32 at;
  __device__ static Fold start() { return {lowest<A>(), 0xffffffffu}; }
  __device__ void take(A x, u32 i) {
    if (x > v || (x != x && v == v) || at == 0xffffffffu) v = x, at = i;
  }
  __device__ static Fold join(Fold a, Fold b) {
    bool nan = a.v != a.v, other = b.v != b.v;
    bool second = nan != other ? other : b.v > a.v ? true : a.v > b.v ? false : b.at < a.at;
    return second ? b : a;
  }
  __device__ void write(void *y, int type, i64 i) const { put<i64>(y, type, i, (i64)at); }
  template <class B> __device__ Fold<ARGMAX, B> as() const { return {(B)v, at}; }
};

template <class F> struct Join {
  __device__ F operator()(F a, F b) const { return F::join(a, b); }
};

// Elements reads what is folded: N elements of type T that lie side by side.
template <class T, class A> struct Elements {
  static const int N = 16 / sizeof(T), M = N;
  const T *x;
  __device__ Elements(const ReduceParams &p, i64 at) : x((const T *)p.x + at) {}
  __device__ A get(const ReduceParams &, i64 i) const { return (A)to_f32(x[i]); }
  __device__ void vector(i64 i, A (&v)[N]) const {
    Vector<T> u = load_vector(x + i);
#pragma unroll
    for (int k = 0; k < N; k++) v[k] = (A)to_f32(u.v[k]);
  }
};

// Any is elements of a type that is known at run time, with any strides, one by one.
struct Any {};
template <class A> struct Elements<Any, A> {
  static const int N = 1, M = 1;
  i64 x;
  __device__ Elements(const ReduceParams &, i64 at) : x(at) {}
  __device__ A get(const ReduceParams &p, i64 i) const {
    i64 at, none;
    walk(p.over, i, at, none);
    return load<A>(p.x, p.xtype, x + at);
  }
  __device__ void vector(i64, A (&)[1]) const {}
};

// row folds elements lo to hi-1, every wide-th from lane on.
template <class T, class A, int OP> __device__ inline Fold<OP, A> row(const ReduceParams &p, i64 x, i64 lo, i64 hi, int lane) {
  typedef Fold<OP, A> F;
  typedef Elements<T, A> E;
  const int N = E::N;
  E e(p, x);
  F acc[N];
#pragma unroll
  for (int k = 0; k < N; k++) acc[k] = F::start();
  i64 wide = p.wide, i = lo + lane;
  if (N > 1 && p.vector) {
#pragma unroll 1
    for (i = lo + lane * N; i + wide * N + N <= hi; i += 2 * wide * N) {
      A v[N], w[N];
      e.vector(i, v);
      e.vector(i + wide * N, w);
#pragma unroll
      for (int k = 0; k < N; k++) acc[k].take(v[k], (u32)(i + k));
#pragma unroll
      for (int k = 0; k < N; k++) acc[k].take(w[k], (u32)(i + wide * N + k));
    }
    if (i + N <= hi) {
      A v[N];
      e.vector(i, v);
#pragma unroll
      for (int k = 0; k < N; k++) acc[k].take(v[k], (u32)(i + k));
    }
    i = hi - (hi - lo) % N + lane; // what no vector covers
  }
  if (N > 1) {
#pragma unroll 1
    for (; i + 3 * wide < hi; i += 4 * wide) {
      A v[4];
#pragma unroll
      for (int k = 0; k < 4; k++) v[k] = e.get(p, i + k * wide);
#pragma unroll
      for (int k = 0; k < 4; k++) acc[k % N].take(v[k], (u32)(i + k * wide));
    }
  }
#pragma unroll 1
  for (; i < hi; i += wide) acc[0].take(e.get(p, i), (u32)i);
#pragma unroll
  for (int s = N / 2; s > 0; s /= 2)
#pragma unroll
    for (int k = 0; k < s; k++) acc[k] = F::join(acc[k], acc[k + s]);
  return acc[0];
}

// rows has wide threads for each output and chunk: 1 to 32, or the whole block.
template <class T, class A, int OP> __device__ inline void rows(const ReduceParams &p, uint4 *memory) {
  typedef Fold<OP, A> F;
  int groups = blockDim.x / p.wide, lane = threadIdx.x % p.wide;
  i64 n = p.outs * p.chunks;
  for (i64 b = (i64)blockIdx.x * groups; b < n; b += (i64)gridDim.x * groups) {
    i64 g = b + threadIdx.x / p.wide, o = p.chunks == 1 ? g : g / p.chunks, lo = (g - o * p.chunks) * p.chunk;
    i64 x = 0, y = 0;
    F f = F::start();
    if (g < n) {
      walk(p.kept, o, x, y);
      f = row<T, A, OP>(p, x, lo, min(lo + p.chunk, p.n), lane);
    }
    f = p.wide > 32 ? fold_block(f, (F *)memory, Join<F>()) : fold_lanes(f, p.wide, Join<F>());
    if (g < n && lane == 0) {
      if (p.chunks > 1) ((F *)p.part)[g] = f;
      else f.write(p.y, p.ytype, y);
    }
  }
}

// fold_tall folds what the tall threads of each column have; the first of them gets the result.
template <class F, int N> __device__ inline void fold_tall(F (&f)[N], F *memory, int wide, int tall) {
  if (tall == 1) return;
  int t = threadIdx.x, ty = t / wide % tall;
#pragma unroll
  for (int k = 0; k < N; k++) memory[k * blockDim.x + t] = f[k];
  __syncthreads();
#pragma unroll 1
  for (int s = tall / 2; s > 0; s /= 2) {
    if (ty < s) {
#pragma unroll
      for (int k = 0; k < N; k++) {
        F *m = memory + k * blockDim.x + t;
        *m = f[k] = F::join(f[k], m[s * wide]);
      }
    }
    __syncthreads();
  }
}

// column folds N columns side by side, of rows lo to hi-1 every tall-th from ty on.
template <class T, class A, int OP, int N>
__device__ inline void column(const ReduceParams &p, i64 x, i64 lo, i64 hi, int ty, Fold<OP, A> (&acc)[N]) {
  Elements<T, A> e(p, x);
  i64 r = lo + ty, tall = p.tall;
  if (N > 1 && p.over.rank == 1) {
    const int U = N > 4 ? 2 : 4;
#pragma unroll 1
    for (i64 step = p.over.x[0]; r + (U - 1) * tall < hi; r += U * tall) {
      A v[U][N];
#pragma unroll
      for (int u = 0; u < U; u++) e.vector((r + u * tall) * step, v[u]);
#pragma unroll
      for (int u = 0; u < U; u++)
#pragma unroll
        for (int k = 0; k < N; k++) acc[k].take(v[u][k], (u32)(r + u * tall));
    }
  }
#pragma unroll 1
  for (; r < hi; r += tall) {
    A v[N];
    if (N == 1) {
      v[0] = e.get(p, r);
    } else {
      i64 at, none;
      walk(p.over, r, at, none);
      e.vector(at, v);
    }
#pragma unroll
    for (int k = 0; k < N; k++) acc[k].take(v[k], (u32)r);
  }
}

// columns has blocks of wide threads side by side and tall ones below each other; what is left of the block takes the
// next tiles. A tile is wide * N columns of one chunk.
template <class T, class A, int OP, int N> __device__ inline void columns(const ReduceParams &p, uint4 *memory) {
  typedef Fold<OP, A> F;
  int deep = blockDim.x / (p.wide * p.tall), tx = threadIdx.x % p.wide, ty = threadIdx.x / p.wide % p.tall;
  int tiles = (p.cols + p.wide * N - 1) / (p.wide * N);
  i64 n = p.outs / p.cols * p.chunks * tiles;
  for (i64 b = (i64)blockIdx.x * deep; b < n; b += (i64)gridDim.x * deep) {
    i64 g = b + threadIdx.x / (p.wide * p.tall), h = tiles == 1 ? g : g / tiles, outer = p.chunks == 1 ? h : h / p.chunks;
    int col = ((int)(g - h * tiles) * p.wide + tx) * N;
    bool mine = g < n && col < p.cols;
    i64 x = 0, y = 0, lo = (h - outer * p.chunks) * p.chunk;
    F acc[N];
#pragma unroll
    for (int k = 0; k < N; k++) acc[k] = F::start();
    if (mine) {
      walk(p.kept, outer * p.cols + col, x, y);
      column<T, A, OP, N>(p, x, lo, min(lo + p.chunk, p.n), ty, acc);
    }
    fold_tall(acc, (F *)memory, p.wide, p.tall);
    if (mine && ty == 0) {
#pragma unroll
      for (int k = 0; k < N; k++) {
        if (p.chunks > 1) ((F *)p.part)[h * p.cols + col + k] = acc[k];
        else acc[k].write(p.y, p.ytype, y + (i64)k * p.kept.y[p.kept.rank - 1]);
      }
    }
  }
}

// merge folds the chunks' results, as W: wide outputs side by side, tall threads for each.
template <class A, class W, int OP> __device__ inline void merge(const ReduceParams &p, uint4 *memory) {
  typedef Fold<OP, W> F;
  int tx = threadIdx.x % p.wide, ty = threadIdx.x / p.wide;
  for (i64 b = (i64)blockIdx.x * p.wide; b < p.outs; b += (i64)gridDim.x * p.wide) {
    i64 o = b + tx, outer = o / p.cols;
    const Fold<OP, A> *from = (const Fold<OP, A> *)p.part + outer * p.chunks * p.cols + (o - outer * p.cols);
    F f[1] = {F::start()};
    if (o < p.outs)
#pragma unroll 4
      for (int c = ty; c < p.chunks; c += p.tall) f[0] = F::join(f[0], from[(i64)c * p.cols].template as<W>());
    fold_tall(f, (F *)memory, p.wide, p.tall);
    if (o < p.outs && ty == 0) {
      i64 x, y;
      walk(p.kept, o, x, y);
      f[0].write(p.y, p.ytype, y);
    }
  }
}

template <class T, class A> __device__ inline void any_rows(const ReduceParams &p, uint4 *memory) {
  switch (p.op) {
  case SUM: rows<T, A, SUM>(p, memory); break;
  case SUMSQ: rows<T, A, SUMSQ>(p, memory); break;
  case MAX: rows<T, A, MAX>(p, memory); break;
  case MIN: rows<T, A, MIN>(p, memory); break;
  case ARGMAX: rows<T, A, ARGMAX>(p, memory); break;
  default: rows<T, A, MAXABS>(p, memory);
  }
}

template <class T, class A, int N> __device__ inline void any_columns(const ReduceParams &p, uint4 *memory) {
  switch (p.op) {
  case SUM: columns<T, A, SUM, N>(p, memory); break;
  case SUMSQ: columns<T, A, SUMSQ, N>(p, memory); break;
  case MAX: columns<T, A, MAX, N>(p, memory); break;
  case MIN: columns<T, A, MIN, N>(p, memory); break;
  case ARGMAX: columns<T, A, ARGMAX, N>(p, memory); break;
  default: columns<T, A, MAXABS, N>(p, memory);
  }
}

template <class A, class W> __device__ inline void any_merge(const ReduceParams &p, uint4 *memory) {
  switch (p.op) {
  case SUM:
  case SUMSQ: merge<A, W, SUM>(p, memory); break; // squares are there already
  case MIN: merge<A, W, MIN>(p, memory); break;
  case ARGMAX: merge<A, W, ARGMAX>(p, memory); break;
  default: merge<A, W, MAX>(p, memory); // of numbers from 0 on for MAXABS
  }
}

// Rows whose elements lie side by side, 16 bytes at once where p.vector says so.
KERNEL(reduce_rows_f32, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[8];
  any_rows<float, float>(p, memory);
}
KERNEL(reduce_rows_f16, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[8];
  any_rows<f16, float>(p, memory);
}
KERNEL(reduce_rows_bf16, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[8];
  any_rows<bf16, float>(p, memory);
}

// Rows of any type and strides, calculated in f32, f64 or integers.
KERNEL(reduce_rows_as_f32, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[8];
  any_rows<Any, float>(p, memory);
}
KERNEL(reduce_rows_as_f64, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[8];
  any_rows<Any, double>(p, memory);
}
KERNEL(reduce_rows_as_i64, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[8];
  any_rows<Any, i64>(p, memory);
}

// Columns that lie side by side, 16 bytes of them at once.
KERNEL(reduce_columns_f32, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[4 * 256 / 2];
  any_columns<float, float, 4>(p, memory);
}
KERNEL(reduce_columns_f16, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[8 * 256 / 2];
  any_columns<f16, float, 8>(p, memory);
}
KERNEL(reduce_columns_bf16, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[8 * 256 / 2];
  any_columns<bf16, float, 8>(p, memory);
}

// Columns of any type and strides.
KERNEL(reduce_columns_as_f32, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[256];
  any_columns<Any, float, 1>(p, memory);
}
KERNEL(reduce_columns_as_f64, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[256];
  any_columns<Any, double, 1>(p, memory);
}
KERNEL(reduce_columns_as_i64, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[256];
  any_columns<Any, i64, 1>(p, memory);
}

// The results of chunks. Those of f32 are summed in f64.
KERNEL(reduce_merge_f32, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[256];
  any_merge<float, double>(p, memory);
}
KERNEL(reduce_merge_f64, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[256];
  any_merge<double, double>(p, memory);
}
KERNEL(reduce_merge_i64, 256, ReduceParams) {
  GUARD(p);
  __shared__ uint4 memory[256];
  any_merge<i64, i64>(p, memory);
}
