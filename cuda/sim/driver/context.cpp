// context.cpp: contexts, and which one a thread has.
#include <algorithm>
#include <cstring>

#include "state.h"

namespace driver {
std::vector<Context *> &context_stack() {
  static thread_local std::vector<Context *> stack;
  return stack;
}

// current_context is null if none is set, or if the one that is set was destroyed.
Context *current_context() {
  auto &stack = context_stack();
  if (stack.empty() || !state().contexts.count(stack.back())) return nullptr;
  return stack.back();
}

int sticky() { return current_context() ? current_context()->error : 0; }

namespace {
int unavailable() { return playing() == "EXCLUSIVE" || playing() == "PROHIBITED" ? DEVICE_UNAVAILABLE : 0; }

Context *make(int device, bool primary) {
  auto *c = new Context;
  c->device = device;
  c->primary = primary;
  c->legacy.reset(new Stream{c, true, 0});
  state().contexts.insert(c);
  return c;
}

// leaked is the code of releasing a context in which something lives, where ACUSIM_LEAKS=error makes that a fault: a driver
// frees it without a word. After a fault of a kernel a process cannot free anything.
int leaked() {
  const char *e = getenv("ACUSIM_LEAKS");
  long n;
  if (!e || strcmp(e, "error") || state().primary->error) return SUCCESS;
  std::string text = live(&n);
  if (!n) return SUCCESS;
  complain("leak: the context is released with %s", text.c_str());
  return ILLEGAL_STATE;
}

void destroy(Context *c) {
  if (!c->error) drain_all(c);
  State &s = state();
  for (auto it = s.captures.begin(); it != s.captures.end();)
    if ((*it)->origin->context == c) it = s.captures.erase(it);
    else ++it;
  for (Stream *x : c->streams) {
    s.streams.erase(x);
    delete x;
  }
  for (auto it = s.events.begin(); it != s.events.end();)
    if ((*it)->context == c) delete *it, it = s.events.erase(it);
    else ++it;
  for (auto it = s.modules.begin(); it != s.modules.end();)
    if ((*it)->context == c) {
      for (auto &f : (*it)->made) s.functions.erase(f.second.get());
      delete *it, it = s.modules.erase(it);
    } else ++it;
  free_all(c);
  s.contexts.erase(c);
  delete c;
}
} // namespace
} // namespace driver

using namespace driver;

API cuDevicePrimaryCtxRetain(Context **c, int device) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!c) return INVALID_VALUE;
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  if (int e = unavailable()) return e;
  State &s = state();
  if (!s.primary) s.primary = make(device, true);
  if (s.primary->error) return s.primary->error;
  s.retained++;
  *c = s.primary;
  return SUCCESS;
}

API cuDevicePrimaryCtxRelease_v2(int device) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  State &s = state();
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  if (!s.retained) return INVALID_CONTEXT;
  if (--s.retained) return SUCCESS;
  int e = leaked();
  destroy(s.primary);
  s.primary = nullptr;
  return e;
}
API cuDevicePrimaryCtxRelease(int device) { return cuDevicePrimaryCtxRelease_v2(device); }

API cuDevicePrimaryCtxReset_v2(int device) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  State &s = state();
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  if (s.primary) destroy(s.primary);
  s.primary = nullptr;
  s.retained = 0;
  return SUCCESS;
}

API cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!flags || !active) return INVALID_VALUE;
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  *active = state().primary != nullptr;
  *flags = state().primary ? state().primary->flags : 0;
  return SUCCESS;
}

API cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  if (state().primary) state().primary->flags = flags;
  return SUCCESS;
}

API cuCtxCreate_v2(Context **c, unsigned flags, int device) {
  Call call(__func__, INIT | UNSAFE);
  if (call.error) return call.error;
  if (!c) return INVALID_VALUE;
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  if (int e = unavailable()) return e;
  *c = make(device, false);
  (*c)->flags = flags;
  context_stack().push_back(*c);
  return SUCCESS;
}

API cuCtxDestroy_v2(Context *c) {
  Call call(__func__, INIT | UNSAFE);
  if (call.error) return call.error;
  if (!state().contexts.count(c)) return INVALID_CONTEXT;
  if (c->primary) return INVALID_CONTEXT;
  auto &stack = context_stack();
  if (!stack.empty() && stack.back() == c) stack.pop_back();
  destroy(c);
  return SUCCESS;
}

API cuCtxSetCurrent(Context *c) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (c && !state().contexts.count(c)) return INVALID_CONTEXT;
  auto &stack = context_stack();
  if (!stack.empty()) stack.pop_back();
  if (c) stack.push_back(c);
  return SUCCESS;
}

API cuCtxGetCurrent(Context **c) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!c) return INVALID_VALUE;
  *c = current_context();
  return SUCCESS;
}

API cuCtxPushCurrent_v2(Context *c) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!state().contexts.count(c)) return INVALID_CONTEXT;
  context_stack().push_back(c);
  return SUCCESS;
}

API cuCtxPopCurrent_v2(Context **c) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  auto &stack = context_stack();
  if (stack.empty()) return INVALID_CONTEXT;
  if (c) *c = stack.back();
  stack.pop_back();
  return SUCCESS;
}

API cuCtxGetDevice(int *device) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!device) return INVALID_VALUE;
  if (!current_context()) return INVALID_CONTEXT;
  *device = current_context()->device;
  return SUCCESS;
}

API cuCtxGetFlags(unsigned *flags) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!flags) return INVALID_VALUE;
  if (!current_context()) return INVALID_CONTEXT;
  *flags = current_context()->flags;
  return SUCCESS;
}

API cuCtxGetApiVersion(Context *c, unsigned *version) {
  Call call(__func__, INIT);
  if (call.error) return call.error;
  if (!version) return INVALID_VALUE;
  if (!(c ? state().contexts.count(c) : current_context() != nullptr)) return INVALID_CONTEXT;
  *version = 3020;
  return SUCCESS;
}

API cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (least) *least = 0;
  if (greatest) *greatest = -5;
  return SUCCESS;
}

API cuCtxSynchronize() {
  Call call(__func__, CONTEXT | UNSAFE);
  if (call.error) return call.error;
  return drain_all(current_context());
}
