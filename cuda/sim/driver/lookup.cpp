// lookup.cpp: cuGetProcAddress.
#include <dlfcn.h>

#include "state.h"

using namespace driver;

// The newest version that this library has of a function is the one that is given, up to _v3.
API cuGetProcAddress_v2(const char *name, void **p, int, uint64_t, int *status) {
  Call call(__func__, NOTHING);
  if (call.error) return call.error;
  if (!name || !p) return INVALID_VALUE;
  Dl_info info;
  *p = nullptr;
  if (dladdr((void *)&state, &info)) {
    void *self = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    for (const char *suffix : {"_v3", "_v2", ""})
      if (self && !*p) *p = dlsym(self, (std::string(name) + suffix).c_str());
    if (self) dlclose(self);
  }
  if (status) *status = *p ? 0 : 1;
  return *p ? SUCCESS : NOT_FOUND;
}
