// good.cpp runs the kernels of good.cu and products of the stand-in for cuBLAS, and compares with plain loops.
#include <cmath>

#include "cu.h"
#include "params.h"

static int failures;
static void same(const char *what, const std::vector<float> &got, const std::vector<float> &want, double tolerance = 0) {
  for (size_t i = 0; i < want.size(); i++)
    if (!(std::fabs(got[i] - want[i]) <= tolerance)) {
      printf("%s: element %zu is %g, not %g\n", what, i, got[i], want[i]);
      failures++;
      return;
    }
}

// Small whole numbers: every product and sum below is exact in f32, f16 inputs included.
static std::vector<float> numbers(size_t n, unsigned seed) {
  std::vector<float> v(n);
  for (float &x : v) seed = seed * 1664525u + 1013904223u, x = (float)((int)(seed >> 28) - 8);
  return v;
}
static std::vector<uint16_t> halves(const std::vector<float> &v, bool bf) {
  std::vector<uint16_t> h;
  for (float x : v) {
    uint32_t u;
    memcpy(&u, &x, 4);
    if (bf) h.push_back((uint16_t)(u >> 16));
    else h.push_back(x == 0 ? 0 : (uint16_t)(u >> 16 & 0x8000 | ((u >> 23 & 255) - 112) << 10 | u >> 13 & 0x3ff));
  }
  return h;
}
// product is op(A) op(B), row-major m x k and k x n.
static std::vector<float> product(const std::vector<float> &a, const std::vector<float> &b, int m, int n, int k) {
  std::vector<float> c((size_t)m * n);
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) {
      float s = 0;
      for (int q = 0; q < k; q++) s += a[(size_t)i * k + q] * b[(size_t)q * n + j];
      c[(size_t)i * n + j] = s;
    }
  return c;
}

template <class P> static int grid2(const char *name, unsigned gx, unsigned gy, unsigned block, const P &p, unsigned shared) {
  size_t n = sizeof p;
  void *extra[] = {(void *)1, (void *)&p, (void *)2, &n, nullptr};
  return cuLaunchKernel(function(name), gx, gy, 1, block, 1, 1, shared, nullptr, nullptr, extra);
}

static void vectors() {
  size_t n = 10000;
  auto x = numbers(n, 1), y = numbers(n, 2);
  Ptr dx = upload(x), dy = upload(y), df = upload(std::vector<int>{0});
  VectorParams p = {dx, dy, df, (long long)n};
  need(launch("axpy", 7, 256, p));
  for (size_t i = 0; i < n; i++) y[i] += 2 * x[i];
  same("axpy", download<float>(dy, n), y);
  need(launch("axpy4", 3, 128, p));
  for (size_t i = 0; i < n; i++) y[i] += 2 * x[i];
  same("axpy4", download<float>(dy, n), y);
  need(launch("bytes", 1, 64, p));
  for (int i = 0; i < 64; i++) y[i] = (float)i + 2;
  same("bytes", download<float>(dy, n), y);
  float s = 0;
  for (float v : x) s += v;
  need(launch("sum", 9, 256, p));
  same("sum", download<float>(dy, 1), {s});
  need(cuMemFree_v2(dx));
  need(cuMemFree_v2(dy));
  need(cuMemFree_v2(df));
}

static void warps() {
  Ptr d = alloc(96 * 40);
  need(launch("collectives", 1, 96, VectorParams{0, d, 0, 0}));
  auto got = download<int>(d, 960);
  for (int t = 0; t < 96; t++) {
    int l = t % 32, w = t - l;
    int want[10] = {(int)0xaaaaaaaa, 1, 0, l ? t - 1 : t, l % 8 < 4 ? t + 4 : t, w + 5, l < 16 ? l ^ 1 : l ^ 2, 40, 1, 0};
    for (int i = 0; i < 10; i++)
      if (got[10 * t + i] != want[i]) {
        printf("collectives: thread %d, result %d is %d, not %d\n", t, i, got[10 * t + i], want[i]);
        failures++;
        return;
      }
  }
  need(cuMemFree_v2(d));
}

static void matrices() {
  int m = 128, n = 64, k = 48;
  auto a = numbers((size_t)m * k, 3), b = numbers((size_t)k * n, 4), c = product(a, b, m, n, k);
  Ptr da = upload(a), db = upload(b), dc = alloc((size_t)m * n * 4);
  need(grid2("sgemm", 1, 2, 256, MatrixParams{dc, da, db, m, n, k, 0}, 0));
  same("sgemm", download<float>(dc, c.size()), c);
  need(cuMemsetD8_v2(dc, 0, c.size() * 4));
  need(grid2("tf32gemm", (unsigned)n / 8, (unsigned)m / 16, 32, MatrixParams{dc, da, db, m, n, k, 0}, 0));
  same("tf32gemm", download<float>(dc, c.size()), c);
  for (int bf = 0; bf < 2; bf++) {
    Ptr ha = upload(halves(a, bf)), hb = upload(halves(b, bf));
    need(cuMemsetD8_v2(dc, 0, c.size() * 4));
    need(grid2(bf ? "bgemm" : "hgemm", (unsigned)n / 8, (unsigned)m / 16, 32, MatrixParams{dc, ha, hb, m, n, k, 0}, 2 * 384 * 2));
    same(bf ? "bgemm" : "hgemm", download<float>(dc, c.size()), c);
    need(cuMemFree_v2(ha));
    need(cuMemFree_v2(hb));
  }
  for (Ptr q : {da, db, dc}) need(cuMemFree_v2(q));
}

static void ragged() {
  auto x = numbers(70, 5);
  Ptr dx = upload(x), dy = alloc(192 * 4);
  need(launch("ragged", 1, 32, VectorParams{dx, dy, 0, 70}));
  auto y = download<float>(dy, 192);
  x.resize(128);
  same("ragged", y, x);
  for (unsigned l = 0; l < 32; l++) {
    unsigned r, t, g = l / 4, q = l % 4;
    memcpy(&r, &y[128 + l], 4);
    memcpy(&t, &y[160 + l], 4);
    if (r != (2 * l | (2 * l + 1) << 16) || t != ((2 * q) * 8 + g | ((2 * q + 1) * 8 + g) << 16)) {
      printf("ldmatrix: lane %u has %08x and, transposed, %08x\n", l, r, t);
      failures++;
      break;
    }
  }
  need(cuMemFree_v2(dx));
  need(cuMemFree_v2(dy));
}

enum { F32 = 0, F64 = 1, F16 = 2, BF16 = 14 };

// blas compares products of every transposition, type and edge with loops: row-major C = A B is column-major C' = B' A'.
static void blas() {
  Handle h;
  need(cublasCreate_v2(&h));
  for (int type : {F32, F64, F16, BF16})
    for (int ta = 0; ta < 2; ta++)
      for (int tb = 0; tb < 2; tb++) {
        int m = 201, n = 77, k = 270, count = 2, lda = (ta ? k : m) + 3, ldb = (tb ? n : k) + 1, ldc = m + 2;
        size_t sa = (size_t)lda * (ta ? m : k), sb = (size_t)ldb * (tb ? k : n), sc = (size_t)ldc * n;
        auto a = numbers(sa * 2, 6), b = numbers(sb * 2, 7), c = numbers(sc * 2, 8), want = c;
        for (int z = 0; z < count; z++)
          for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) {
              float s = 0;
              for (int q = 0; q < k; q++) s += a[z * sa + (ta ? q + (size_t)i * lda : i + (size_t)q * lda)] * b[z * sb + (tb ? j + (size_t)q * ldb : q + (size_t)j * ldb)];
              float &w = want[z * sc + (size_t)j * ldc + i];
              w = 0.5f * s + 2 * w;
            }
        Ptr da, db, dc;
        float alpha = 0.5f, beta = 2;
        double alpha2 = 0.5, beta2 = 2;
        if (type == F64) da = upload(std::vector<double>(a.begin(), a.end())), db = upload(std::vector<double>(b.begin(), b.end()));
        else if (type == F32) da = upload(a), db = upload(b);
        else da = upload(halves(a, type == BF16)), db = upload(halves(b, type == BF16));
        dc = type == F64 ? upload(std::vector<double>(c.begin(), c.end())) : upload(c);
        need(cublasGemmStridedBatchedEx(h, ta, tb, m, n, k, type == F64 ? (void *)&alpha2 : &alpha, da, type, lda, (long long)sa, db, type, ldb,
                                        (long long)sb, type == F64 ? (void *)&beta2 : &beta, dc, type == F64 ? F64 : F32, ldc, (long long)sc,
                                        count, type == F64 ? 70 : 68, -1));
        std::vector<float> got;
        if (type == F64)
          for (double x : download<double>(dc, c.size())) got.push_back((float)x);
        else got = download<float>(dc, c.size());
        char what[64];
        snprintf(what, sizeof what, "GemmStridedBatchedEx type %d%s%s", type, ta ? " ta" : "", tb ? " tb" : "");
        same(what, got, want);
        for (Ptr q : {da, db, dc}) need(cuMemFree_v2(q));
      }
  // 1 + 2^-11 has 11 mantissa bits: TF32 makes it 1 + 2^-10, plain f32 keeps it.
  Ptr x = upload(std::vector<float>{1 + 0x1p-11f}), one = upload(std::vector<float>{1}), y = alloc(4);
  float alpha = 1, beta = 0;
  need(cublasSgemm_v2(h, 0, 0, 1, 1, 1, &alpha, x, 1, one, 1, &beta, y, 1));
  same("Sgemm", download<float>(y, 1), {1 + 0x1p-11f});
  need(cublasSetMathMode(h, 3));
  need(cublasSgemm_v2(h, 0, 0, 1, 1, 1, &alpha, x, 1, one, 1, &beta, y, 1));
  same("Sgemm with TF32", download<float>(y, 1), {1 + 0x1p-10f});
  for (Ptr q : {x, one, y}) need(cuMemFree_v2(q));
  need(cublasDestroy_v2(h));
}

int main() {
  open();
  vectors();
  warps();
  matrices();
  ragged();
  blas();
  close();
  char s[500];
  if (acusim_live(s, sizeof s)) printf("left: %s\n", s), failures++;
  puts(failures ? "failed" : "ok");
  return failures != 0;
}
