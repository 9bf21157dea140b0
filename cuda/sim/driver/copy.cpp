// copy.cpp: copies and fills. The synchronous ones go through the legacy stream, as they do in the driver: they wait for
// blocking streams and not for the others.
#include <cstring>

#include "state.h"
#ifdef ACUSIM_CHECKED
#include "../shim/checked.h"
#endif

namespace driver {
namespace {
enum Kind { TO_DEVICE, TO_HOST, ON_DEVICE };

void copy_now(char *to, const char *from, size_t n, Kind kind) {
  memmove(to, from, n);
#ifdef ACUSIM_CHECKED
  if (kind == TO_DEVICE) sim::mark_written(to, n);
  if (kind == ON_DEVICE) sim::copy_marks(to, from, n);
#else
  (void)kind;
#endif
}

bool valid(const void *to, const void *from, size_t n, Kind kind) {
  bool ok = (kind == TO_HOST ? to != nullptr : inside((Address)to, n)) && (kind == TO_DEVICE ? from != nullptr : inside((Address)from, n));
  if (!ok) complain("bounds: a copy of %zu bytes from %p to %p is not within allocations", n, from, to);
  return ok;
}

// The queued copy finds its memory again: it may have been released in between.
int queue_copy(Stream *s, const char *name, void *to, const void *from, size_t n, Kind kind) {
  std::shared_ptr<std::vector<char>> staged;
  // Pageable memory is the caller's again at once; pinned memory is read when the copy runs.
  if (kind == TO_DEVICE && !s->capture && !pinned_host(from, n))
    staged = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + n);
  int e = enqueue(s, name, MEMCPY_NODE, [=]() -> int {
    if (!valid(to, from, n, kind)) return ILLEGAL_ADDRESS;
    copy_now((char *)to, staged ? staged->data() : (const char *)from, n, kind);
    return 0;
  });
  // A copy to pageable memory has happened when the call returns.
  if (!e && kind == TO_HOST && !s->capture && !pinned_host(to, n)) return drain(s);
  return e;
}

int copy(const char *name, void *to, const void *from, size_t n, Kind kind) {
  Call call(name, CONTEXT | UNSAFE);
  if (call.error) return call.error;
  Stream *s = find_stream(nullptr);
  if (!s) return STREAM_CAPTURE_IMPLICIT;
  if (!n) return SUCCESS;
  if (!valid(to, from, n, kind)) return INVALID_VALUE;
  if (int e = queue_copy(s, name, to, from, n, kind)) return e;
  int e = kind == ON_DEVICE ? 0 : drain(s);
  return e || kind != TO_HOST ? e : check_red_zones();
}

int copy_async(const char *name, void *to, const void *from, size_t n, Kind kind, void *stream) {
  Call call(name, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(stream);
  if (!s) return INVALID_HANDLE;
  if (!n) return SUCCESS;
  if (!valid(to, from, n, kind)) return INVALID_VALUE;
  return queue_copy(s, name, to, from, n, kind);
}

// kind_of tells which way a copy between unified addresses goes.
bool kind_of(const void *to, const void *from, size_t n, Kind *kind) {
  bool a = inside((Address)to, n), b = inside((Address)from, n);
  *kind = a && b ? ON_DEVICE : a ? TO_DEVICE : TO_HOST;
  return a || b;
}

template <class T> int fill(Stream *s, const char *name, Address a, T v, size_t n) {
  if (a % sizeof(T)) return INVALID_VALUE;
  if (!n) return SUCCESS;
  if (!inside(a, n * sizeof(T))) {
    complain("bounds: %s of %zu bytes at %p is not within an allocation", name, n * sizeof(T), (void *)a);
    return INVALID_VALUE;
  }
  return enqueue(s, name, MEMSET_NODE, [=]() -> int {
    if (!inside(a, n * sizeof(T))) return ILLEGAL_ADDRESS;
    for (size_t i = 0; i < n; i++) ((T *)a)[i] = v;
#ifdef ACUSIM_CHECKED
    sim::mark_written((void *)a, n * sizeof(T));
#endif
    return 0;
  });
}

template <class T> int fill_sync(const char *name, Address a, T v, size_t n) {
  Call call(name, CONTEXT | UNSAFE);
  if (call.error) return call.error;
  Stream *s = find_stream(nullptr);
  return s ? fill(s, name, a, v, n) : STREAM_CAPTURE_IMPLICIT;
}
template <class T> int fill_async(const char *name, Address a, T v, size_t n, void *stream) {
  Call call(name, CONTEXT);
  if (call.error) return call.error;
  Stream *s = find_stream(stream);
  return s ? fill(s, name, a, v, n) : INVALID_HANDLE;
}
} // namespace
} // namespace driver

using namespace driver;

API cuMemcpyHtoD_v2(Address to, const void *from, size_t n) { return copy(__func__, (void *)to, from, n, TO_DEVICE); }
API cuMemcpyDtoH_v2(void *to, Address from, size_t n) { return copy(__func__, to, (void *)from, n, TO_HOST); }
API cuMemcpyDtoD_v2(Address to, Address from, size_t n) { return copy(__func__, (void *)to, (void *)from, n, ON_DEVICE); }
API cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t n, void *s) { return copy_async(__func__, (void *)to, from, n, TO_DEVICE, s); }
API cuMemcpyDtoHAsync_v2(void *to, Address from, size_t n, void *s) { return copy_async(__func__, to, (void *)from, n, TO_HOST, s); }
API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t n, void *s) {
  return copy_async(__func__, (void *)to, (void *)from, n, ON_DEVICE, s);
}
API cuMemcpy(Address to, Address from, size_t n) {
  Kind k;
  return kind_of((void *)to, (void *)from, n, &k) ? copy(__func__, (void *)to, (void *)from, n, k) : INVALID_VALUE;
}
API cuMemcpyAsync(Address to, Address from, size_t n, void *s) {
  Kind k;
  return kind_of((void *)to, (void *)from, n, &k) ? copy_async(__func__, (void *)to, (void *)from, n, k, s) : INVALID_VALUE;
}

API cuMemsetD8_v2(Address a, unsigned char v, size_t n) { return fill_sync(__func__, a, v, n); }
API cuMemsetD16_v2(Address a, unsigned short v, size_t n) { return fill_sync(__func__, a, v, n); }
API cuMemsetD32_v2(Address a, unsigned v, size_t n) { return fill_sync(__func__, a, v, n); }
API cuMemsetD8Async(Address a, unsigned char v, size_t n, void *s) { return fill_async(__func__, a, v, n, s); }
API cuMemsetD16Async(Address a, unsigned short v, size_t n, void *s) { return fill_async(__func__, a, v, n, s); }
API cuMemsetD32Async(Address a, unsigned v, size_t n, void *s) { return fill_async(__func__, a, v, n, s); }
