#include "pack.cuh"
#include "philox.cuh"

struct DropoutParams {
  Fault *fault;
  const void *x, *state;
  void *y;
  i64 n;
  double scale; // of what is kept: 1 / (1 - p)
  u32 limit;    // a number is under p where its upper 24 bits are under limit
  u32 stream;
  int aligned;
  int pad;
};

// dropout is y = 0 where the number drawn for an element is under p, else x / (1 - p); a thread has V / 4 draws of four.
template <class T, int V> __device__ inline void dropout(const DropoutParams &p) {
  typedef typename Acc<T>::type A;
  const uint4 state = random_state(p.state);
  const A scale = (A)p.scale;
  const T *x = (const T *)p.x;
  T *y = (T *)p.y;
  for (i64 e = FIRST * V; e < p.n; e += STEP * V) {
    u32 word[V];
#pragma unroll
    for (int k = 0; k < V; k += 4) {
      uint4 u = words((u32)(e / 4) + k / 4, state, p.stream);
      word[k] = u.x, word[k + 1] = u.y, word[k + 2] = u.z, word[k + 3] = u.w;
    }
    auto of = [&](T v, u32 word) { return word >> 8 < p.limit ? shorten<T>(A(0)) : shorten<T>(widen(v) * scale); };
    if (e + V <= p.n) {
      Pack<T, V> q = load_pack<T, V>(x + e, p.aligned);
#pragma unroll
      for (int v = 0; v < V; v++) q.e[v] = of(q.e[v], word[v]);
      store_pack<T, V>(y + e, q, p.aligned);
    } else {
#pragma unroll
      for (int v = 0; v < V; v++)
        if (e + v < p.n) y[e + v] = of(x[e + v], word[v]);
    }
  }
}

// hot
KERNEL(dropout_f32, 256, DropoutParams) {
  GUARD(p);
  dropout<float, 4>(p);
}
// hot
KERNEL(dropout_f16, 256, DropoutParams) {
  GUARD(p);
  dropout<f16, 8>(p);
}
// hot
KERNEL(dropout_bf16, 256, DropoutParams) {
  GUARD(p);
  dropout<bf16, 8>(p);
}
KERNEL(dropout_f64, 256, DropoutParams) {
  GUARD(p);
  dropout<double, 4>(p);
}
