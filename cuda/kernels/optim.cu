#include "pack.cuh"

// On sm_86 and sm_89 ptxas would spill registers so that a sixth block fits.
#if __CUDA_ARCH__ >= 860 && __CUDA_ARCH__ < 900
#define THREADS 256, 5
#else
#define THREADS 256
#endif

// HyperLR and so on are device's: what an optimiser reads from device memory.
enum { HYPER_LR, HYPER_GRAD_SCALE, HYPER_STEP, HYPER_OK };

struct Hyper {
  double lr, scale, step;
  bool ok;
  __device__ Hyper(const void *from, int type) {
    lr = load<double>(from, type, HYPER_LR);
    scale = load<double>(from, type, HYPER_GRAD_SCALE);
    step = load<double>(from, type, HYPER_STEP);
    ok = load<double>(from, type, HYPER_OK) != 0;
  }
};

struct SGDParams {
  Fault *fault;
  void *w;
  const void *g;
  void *buf; // null without momentum
  const void *hyper;
  i64 n;
  double momentum, take, decay; // take: 1 - dampening
  int hyper_type;
  int nesterov, decoupled;
  int aligned;
};

template <class T, int V> __device__ inline void sgd(const SGDParams &p) {
  const Hyper h(p.hyper, p.hyper_type);
  if (!h.ok) return;
  const T lr = (T)h.lr, scale = (T)h.scale, mom = (T)p.momentum, take = (T)p.take;
  const T shrink = p.decoupled ? (T)(1 - h.lr * p.decay) : T(1), decay = p.decoupled ? T(0) : (T)p.decay;
  const bool first = h.step <= 1, nesterov = p.nesterov;
  T *w = (T *)p.w, *buf = (T *)p.buf;
  const T *g = (const T *)p.g;
  auto gradient = [&](T &x, T g) {
    x *= shrink;
    return scale * g + decay * x;
  };
  auto moved = [&](T v, T &b) {
    b = first ? v : mom * b + take * v;
    return nesterov ? v + mom * b : b;
  };
  const i64 whole = p.n / V;
  for (i64 e = FIRST; e < whole; e += STEP) {
    Pack<T, V> x = load_pack<T, V>(w + e * V, p.aligned), d = load_pack<T, V>(g + e * V, p.aligned), b;
    if (buf) {
      b = load_pack<T, V>(buf + e * V, p.aligned);
#pragma unroll
      for (int v = 0; v < V; v++) {
        T q = gradient(x.e[v], d.e[v]);
        x.e[v] -= lr * moved(q, b.e[v]);
      }
      store_pack<T, V>(buf + e * V, b, p.aligned);
    } else {
#pragma unroll
      for (int v = 0; v < V; v++) {
        T q = gradient(x.e[v], d.e[v]);
        x.e[v] -= lr * q;
      }
    }
    store_pack<T, V>(w + e * V, x, p.aligned);
  }
  for (i64 e = whole * V + FIRST; e < p.n; e += STEP) {
    T x = w[e], q = gradient(x, g[e]);
    if (buf) {
      T b = buf[e];
      q = moved(q, b);
      buf[e] = b;
    }
    w[e] = x - lr * q;
  }
}

// hot
KERNEL(sgd_f32, 256, SGDParams) {
  GUARD(p);
  sgd<float, 4>(p);
}
KERNEL(sgd_f64, THREADS, SGDParams) {
  GUARD(p);
  sgd<double, 2>(p);
}

struct AdamParams {
  Fault *fault;
  void *w;
  const void *g;
  void *m, *v;
  void *vmax; // null without AMSGrad
  const void *hyper;
  i64 n;
  double log1, log2; // logarithms of the betas
  double beta2, take1, take2, eps, decay; // take: 1 - beta
  int hyper_type;
  int decoupled;
  int aligned;
  int pad;
};

template <class T, int V> __device__ inline void adam(const AdamParams &p) {
  const Hyper h(p.hyper, p.hyper_type);
  if (!h.ok) return;
  // 1 - beta^step is -expm1(step log beta), exact where it is small; one thread calculates it, since f64 is slow on many GPUs.
  __shared__ double corrected[2];
  if (threadIdx.x == 0) {
    corrected[0] = h.lr / -expm1(h.step * p.log1);
    corrected[1] = sqrt(-expm1(h.step * p.log2));
  }
  __syncthreads();
  const T rate = (T)corrected[0], root = (T)corrected[1];
  const T scale = (T)h.scale, eps = (T)p.eps, take1 = (T)p.take1, beta2 = (T)p.beta2, take2 = (T)p.take2;
  const T shrink = p.decoupled ? (T)(1 - h.lr * p.decay) : T(1), decay = p.decoupled ? T(0) : (T)p.decay;
  T *w = (T *)p.w, *m = (T *)p.m, *v = (T *)p.v, *vmax = (T *)p.vmax;
  const T *g = (const T *)p.g;
  // step changes one weight x and its moments a and b; top is the largest b so far.
  auto step = [&](T &x, T g, T &a, T &b, T &top, bool largest) {
    x *= shrink;
    T q = scale * g + decay * x;
    a += take1 * (q - a);
    b = beta2 * b + take2 * q * q;
    top = largest && b < top ? top : b;
    x -= rate * (a / (sqrt(top) / root + eps));
  };
  const i64 whole = p.n / V;
  for (i64 e = FIRST; e < whole; e += STEP) {
    Pack<T, V> x = load_pack<T, V>(w + e * V, p.aligned), d = load_pack<T, V>(g + e * V, p.aligned);
    Pack<T, V> a = load_pack<T, V>(m + e * V, p.aligned), b = load_pack<T, V>(v + e * V, p.aligned), top = b;
    if (vmax) top = load_pack<T, V>(vmax + e * V, p.aligned);
#pragma unroll
    for (int i = 0; i < V; i++) step(x.e[i], d.e[i], a.e[i], b.e[i], top.e[i], vmax != nullptr);
    store_pack<T, V>(w + e * V, x, p.aligned);
    store_pack<T, V>(m + e * V, a, p.aligned);
    store_pack<T, V>(v + e * V, b, p.aligned);
    if (vmax) store_pack<T, V>(vmax + e * V, top, p.aligned);
  }
  for (i64 e = whole * V + FIRST; e < p.n; e += STEP) {
    T x = w[e], a = m[e], b = v[e], top = vmax ? vmax[e] : b;
    step(x, g[e], a, b, top, vmax != nullptr);
    w[e] = x;
    m[e] = a;
    v[e] = b;
    if (vmax) vmax[e] = top;
  }
}

// hot
KERNEL(adam_f32, THREADS, AdamParams) {
  GUARD(p);
  adam<float, 4>(p);
}
KERNEL(adam_f64, 256, AdamParams) {
  GUARD(p);
  adam<double, 2>(p);
}
