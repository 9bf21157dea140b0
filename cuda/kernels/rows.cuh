// rows.cuh cuts a matrix of rows and channels among blocks. A block has a chunk of rows and a tile of channels: its thread t
// has column t % packs of the tile, V channels wide, and begins with row t / packs. All of that follows from the shape,
// and with it the order of every sum.
#pragma once
#include "pack.cuh"

enum { THREADS = 256 };

// ROWS is KERNEL where a processor has four blocks at a time, and so enough loads under way: 64 registers a thread. MORE has
// three, of 80.
#ifdef ACUMEN_SIM
#define ROWS KERNEL
#define MORE KERNEL
#else
#define ROWS(name, threads, P) extern "C" __global__ void __launch_bounds__(threads, 4) name(const __grid_constant__ P p)
#define MORE(name, threads, P) extern "C" __global__ void __launch_bounds__(threads, 3) name(const __grid_constant__ P p)
#endif

struct Tile {
  i64 rows;
  int channels;
  int packs, lines; // columns of V channels, and rows, that the threads of a block cover
  int per;          // rows of a chunk
};

// Span is a thread's part of a chunk: every lines-th of its rows from one on, each from a channel on. Of a thread without
// any, rows is 0.
template <int V> struct Span {
  int line, column, channel;
  int rows; // of the chunk
  i64 low;  // the chunk's first
  __device__ Span(const Tile &t, u32 chunk) {
    line = threadIdx.x / t.packs;
    column = threadIdx.x - line * t.packs;
    channel = (blockIdx.y * t.packs + column) * V;
    low = (i64)chunk * t.per;
    rows = (int)min((i64)t.per, t.rows - low);
    if (line >= t.lines || channel >= t.channels) rows = 0;
  }
  __device__ bool empty() const { return line >= rows; }
  // at is where its first row begins.
  __device__ i64 at(i64 stride) const { return (low + line) * stride + channel; }
  // from_last is the same where it goes from the chunk's last row to the first.
  __device__ i64 from_last(i64 stride) const { return (low + rows - 1 - line) * stride + channel; }
};

// Rows is how many rows are worked on at a time, and whether their packs are read and written at once.
template <int N, bool WIDE> struct Rows {
  enum { COUNT = N };

  // load reads a pack of each row, and moves on to the next.
  template <class T, int V> static __device__ inline void load(Pack<T, V> (&q)[N], const T *&from, i64 step) {
#pragma unroll
    for (int k = 0; k < N; k++, from += step) q[k] = load_pack<T, V>(from, WIDE);
  }
  template <class T, int V> static __device__ inline void store(T *&to, const Pack<T, V> (&q)[N], i64 step) {
#pragma unroll
    for (int k = 0; k < N; k++, to += step) store_pack<T, V>(to, q[k], WIDE);
  }
};

// sweep calls f for a thread's rows: N at a time without a condition among them, so that all their loads are under way at
// once, then single ones.
template <int N, int V, class F> __device__ inline void sweep(const Span<V> &s, int lines, bool aligned, F f) {
  int r = s.line;
  if (V > 1 && !aligned) {
#pragma unroll 1
    for (; r < s.rows; r += lines) f(Rows<1, false>());
    return;
  }
#pragma unroll 1
  for (; r + (N - 1) * lines < s.rows; r += N * lines) f(Rows<N, true>());
#pragma unroll 1
  for (; r < s.rows; r += lines) f(Rows<1, true>());
}

// in_pairs joins what the lines of a block have, pair by pair, so that line 0 has all: put writes a thread's own to its
// place in shared memory, join takes in what is at another's.
template <int V, class PUT, class JOIN> __device__ inline void in_pairs(const Span<V> &s, const Tile &t, PUT put, JOIN join) {
  const int me = threadIdx.x;
#pragma unroll 1
  for (int n = t.lines; n > 1;) {
    const int half = (n + 1) / 2;
    if (s.line >= half && s.line < n) put(me);
    __syncthreads();
    if (s.line < n - half) join(me + half * t.packs);
    n = half;
  }
}

// of_channels reads one number for each of V channels.
template <class A, int V> __device__ inline void of_channels(A (&to)[V], const void *from, int channel, bool aligned) {
  Pack<A, V> q = load_pack<A, V>((const A *)from + channel, aligned);
  for (int v = 0; v < V; v++) to[v] = q.e[v];
}

// Past a ReLU is what has y > 0, y = (x - mean) scale + shift: where x, turned over with the sign of scale, is above a bound.
// It may differ from y > 0 where y is as small as its own rounding.
template <class A> __device__ inline A relu_bound(A mean, A scale, A shift) {
  return (scale < 0 ? -mean : mean) - shift / fabs(scale);
}
// The sign is the top bit of 32; that of a float is turned without a predicate, of which a loop would need one a channel.
__device__ inline u32 sign_of(float x) { return __float_as_uint(x) & 0x80000000u; }
__device__ inline u32 sign_of(double x) { return x < 0 ? 0x80000000u : 0; }
__device__ inline bool past_relu(float x, u32 sign, float bound) { return __uint_as_float(__float_as_uint(x) ^ sign) > bound; }
__device__ inline bool past_relu(double x, u32 sign, double bound) { return (sign ? -x : x) > bound; }
