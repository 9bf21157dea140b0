// launch.cpp: kernel launches and their limits.
#include <cstring>

#include "state.h"

namespace driver {
namespace {
enum { PARAM_END = 0, PARAM_BUFFER = 1, PARAM_SIZE = 2 };

// The attributes of a launch that this driver knows: CUlaunchAttributeID.
enum { IGNORE = 0, CLUSTER_DIMENSION = 4, CLUSTER_POLICY = 5, PROGRAMMATIC_SERIALIZATION = 6, PRIORITY = 8 };

struct Attribute { // CUlaunchAttribute
  int id, pad;
  union {
    char bytes[64];
    unsigned cluster[3];
  } value;
};

struct Config { // CUlaunchConfig
  unsigned grid[3], block[3], shared;
  void *stream;
  Attribute *attributes;
  unsigned count;
};

// parameters finds the kernel's one block of parameters, in either form that a launch may give it.
int parameters(const sim::Kernel *k, void **params, void **extra, const void **data) {
  if (params && extra) return INVALID_VALUE;
  if (params) {
    *data = params[0];
    return *data ? 0 : INVALID_VALUE;
  }
  if (!extra) {
    complain("kernel %s: launched without parameters", k->name);
    return INVALID_VALUE;
  }
  size_t bytes = 0;
  *data = nullptr;
  for (int i = 0; extra[i] != (void *)PARAM_END; i += 2) {
    if (extra[i] == (void *)PARAM_BUFFER) *data = extra[i + 1];
    else if (extra[i] == (void *)PARAM_SIZE) bytes = *(size_t *)extra[i + 1];
    else return INVALID_VALUE;
  }
  if (!*data || bytes != k->bytes) {
    complain("kernel %s: a parameter block of %zu bytes, it takes %zu", k->name, bytes, k->bytes);
    return INVALID_VALUE;
  }
  return 0;
}

int check_shape(const Function *f, const unsigned *grid, const unsigned *block, unsigned shared) {
  const sim::Kernel *k = f->kernel;
  static const unsigned most_grid[3] = {2147483647, 65535, 65535}, most_block[3] = {1024, 1024, 64};
  for (int i = 0; i < 3; i++)
    if (!grid[i] || grid[i] > most_grid[i] || !block[i] || block[i] > most_block[i]) {
      complain("kernel %s: no grid of %ux%ux%u blocks of %ux%ux%u threads", k->name, grid[0], grid[1], grid[2], block[0], block[1],
               block[2]);
      return INVALID_VALUE;
    }
  unsigned threads = block[0] * block[1] * block[2];
  if (threads > 1024) {
    complain("kernel %s: no block of %u threads: 1024 are the most", k->name, threads);
    return INVALID_VALUE;
  }
  if (threads > k->threads) {
    complain("kernel %s: %u threads a block, its launch bound is %u", k->name, threads, k->threads);
    return LAUNCH_OUT_OF_RESOURCES;
  }
  if (shared > (unsigned)f->dynamic_limit) {
    complain("kernel %s: %u bytes of dynamic shared memory, its limit is %d", k->name, shared, f->dynamic_limit);
    return INVALID_VALUE;
  }
  return 0;
}

int check_attributes(const Config &c, const char *name) {
  for (unsigned i = 0; i < c.count; i++) {
    const Attribute &a = c.attributes[i];
    switch (a.id) {
    case IGNORE: case CLUSTER_POLICY: case PROGRAMMATIC_SERIALIZATION: case PRIORITY: break;
    case CLUSTER_DIMENSION:
      for (int d = 0; d < 3; d++)
        if (gpu().major < 9 || !a.value.cluster[d] || c.grid[d] % a.value.cluster[d]) {
          complain("kernel %s: no clusters of %ux%ux%u blocks here", name, a.value.cluster[0], a.value.cluster[1], a.value.cluster[2]);
          return INVALID_VALUE;
        }
      break;
    default:
      complain("kernel %s: launch attribute %d is not known", name, a.id);
      return NOT_SUPPORTED;
    }
  }
  return 0;
}

int launch(const char *call_name, Function *f, const Config &c, void **params, void **extra) {
  Call call(call_name, CONTEXT);
  if (call.error) return call.error;
  if (!state().functions.count(f)) return INVALID_HANDLE;
  Stream *s = find_stream(c.stream);
  if (!s) return INVALID_HANDLE;
  const sim::Kernel *k = f->kernel;
  const void *data;
  if (int e = check_shape(f, c.grid, c.block, c.shared)) return e;
  if (int e = check_attributes(c, k->name)) return e;
  if (int e = parameters(k, params, extra, &data)) return e;
  // Parameters are taken now; they lie aligned as any struct may need it.
  std::shared_ptr<char> copy((char *)aligned_alloc(64, (k->bytes + 63) / 64 * 64), free);
  memcpy(copy.get(), data, k->bytes);
  dim3 grid(c.grid[0], c.grid[1], c.grid[2]), block(c.block[0], c.block[1], c.block[2]);
  unsigned shared = c.shared;
  return enqueue(s, k->name, KERNEL_NODE, [=] { return sim::launch(k, copy.get(), grid, block, shared); });
}
} // namespace
} // namespace driver

using namespace driver;

API cuLaunchKernel(Function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *stream, void **params, void **extra) {
  return launch(__func__, f, Config{{gx, gy, gz}, {bx, by, bz}, shared, stream, nullptr, 0}, params, extra);
}

API cuLaunchKernelEx(const Config *c, Function *f, void **params, void **extra) {
  if (!c) return INVALID_VALUE;
  return launch(__func__, f, *c, params, extra);
}
