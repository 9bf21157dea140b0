// Gather copies the rows of a table that indices name. ScatterAdd adds rows to those of a table: the places are sorted by
// index, in a stable way, so that what is added to one row is added in the order of the places.
#include "axes.cuh"

__device__ inline i64 index_at(const void *index, int type, i64 at) {
  return type == U8 ? (i64)((const u8 *)index)[at] : (i64)((const int *)index)[at];
}

struct GatherParams {
  Fault *fault;
  void *y;
  const void *x, *index;
  i64 places, size; // size: elements of a row, or units of them
  i64 entries, stride; // of the table
  u32 code;
  int ytype, xtype, itype;
  Axes at;  // of the places: x in the rows, y in the indices
  Axes row; // of a row's elements: x in x, y in y
};

// find is the place and the row's unit of e, and where they lie; false if the index is outside.
__device__ inline bool find(const GatherParams &p, i64 e, i64 &y, i64 &x, i64 &unit) {
  i64 place;
  if (e >> 32 || p.size >> 32) place = e / p.size;
  else place = (u32)e / (u32)p.size;
  unit = e - place * p.size;
  i64 i;
  walk(p.at, place, y, i);
  i64 k = index_at(p.index, p.itype, i);
  if ((u64)k >= (u64)p.entries) {
    fault(p.fault, p.code, k, place, p.entries);
    return false;
  }
  x = k * p.stride;
  return true;
}

// units copies rows that lie side by side in y and x, a unit U at a time; strides count units.
template <class U> __device__ inline void units(const GatherParams &p) {
  i64 n = p.places * p.size;
  for (i64 e = FIRST; e < n; e += STEP) {
    i64 y, x, unit;
    if (find(p, e, y, x, unit)) ((U *)p.y)[y + unit] = ((const U *)p.x)[x + unit];
  }
}
KERNEL(gather_16, 256, GatherParams) {
  GUARD(p);
  units<uint4>(p);
}
KERNEL(gather_8, 256, GatherParams) {
  GUARD(p);
  units<uint2>(p);
}
KERNEL(gather_4, 256, GatherParams) {
  GUARD(p);
  units<u32>(p);
}
KERNEL(gather_2, 256, GatherParams) {
  GUARD(p);
  units<u16>(p);
}
KERNEL(gather_1, 256, GatherParams) {
  GUARD(p);
  units<u8>(p);
}

// elements converts on the way, by C, and goes by any strides.
template <class C> __device__ inline void elements(const GatherParams &p) {
  i64 n = p.places * p.size;
  for (i64 e = FIRST; e < n; e += STEP) {
    i64 y, x, unit, a, b;
    if (!find(p, e, y, x, unit)) continue;
    walk(p.row, unit, b, a);
    store<C>(p.y, p.ytype, y + a, load<C>(p.x, p.xtype, x + b));
  }
}
KERNEL(gather_f64, 256, GatherParams) {
  GUARD(p);
  elements<double>(p);
}
KERNEL(gather_i64, 256, GatherParams) {
  GUARD(p);
  elements<i64>(p);
}

// The sort has rounds of 256 numbers; a tile is those of a block.
enum { SORT_THREADS = 256, SORT_ROUNDS = 8, SORT_TILE = SORT_THREADS * SORT_ROUNDS, SORT_SMALL = 1024, WARPS = SORT_THREADS / 32 };

// SortParams are of one digit, of 8 bits, of a sort of places by index, the least digit first.
struct SortParams {
  Fault *fault;
  const void *index;
  const u32 *keys, *values; // as the digit before left them; none at the first
  u32 *to_keys, *to_values;
  u32 *counts; // by digit and tile: how many there are, then how many are before
  u32 *totals; // by digit
  i64 entries;
  u32 n, tiles, code;
  int shift, itype;
  Axes at;
};

// pair is the i-th number, and its place; a wrong index is reported once, at the first digit, and counts as 0.
__device__ inline u32 pair(const SortParams &p, u32 i, u32 &value) {
  if (p.keys) {
    value = p.values[i];
    return p.keys[i];
  }
  value = i;
  i64 row, at;
  walk(p.at, i, row, at);
  i64 k = index_at(p.index, p.itype, at);
  if ((u64)k < (u64)p.entries) return (u32)k;
  fault(p.fault, p.code, k, i, p.entries);
  return 0;
}

// sort_count counts the digits of each tile.
KERNEL(sort_count, 256, SortParams) {
  GUARD(p);
  __shared__ u32 count[256];
  u32 t = threadIdx.x;
  count[t] = 0;
  __syncthreads(); // all threads are past the guard before one reports
  for (int r = 0; r < SORT_ROUNDS; r++) {
    u32 i = blockIdx.x * SORT_TILE + r * SORT_THREADS + t, value;
    if (i < p.n) atomicAdd(&count[pair(p, i, value) >> p.shift & 255], 1u);
  }
  __syncthreads();
  p.counts[t * p.tiles + blockIdx.x] = count[t];
}

// scan is the sum of what the threads before this one have, and of all: v of 256 threads.
__device__ inline u32 scan(u32 v, u32 *shared, u32 &all) {
  u32 lane = threadIdx.x % 32, w = threadIdx.x / 32, sum = v;
  for (u32 s = 1; s < 32; s *= 2) {
    u32 before = __shfl_up_sync(0xffffffffu, sum, s);
    if (lane >= s) sum += before;
  }
  if (lane == 31) shared[w] = sum;
  __syncthreads();
  u32 base = 0;
  all = 0;
  for (u32 k = 0; k < WARPS; k++) {
    if (k < w) base += shared[k];
    all += shared[k];
  }
  __syncthreads();
  return base + sum - v;
}

// sort_scan has a block for each digit: counts become those of the tiles before.
KERNEL(sort_scan, 256, SortParams) {
  GUARD(p);
  __shared__ u32 shared[WARPS];
  u32 *counts = p.counts + blockIdx.x * p.tiles, base = 0;
  for (u32 lo = 0; lo < p.tiles; lo += 256) {
    u32 i = lo + threadIdx.x, all, before = scan(i < p.tiles ? counts[i] : 0, shared, all);
    if (i < p.tiles) counts[i] = base + before;
    base += all;
  }
  if (threadIdx.x == 0) p.totals[blockIdx.x] = base;
}

// sort_move puts each number where its digit and those before it say.
KERNEL(sort_move, 256, SortParams) {
  GUARD(p);
  __shared__ u32 shared[WARPS], count[WARPS][256];
  u32 t = threadIdx.x, lane = t % 32, w = t / 32, all;
  u32 base = scan(p.totals[t], shared, all) + p.counts[t * p.tiles + blockIdx.x]; // of digit t
  for (int r = 0; r < SORT_ROUNDS; r++) {
    u32 i = blockIdx.x * SORT_TILE + r * SORT_THREADS + t, value = 0, key = 0;
    bool mine = i < p.n;
    if (mine) key = pair(p, i, value);
    u32 digit = key >> p.shift & 255;
    for (int k = 0; k < WARPS; k++) count[k][t] = 0;
    __syncthreads();
    u32 peers = __ballot_sync(0xffffffffu, mine); // lanes of the same digit
    for (int b = 0; b < 8; b++) {
      u32 set = __ballot_sync(0xffffffffu, digit >> b & 1);
      peers &= digit >> b & 1 ? set : ~set;
    }
    u32 rank = __popc(peers & ((1u << lane) - 1));
    if (mine && rank == 0) count[w][digit] = __popc(peers);
    __syncthreads();
    for (int k = 0; k < WARPS; k++) {
      u32 c = count[k][t];
      count[k][t] = base;
      base += c;
    }
    __syncthreads();
    if (mine) {
      u32 to = count[w][digit] + rank;
      p.to_keys[to] = key;
      p.to_values[to] = value;
    }
    __syncthreads();
  }
}

// sort_small sorts up to SORT_SMALL numbers, whatever their size, in one block: each counts those before it.
KERNEL(sort_small, 1024, SortParams) {
  GUARD(p);
  __shared__ u32 keys[SORT_SMALL];
  __syncthreads(); // all threads are past the guard before one reports
  u32 i = threadIdx.x, value = 0, rank = 0;
  if (i < p.n) keys[i] = pair(p, i, value);
  __syncthreads();
  if (i >= p.n) return;
  u32 key = keys[i];
  for (u32 k = 0; k < p.n; k++) rank += keys[k] < key || (keys[k] == key && k < i);
  p.to_keys[rank] = key;
  p.to_values[rank] = value;
}

struct ScatterParams {
  Fault *fault;
  void *y;
  const void *x;
  const u32 *keys, *values; // sorted
  void *head, *tail;        // sums of pieces, by piece and column
  i64 size, stride;         // of a row of x in elements; of the table y
  u32 n, pieces;
  int piece, wide, tall; // places of a piece; scatter_join: columns and threads for each
  int ytype, xtype, flat; // flat: rows lie side by side
  Axes at;  // of the places: x in the rows, y in the indices
  Axes row; // of a row's elements: x in x, y in y
};

// columns gives the offsets of a column in y and x.
__device__ inline void column(const ScatterParams &p, i64 c, i64 &y, i64 &x) {
  if (p.flat) y = x = c;
  else walk(p.row, c, x, y);
}

__device__ inline i64 place(const ScatterParams &p, u32 i) {
  i64 row, index;
  walk(p.at, i, row, index);
  return row;
}

// scatter cuts the sorted places in pieces. A thread has one column of a piece. It adds each run of equal indices that lies
// within the piece to y; of one that began before, or goes on after, it leaves the sum to scatter_join.
template <class T, class A> __device__ inline void scatter(const ScatterParams &p) {
  i64 n = (i64)p.pieces * p.size;
  for (i64 e = FIRST; e < n; e += STEP) {
    u32 piece = (u32)(e >> 32 || p.size >> 32 ? e / p.size : (u32)e / (u32)p.size);
    i64 c = e - (i64)piece * p.size, y, x;
    column(p, c, y, x);
    u32 lo = piece * p.piece, hi = min(lo + p.piece, p.n), key = p.keys[lo];
    bool begun = lo > 0 && p.keys[lo - 1] == key;
    A sum = 0;
    for (u32 i = lo; i < hi; i++) {
      sum += T::get(p, x + place(p, p.values[i]));
      u32 next = i + 1 < p.n ? p.keys[i + 1] : 0xffffffffu;
      if (next == key && i + 1 < hi) continue;
      if (begun) ((A *)p.head)[e] = sum;
      else if (next == key) ((A *)p.tail)[e] = sum;
      else {
        i64 to = (i64)key * p.stride + y;
        store<A>(p.y, p.ytype, to, load<A>(p.y, p.ytype, to) + sum);
      }
      begun = false;
      key = next;
      sum = 0;
    }
  }
}

template <class T> struct Of {
  __device__ static float get(const ScatterParams &p, i64 at) { return to_f32(((const T *)p.x)[at]); }
};
template <class A> struct As {
  __device__ static A get(const ScatterParams &p, i64 at) { return load<A>(p.x, p.xtype, at); }
};

KERNEL(scatter_f32, 256, ScatterParams) {
  GUARD(p);
  scatter<Of<float>, float>(p);
}
KERNEL(scatter_f16, 256, ScatterParams) {
  GUARD(p);
  scatter<Of<f16>, float>(p);
}
KERNEL(scatter_bf16, 256, ScatterParams) {
  GUARD(p);
  scatter<Of<bf16>, float>(p);
}
KERNEL(scatter_as_f32, 256, ScatterParams) {
  GUARD(p);
  scatter<As<float>, float>(p);
}
KERNEL(scatter_as_f64, 256, ScatterParams) {
  GUARD(p);
  scatter<As<double>, double>(p);
}
KERNEL(scatter_as_i64, 256, ScatterParams) {
  GUARD(p);
  scatter<As<i64>, i64>(p);
}

// join adds runs that lie in several pieces: the sum of the piece where one begins, and those of the pieces after it, by
// tall threads for a column.
template <class A> __device__ inline void join(const ScatterParams &p, A *memory) {
  u32 piece = blockIdx.x, end = (piece + 1) * p.piece; // the last piece has no block
  u32 key = p.keys[end - 1];
  u32 first = piece * p.piece;
  bool begins = first == 0 || p.keys[first - 1] != key || p.keys[first] != key;
  if (p.keys[end] != key || !begins) return;
  u32 lo = end, hi = p.n; // the first place of a larger index
  while (lo < hi) {
    u32 mid = lo + (hi - lo) / 2;
    if (p.keys[mid] == key) lo = mid + 1;
    else hi = mid;
  }
  u32 last = (lo - 1) / p.piece;
  int t = threadIdx.x, tx = t % p.wide, ty = t / p.wide;
  for (i64 c0 = (i64)blockIdx.y * p.wide; c0 < p.size; c0 += (i64)gridDim.y * p.wide) {
    i64 c = c0 + tx;
    A sum = 0;
    if (c < p.size)
      for (i64 q = (i64)piece + 1 + ty; q <= last; q += p.tall) sum += ((const A *)p.head)[q * p.size + c];
    memory[t] = sum;
    __syncthreads();
    for (int s = p.tall / 2; s > 0; s /= 2) {
      if (ty < s) memory[t] += memory[t + s * p.wide];
      __syncthreads();
    }
    if (ty == 0 && c < p.size) {
      i64 y, x;
      column(p, c, y, x);
      i64 to = (i64)key * p.stride + y;
      store<A>(p.y, p.ytype, to, load<A>(p.y, p.ytype, to) + (((const A *)p.tail)[(i64)piece * p.size + c] + memory[t]));
    }
    __syncthreads();
  }
}
KERNEL(scatter_join_f32, 256, ScatterParams) {
  GUARD(p);
  __shared__ float memory[256];
  join<float>(p, memory);
}
KERNEL(scatter_join_f64, 256, ScatterParams) {
  GUARD(p);
  __shared__ double memory[256];
  join<double>(p, memory);
}
KERNEL(scatter_join_i64, 256, ScatterParams) {
  GUARD(p);
  __shared__ i64 memory[256];
  join<i64>(p, memory);
}
