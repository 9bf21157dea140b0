// gpu.cpp: the GPU that is played, and the calls that ask about it.
#include <algorithm>
#include <cstring>

#include "state.h"

namespace driver {
namespace {
const Gpu table[] = {
    {"h100", "NVIDIA H100 80GB HBM3", 9, 0, 132, 85029158912, 232448, 233472, 2048, 32, 1980000, 2619000, 5120, 50 << 20},
    {"h200", "NVIDIA H200", 9, 0, 132, 150121611264, 232448, 233472, 2048, 32, 1980000, 3201000, 6144, 50 << 20},
    {"a100", "NVIDIA A100-SXM4-80GB", 8, 0, 108, 85097971712, 166912, 167936, 2048, 32, 1410000, 1593000, 5120, 40 << 20},
    {"rtx4060", "NVIDIA GeForce RTX 4060", 8, 9, 24, 8585216000, 101376, 102400, 1536, 24, 2460000, 8501000, 128, 24 << 20},
    {"t4", "Tesla T4", 7, 5, 40, 15655829504, 65536, 65536, 1024, 16, 1590000, 5001000, 256, 4 << 20},
};
const Gpu p100 = {"p100", "Tesla P100-PCIE-16GB", 6, 0, 56, 17066885120, 49152, 65536, 2048, 32, 1328500, 715000, 4096, 4 << 20};
const Gpu mig = {"mig", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", 9, 0, 16, 10468982784, 232448, 233472, 2048, 32, 1980000, 2619000, 5120,
                 6 << 20};

const Gpu &choose() {
  if (playing() == "OLD_ARCH") return p100;
  if (playing() == "MIG") return mig;
  const char *e = getenv("ACUSIM_GPU");
  if (!e || !*e) return table[0];
  for (const Gpu &g : table)
    if (!strcmp(g.key, e)) return g;
  std::string known;
  for (const Gpu &g : table) known += std::string(known.empty() ? "" : ", ") + g.key;
  complain("ACUSIM_GPU: no \"%s\" among %s; playing %s", e, known.c_str(), table[0].key);
  return table[0];
}

// resized is the GPU with the memory that ACUSIM_MEMORY tells, in MiB.
Gpu resized(Gpu g) {
  const char *e = getenv("ACUSIM_MEMORY");
  if (!e || !*e) return g;
  char *rest;
  long mib = strtol(e, &rest, 10);
  if (*rest || mib < 1 || mib > 1 << 20) complain("ACUSIM_MEMORY: \"%s\" is no number of MiB", e);
  else g.memory = (size_t)mib << 20;
  return g;
}

int attribute(int a) {
  const Gpu &g = gpu();
  switch (a) {
  case 1: return 1024;                            // threads in a block
  case 2: case 3: return 1024;                    // block's x, y
  case 4: return 64;                              // z
  case 5: return 2147483647;                      // grid's x
  case 6: case 7: return 65535;                   // y, z
  case 8: return 49152;                           // shared memory of a block, unless a function asks for more
  case 9: return 65536;                           // constant memory
  case 10: return 32;                             // warp
  case 11: return 2147483647;                     // pitch
  case 12: case 82: return 65536;                 // registers of a block, of an SM
  case 13: return g.clock_khz;
  case 14: return 512;                            // texture alignment
  case 15: case 19: case 31: case 41: return 1;   // overlap, mapping host memory, concurrent kernels, unified addresses
  case 16: return g.sms;
  case 20: return playing() == "EXCLUSIVE" ? 3 : playing() == "PROHIBITED" ? 2 : 0; // compute mode
  case 32: return g.bus_bits > 1000;              // error correction
  case 33: return 1;                              // bus number
  case 36: return g.memory_khz;
  case 37: return g.bus_bits;
  case 38: return g.l2;
  case 39: return g.threads_sm;
  case 40: return 3;                              // copy engines
  case 75: return g.major;
  case 76: return g.minor;
  case 78: return 1;                              // stream priorities
  case 81: return g.shared_sm;
  case 95: return g.major >= 6;                   // cooperative launch
  case 97: return g.shared_block;
  case 106: return g.blocks_sm;
  case 111: return g.major >= 8 ? 1024 : 0;       // shared memory that the system keeps in each block
  case 115: return 0;                             // memory pools
  case 120: return g.major >= 9;                  // cluster launch
  }
  return 0;
}

bool device_exists(int d) { return d >= 0 && d < device_count(); }
} // namespace

const Gpu &gpu() {
  static const Gpu *g = new Gpu(resized(choose()));
  return *g;
}

const std::string &playing() {
  static auto *s = [] {
    const char *e = getenv("ACUSIM_CASE");
    auto *s = new std::string(e ? e : "");
    static const char *const known[] = {"", "NODEVICE", "OLD_DRIVER", "HIDDEN", "EXCLUSIVE", "PROHIBITED", "MIG", "NOT_PERMITTED", "OLD_ARCH"};
    if (std::none_of(std::begin(known), std::end(known), [&](const char *k) { return *s == k; }))
      complain("ACUSIM_CASE: \"%s\" is no case", s->c_str());
    return s;
  }();
  return *s;
}

int device_count() { return playing() == "HIDDEN" ? 0 : 1; }
} // namespace driver

using namespace driver;

API cuInit(unsigned flags) {
  Call call(__func__, NOTHING);
  if (call.error) return call.error;
  if (flags) return INVALID_VALUE;
  if (playing() == "NODEVICE") return NO_DEVICE;
  if (playing() == "NOT_PERMITTED") return NOT_PERMITTED;
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  if (visible && playing() != "HIDDEN" && (*visible < '0' || *visible > '9' || atoi(visible) > 0) && strncmp(visible, "GPU-", 4) &&
      strncmp(visible, "MIG-", 4))
    return NO_DEVICE;
  state().initialized = true;
  return SUCCESS;
}

API cuDriverGetVersion(int *version) {
  Call call(__func__, NOTHING);
  if (call.error) return call.error;
  if (!version) return INVALID_VALUE;
  *version = playing() == "OLD_DRIVER" ? 11040 : 12090;
  return SUCCESS;
}

API cuDeviceGetCount(int *n) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!n) return INVALID_VALUE;
  *n = device_count();
  return SUCCESS;
}

API cuDeviceGet(int *device, int ordinal) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!device) return INVALID_VALUE;
  if (!device_exists(ordinal)) return INVALID_DEVICE;
  *device = ordinal;
  return SUCCESS;
}

API cuDeviceGetName(char *name, int n, int device) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!name || n <= 0) return INVALID_VALUE;
  if (!device_exists(device)) return INVALID_DEVICE;
  snprintf(name, (size_t)n, "%s (acusim)", gpu().name);
  return SUCCESS;
}

API cuDeviceTotalMem_v2(size_t *bytes, int device) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!bytes) return INVALID_VALUE;
  if (!device_exists(device)) return INVALID_DEVICE;
  *bytes = gpu().memory;
  return SUCCESS;
}

API cuDeviceGetAttribute(int *value, int a, int device) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!value || a < 1) return INVALID_VALUE;
  if (!device_exists(device)) return INVALID_DEVICE;
  *value = attribute(a);
  return SUCCESS;
}

static int uuid(const char *name, char *bytes, int device) {
  Call call(name, INIT);
  if (call.error) return call.error;
  if (!bytes) return INVALID_VALUE;
  if (!device_exists(device)) return INVALID_DEVICE;
  for (int i = 0; i < 16; i++) bytes[i] = (char)(i * 17 + gpu().sms);
  return SUCCESS;
}
API cuDeviceGetUuid(char *bytes, int device) { return uuid(__func__, bytes, device); }
API cuDeviceGetUuid_v2(char *bytes, int device) { return uuid(__func__, bytes, device); }

API cuDeviceGetPCIBusId(char *id, int n, int device) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!id || n < 13) return INVALID_VALUE;
  if (!device_exists(device)) return INVALID_DEVICE;
  snprintf(id, (size_t)n, "0000:01:00.0");
  return SUCCESS;
}

API cuDeviceCanAccessPeer(int *can, int device, int peer) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!can) return INVALID_VALUE;
  if (!device_exists(device) || !device_exists(peer)) return INVALID_DEVICE;
  *can = 0;
  return SUCCESS;
}
