// batchnorm_join.cu is what batch norm does once for a channel: it joins the parts that chunks of rows have, and makes of them
// what the next pass needs.
#include "rows.cuh"

// A block joins the parts of 8 channels, each eighth of its threads every 32nd chunk.
enum { JOINED = 8, JOINERS = THREADS / JOINED };

__device__ inline double join(double (&s)[THREADS], double x) {
  const int me = threadIdx.x;
  s[me] = x;
  for (int half = JOINERS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (me < half * JOINED) s[me] += s[me + half * JOINED];
  }
  __syncthreads();
  x = s[me % JOINED];
  __syncthreads();
  return x;
}

struct JoinStatsParams {
  Fault *fault;
  const void *part;
  void *mean, *variance;
  i64 rows;
  int channels, chunks, per;
  int pad;
};

template <class A> __device__ inline void bn_join_stats(const JoinStatsParams &p) {
  __shared__ double s[THREADS];
  int c = blockIdx.x * JOINED + threadIdx.x % JOINED, line = threadIdx.x / JOINED;
  const A *part = (const A *)p.part + c;
  const int end = c < p.channels ? p.chunks : 0;
  double sum = 0, sq = 0;
#pragma unroll 8
  for (int i = line; i < end; i += JOINERS) sum += (double)min((i64)p.per, p.rows - (i64)i * p.per) * part[(i64)i * 2 * p.channels];
  double mean = join(s, sum) / p.rows;
#pragma unroll 4
  for (int i = line; i < end; i += JOINERS) {
    double off = part[(i64)i * 2 * p.channels] - mean;
    sq += part[((i64)i * 2 + 1) * p.channels] + off * off * (double)min((i64)p.per, p.rows - (i64)i * p.per);
  }
  sq = join(s, sq);
  if (line == 0 && end > 0) {
    ((A *)p.mean)[c] = (A)mean;
    ((A *)p.variance)[c] = (A)(sq / p.rows);
  }
}

KERNEL(bn_join_stats_f32, THREADS, JoinStatsParams) {
  GUARD(p);
  bn_join_stats<float>(p);
}
KERNEL(bn_join_stats_f64, THREADS, JoinStatsParams) {
  GUARD(p);
  bn_join_stats<double>(p);
}

struct JoinGradParams {
  Fault *fault;
  const void *part, *mean, *rstd, *gamma, *beta;
  void *dgamma, *dbeta;
  void *slopes; // of each channel k, then b, then a: dx = k dy + (a - b x); then, if masked, relu_bound
  i64 rows;
  int channels, chunks;
  int gamma_type, beta_type;
  int masked;
  int pad;
};

template <class A> __device__ inline void bn_join_grad(const JoinGradParams &p) {
  __shared__ double s[THREADS];
  int c = blockIdx.x * JOINED + threadIdx.x % JOINED, line = threadIdx.x / JOINED;
  const A *part = (const A *)p.part + c;
  const int end = c < p.channels ? p.chunks : 0;
  double sum = 0, prod = 0;
#pragma unroll 8
  for (int i = line; i < end; i += JOINERS) {
    sum += part[(i64)i * 2 * p.channels];
    prod += part[((i64)i * 2 + 1) * p.channels];
  }
  sum = join(s, sum);
  prod = join(s, prod);
  if (line != 0 || end == 0) return;
  double rstd = ((const A *)p.rstd)[c], k = rstd;
  if (p.gamma) k *= load<double>(p.gamma, p.gamma_type, c);
  if (p.dbeta) ((A *)p.dbeta)[c] = (A)sum;
  if (p.dgamma) ((A *)p.dgamma)[c] = (A)(prod * rstd);
  A *slopes = (A *)p.slopes + c;
  // b x - a is b (x - mean) + k sum / rows; with b as it is read, only the rounding of a is not cancelled.
  const A b = (A)(k * rstd * rstd * prod / p.rows);
  slopes[0] = (A)k;
  slopes[p.channels] = b;
  const A mean = ((const A *)p.mean)[c];
  slopes[2 * p.channels] = (A)((double)b * mean - k * sum / p.rows);
  if (p.masked) slopes[3 * p.channels] = relu_bound(mean, (A)k, p.beta ? (A)load<double>(p.beta, p.beta_type, c) : A(0));
}

KERNEL(bn_join_grad_f32, THREADS, JoinGradParams) {
  GUARD(p);
  bn_join_grad<float>(p);
}
KERNEL(bn_join_grad_f64, THREADS, JoinGradParams) {
  GUARD(p);
  bn_join_grad<double>(p);
}

struct TrackParams {
  Fault *fault;
  void *rstd, *next_mean, *next_var; // next ones may be absent
  const void *mean, *variance;
  double keep, moved, unbiased; // next = keep next + moved mean, and keep next + unbiased variance
  double eps;
  i64 channels;
};

// blended is a x + b y, rounded as Unary.affine rounds each term and Binary.add their sum.
__device__ inline float blended(float a, float x, float b, float y) {
  return __fadd_rn(__fadd_rn(__fmul_rn(a, x), 0.f), __fadd_rn(__fmul_rn(b, y), 0.f));
}
__device__ inline double blended(double a, double x, double b, double y) {
  return __dadd_rn(__dadd_rn(__dmul_rn(a, x), 0.), __dadd_rn(__dmul_rn(b, y), 0.));
}

__device__ inline float root(float x) { return sqrtf(x); }
__device__ inline double root(double x) { return sqrt(x); }

// bn_track moves the running statistics, and makes rstd of the variance.
template <class A> __device__ inline void bn_track(const TrackParams &p) {
  for (i64 c = FIRST; c < p.channels; c += STEP) {
    const A variance = ((const A *)p.variance)[c];
    ((A *)p.rstd)[c] = 1 / root(variance + (A)p.eps);
    if (!p.next_mean) continue;
    A &mean = ((A *)p.next_mean)[c], &var = ((A *)p.next_var)[c];
    mean = blended((A)p.keep, mean, (A)p.moved, ((const A *)p.mean)[c]);
    var = blended((A)p.keep, var, (A)p.unbiased, variance);
  }
}

KERNEL(bn_track_f32, THREADS, TrackParams) {
  GUARD(p);
  bn_track<float>(p);
}
KERNEL(bn_track_f64, THREADS, TrackParams) {
  GUARD(p);
  bn_track<double>(p);
}
