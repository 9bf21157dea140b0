// rows.cuh cuts a matrix of rows and channels among blocks. A block has a chunk of rows and a tile of channels: its thread t
// has column t % packs of the tile, V channels wide, and begins with row t / packs. All of that follows from the shape,
// and with it the order of every sum.
#pragma once
#include "pack.cuh"

enum { THREADS = 256 };

struct Tile {
  i64 rows;
  int channels;
  int packs, lines; // columns of V channels, and rows, that the threads of a block cover
  int per;          // rows of a chunk
};

// Span is a thread's part: rows from first to last, each lines-th, from channel on.
template <int V> struct Span {
  int line, column, channel;
  i64 first, last;
  __device__ Span(const Tile &t) {
    line = threadIdx.x / t.packs;
    column = threadIdx.x - line * t.packs;
    channel = (blockIdx.y * t.packs + column) * V;
    i64 lo = (i64)blockIdx.x * t.per;
    first = lo + line;
    last = min(lo + t.per, t.rows);
    if (line >= t.lines || channel >= t.channels) last = first;
  }
};

// of_channels reads one number for each of V channels.
template <class A, int V> __device__ inline void of_channels(A (&to)[V], const void *from, int channel, bool aligned) {
  Pack<A, V> q = load_pack<A, V>((const A *)from + channel, aligned);
  for (int v = 0; v < V; v++) to[v] = q.e[v];
}
