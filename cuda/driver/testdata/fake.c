// fake.c is a libcuda.so.1, or with -DBLAS a libcublas.so.12, for the tests of the binding alone: memory is the host's, everything runs
// at once, and its two kernels do what the tests look at. FAKE_FAIL=cuMemAlloc_v2=2 makes a call fail; with -DOLD it is a
// driver of before cuLaunchKernelEx. The driver that runs the real kernels is cuda/sim.
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t ptr;

static int fail(const char *call) {
  const char *f = getenv("FAKE_FAIL");
  size_t n = strlen(call);
  return f && strncmp(f, call, n) == 0 && f[n] == '=' ? atoi(f + n + 1) : 0;
}

#define START(name) \
  int f_ = fail(#name); \
  if (f_) return f_

// A call that must find a context on its thread.
#define START_IN(name) \
  START(name);         \
  if (!inside()) return 201

#define SIMPLE(name, params, body) \
  int name params {                \
    START(name);                   \
    body;                          \
    return 0;                      \
  }
#define INSIDE(name, params, body) \
  int name params {                \
    START_IN(name);                \
    body;                          \
    return 0;                      \
  }

static int inside(void);
static int number(const char *name, int otherwise) { return getenv(name) ? atoi(getenv(name)) : otherwise; }

#ifndef BLAS
static __thread void *current;
static __thread int seen;
static int life; // of the primary context: counts how often it was given up, after which no thread has it any more
int acu_fake_inside(void) { return current != NULL && seen == life; }
static int inside(void) { return acu_fake_inside(); }

SIMPLE(cuInit, (unsigned flags), (void)flags)
int cuDriverGetVersion(int *v) { return *v = number("FAKE_VERSION", 12040), 0; }
int cuGetErrorName(int code, const char **s) { return code == 999 ? 1 : (*s = code == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_FAKE", 0); }
int cuGetErrorString(int code, const char **s) { return code == 999 ? 1 : (*s = code == 2 ? "out of memory" : "made to fail", 0); }

SIMPLE(cuDeviceGetCount, (int *n), *n = 1)
SIMPLE(cuDeviceGet, (int *d, int i), if (i != 0) return 101; *d = i)
SIMPLE(cuDeviceGetName, (char *s, int n, int d), snprintf(s, n, "NVIDIA Fake%s", getenv("FAKE_NAME") ? getenv("FAKE_NAME") : ""))
SIMPLE(cuDeviceTotalMem_v2, (size_t *n, int d), *n = 1 << 30)
SIMPLE(cuDeviceGetAttribute, (int *v, int a, int d), *v = a == 75 ? 9 : a == 20 ? number("FAKE_MODE", 0) : 0)
SIMPLE(cuDeviceGetUuid, (unsigned char *u, int d), for (int i = 0; i < 16; i++) u[i] = i)
SIMPLE(cuDeviceGetUuid_v2, (unsigned char *u, int d), for (int i = 0; i < 16; i++) u[i] = i + number("FAKE_PART", 0))
SIMPLE(cuDeviceGetPCIBusId, (char *s, int n, int d), snprintf(s, n, "0000:65:00.0"))

static int context, retained;
SIMPLE(cuDevicePrimaryCtxRetain, (void **c, int d), retained++; *c = &context)
SIMPLE(cuDevicePrimaryCtxRelease_v2, (int d), if (!retained) return 201; if (!--retained) life++)
SIMPLE(cuCtxSetCurrent, (void *c), current = c; seen = life)
INSIDE(cuCtxSynchronize, (void), )

INSIDE(cuMemAlloc_v2, (ptr * p, size_t n), *p = (ptr)(uintptr_t)malloc(n))
INSIDE(cuMemFree_v2, (ptr p), free((void *)p))
INSIDE(cuMemGetInfo_v2, (size_t *f, size_t *t), *f = 1 << 29; *t = 1 << 30)
INSIDE(cuMemHostAlloc, (void **p, size_t n, unsigned flags), *p = malloc(n))
INSIDE(cuMemFreeHost, (void *p), free(p))

INSIDE(cuModuleLoadData, (void **m, const void *image), if (strcmp(image, "fake")) return 209; *m = &context)
INSIDE(cuModuleUnload, (void *m), )
enum { ECHO = 1, ADD };
INSIDE(cuModuleGetFunction, (void **f, void *m, const char *name),
       if (!strcmp(name, "echo")) *f = (void *)ECHO; else if (!strcmp(name, "add")) *f = (void *)ADD; else return 500)
static int max_shared = 49152;
INSIDE(cuFuncSetAttribute, (void *f, int a, int v), if (a != 8) return 1; max_shared = v)
INSIDE(cuFuncGetAttribute, (int *v, int a, void *f), *v = a == 8 ? max_shared : 0)
INSIDE(cuOccupancyMaxActiveBlocksPerMultiprocessor, (int *n, void *f, int threads, size_t shared), *n = 2048 / threads)

typedef struct node {
  uintptr_t f;
  unsigned dim[7];
  size_t size;
  unsigned char params[256];
  struct node *next;
} node;
typedef struct {
  int capturing, broken;
  node *first, **last;
} stream;
typedef struct {
  node *first;
} graph;
static __thread stream *capturing;

INSIDE(cuStreamCreate, (stream **s, unsigned flags), if (flags != 1) return 1; *s = calloc(1, sizeof **s))
INSIDE(cuStreamDestroy_v2, (stream * s), free(s))
INSIDE(cuStreamSynchronize, (stream * s), if (s->capturing) { s->broken = 1; return 900; })
INSIDE(cuStreamQuery, (stream * s), return number("FAKE_BUSY", 0))
INSIDE(cuStreamWaitEvent, (stream * s, void *e, unsigned flags), )
INSIDE(cuMemcpyHtoDAsync_v2, (ptr d, const void *s, size_t n, stream *st), memcpy((void *)d, s, n))
INSIDE(cuMemcpyDtoHAsync_v2, (void *d, ptr s, size_t n, stream *st), memcpy(d, (void *)s, n))
INSIDE(cuMemcpyDtoDAsync_v2, (ptr d, ptr s, size_t n, stream *st), memcpy((void *)d, (void *)s, n))
INSIDE(cuMemsetD8Async, (ptr d, unsigned char b, size_t n, stream *st), memset((void *)d, b, n))

INSIDE(cuEventCreate, (void **e, unsigned flags), *e = malloc(4); *(unsigned *)*e = flags)
INSIDE(cuEventDestroy_v2, (void *e), free(e))
INSIDE(cuEventRecord, (void *e, stream *s), )
INSIDE(cuEventQuery, (void *e), return number("FAKE_BUSY", 0))
INSIDE(cuEventSynchronize, (void *e), )
INSIDE(cuEventElapsedTime, (float *ms, unsigned *a, unsigned *b), if (*a || *b) return 400; *ms = 1.5f)

static void run(const node *n) {
  unsigned char *to = *(unsigned char **)n->params;
  if (n->f == ECHO) { // the parameters and the launch's shape, to the address that they begin with
    memcpy(to, n->params, n->size);
    memcpy(to + n->size, n->dim, sizeof n->dim);
  } else { // *to += value
    *(int *)to += *(int *)(n->params + 8);
  }
}

static int launch(uintptr_t f, const unsigned *dim, stream *s, void **extra) {
  node n = {.f = f};
  memcpy(n.dim, dim, sizeof n.dim);
  if (extra[0] != (void *)1 || extra[2] != (void *)2 || extra[4] != NULL) return 1;
  n.size = *(size_t *)extra[3];
  if (n.size > sizeof n.params) return 1;
  memcpy(n.params, extra[1], n.size);
  if (!s->capturing) return run(&n), 0;
  node *keep = *s->last = malloc(sizeof n);
  *keep = n;
  s->last = &keep->next;
  return 0;
}

int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   stream *s, void **params, void **extra) {
  START_IN(cuLaunchKernel);
  unsigned dim[] = {gx, gy, gz, bx, by, bz, shared};
  return launch((uintptr_t)f, dim, s, extra);
}

#ifndef OLD
typedef struct {
  unsigned dim[7];
  stream *s;
  void *attributes;
  unsigned count;
} config;
int cuLaunchKernelEx(const config *c, void *f, void **params, void **extra) {
  START_IN(cuLaunchKernelEx);
  return c->count ? 1 : launch((uintptr_t)f, c->dim, c->s, extra);
}
#endif

INSIDE(cuStreamBeginCapture_v2, (stream * s, int mode), if (mode != 1 || capturing) return 1; s->capturing = 1; s->broken = 0;
       s->first = NULL; s->last = &s->first; capturing = s)
int cuStreamEndCapture(stream *s, graph **g) {
  if (capturing != s) return 908;
  capturing = NULL, s->capturing = 0, *g = NULL;
  START_IN(cuStreamEndCapture);
  if (s->broken) return 901;
  *g = malloc(sizeof **g);
  (*g)->first = s->first;
  return 0;
}
INSIDE(cuGraphGetNodes, (graph * g, void **nodes, size_t *n), *n = 0; for (node *k = g->first; k; k = k->next)++ * n)
INSIDE(cuGraphInstantiateWithFlags, (graph * *e, graph *g, uint64_t flags), *e = malloc(sizeof **e); **e = *g)
INSIDE(cuGraphDestroy, (graph * g), free(g))
INSIDE(cuGraphExecDestroy, (graph * g), free(g))
INSIDE(cuGraphLaunch, (graph * g, stream *s), for (node *k = g->first; k; k = k->next) run(k))

#else
static int inside(void) {
  void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  int (*f)(void) = lib ? (int (*)(void))dlsym(lib, "acu_fake_inside") : NULL;
  return f && f();
}

// cuBLAS, on column-major matrices of f32 (0) and f64 (1).
typedef struct {
  void *stream, *workspace;
} handle;
INSIDE(cublasCreate_v2, (handle * *h), *h = calloc(1, sizeof **h))
INSIDE(cublasDestroy_v2, (handle * h), free(h))
INSIDE(cublasSetStream_v2, (handle * h, void *s), h->stream = s; h->workspace = NULL)
INSIDE(cublasSetWorkspace_v2, (handle * h, void *w, size_t n), h->workspace = w)
INSIDE(cublasSetMathMode, (handle * h, int mode), if (mode != 16) return 7)
int cublasGetProperty(int which, int *v) { return *v = which == 0 ? number("FAKE_CUBLAS", 12) : which == 1 ? 9 : 1, 0; }
const char *cublasGetStatusName(int s) { return s == 13 ? "CUBLAS_STATUS_EXECUTION_FAILED" : "CUBLAS_STATUS_FAKE"; }
const char *cublasGetStatusString(int s) { return "made to fail"; }

static double get(const void *p, int t, long i) { return t ? ((const double *)p)[i] : ((const float *)p)[i]; }
int cublasGemmStridedBatchedEx(handle *h, int opa, int opb, int m, int n, int k, const void *alpha, const char *a, int ta, int lda,
                               long long sa, const char *b, int tb, int ldb, long long sb, const void *beta, char *c, int tc,
                               int ldc, long long sc, int batch, int compute, int algo) {
  START_IN(cublasGemmStridedBatchedEx);
  if (!h->stream || !h->workspace) return 1;
  if ((compute != 68 && compute != 70 && compute != 77) || algo != -1) return 15;
  double al = get(alpha, compute == 70, 0), be = get(beta, compute == 70, 0);
  for (int q = 0; q < batch; q++)
    for (int i = 0; i < m; i++)
      for (int j = 0; j < n; j++) {
        double s = 0;
        for (int l = 0; l < k; l++)
          s += get(a, ta, q * sa + (opa ? l + (long)i * lda : i + (long)l * lda)) * get(b, tb, q * sb + (opb ? j + (long)l * ldb : l + (long)j * ldb));
        long at = q * sc + i + (long)j * ldc;
        s = al * s + (be ? be * get(c, tc, at) : 0);
        if (tc) ((double *)c)[at] = s;
        else ((float *)c)[at] = (float)s;
      }
  return 0;
}
int cublasGemmEx(handle *h, int opa, int opb, int m, int n, int k, const void *alpha, const void *a, int ta, int lda,
                 const void *b, int tb, int ldb, const void *beta, void *c, int tc, int ldc, int compute, int algo) {
  START_IN(cublasGemmEx);
  return cublasGemmStridedBatchedEx(h, opa, opb, m, n, k, alpha, a, ta, lda, 0, b, tb, ldb, 0, beta, c, tc, ldc, 0, 1, compute, algo);
}
#endif
