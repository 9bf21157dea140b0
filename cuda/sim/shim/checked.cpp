// checked.cpp: where instrumented accesses arrive, and how findings are told.
#include "checked.h"

#include <cstdarg>
#include <cstdio>
#include <dlfcn.h>
#include <link.h>
#include <string>

#include "quiet.h"

namespace sim {
bool checking;

namespace {
struct Image {
  const char *begin, *end, *base, *path;
};

// image is where this library lies: its constants and the __device__ variables of kernels.
Image image;

void find_image() {
  image = [] {
    Image m = {};
    Dl_info d;
    if (!dladdr((void *)&checking, &d)) return m;
    m.base = (const char *)d.dli_fbase;
    m.path = d.dli_fname;
    dl_iterate_phdr(
        [](dl_phdr_info *info, size_t, void *data) {
          Image &m = *(Image *)data;
          bool mine = false;
          const char *end = m.base;
          for (int i = 0; i < info->dlpi_phnum; i++) {
            const auto &h = info->dlpi_phdr[i];
            if (h.p_type != PT_LOAD) continue;
            const char *a = (const char *)info->dlpi_addr + h.p_vaddr;
            mine |= (const char *)&checking >= a && (const char *)&checking < a + h.p_memsz;
            end = a + h.p_memsz > end ? a + h.p_memsz : end;
          }
          if (mine) m.begin = m.base, m.end = end;
          return (int)mine;
        },
        &m);
    return m;
  }();
}

// place gives the source line of an instruction, as far as addr2line knows it: the innermost line and the kernel's.
std::string place(void *pc) {
  if (!pc) return "";
  const Image &m = image;
  char s[600];
  snprintf(s, sizeof s, "addr2line -s -i -e '%s' %#zx 2>/dev/null", m.path, (size_t)((const char *)pc - 1 - m.base));
  std::string first, last;
  if (FILE *f = popen(s, "r")) {
    while (fgets(s, sizeof s, f)) {
      std::string line = s;
      line = line.substr(0, line.find_first_of(" \n"));
      if (line.empty() || line[0] == '?') continue;
      if (first.empty()) first = line;
      last = line;
    }
    pclose(f);
  }
  if (first.empty()) return "";
  return " at " + first + (last != first && last.find("simt.h") == std::string::npos ? " from " + last : "");
}

// own tells whether a thread's accesses there are its own affair: stacks, and the kernel's parameters.
inline bool own(const void *p, size_t n) {
  size_t stack = (size_t)((const char *)p - arena.begin), parameter = (size_t)((const char *)p - (const char *)block.params);
  return stack < (size_t)(arena.end - arena.begin) || (parameter < block.kernel->bytes && n <= block.kernel->bytes - parameter);
}

bool harmless(const char *p, unsigned n) { return own(p, n) || (p >= image.begin && p < image.end) || host_visible(p, n); }

void access(const Access &a) {
  if (in_device_space(a.p)) return device_access(a);
  if (in_shared(a.p)) return shared_access(a);
  if (!harmless(a.p, a.bytes))
    report(a, ILLEGAL_ADDRESS, "address", "%s of %u bytes at %p, which is not device memory", a.verb(), a.bytes, (const void *)a.p);
}
} // namespace

Checking::Checking() {
  if (!image.base) find_image();
  device_launch();
  shared_launch();
  checking = true;
}

bool in_shared(const char *p) { // the page behind dynamic shared memory counts: an access there is one beyond its end
  return (p >= shared_memory && p < shared_memory + MAX_SHARED + 4096) || (p >= __start_acusim_shared && p < __stop_acusim_shared);
}

void report(const Access &a, int code, const char *kind, const char *format, ...) {
  checking = false;
  char s[600];
  va_list v;
  va_start(v, format);
  vsnprintf(s, sizeof s, format, v);
  va_end(v);
  unsigned t = a.thread;
  threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
  fail(code, kind, "%s%s", s, place(a.pc).c_str());
}

void check_read_by(unsigned thread, const void *p, unsigned bytes) {
  if (checking) access({(const char *)p, bytes, false, false, thread, nullptr});
}
void note_atomic(void *p, unsigned bytes) {
  if (!checking) return;
  if ((uintptr_t)p % bytes)
    report({(char *)p, bytes, true, true, current->t, __builtin_return_address(0)}, MISALIGNED_ADDRESS, "alignment",
           "atomic access to %u bytes at %p", bytes, p);
  access({(char *)p, bytes, true, true, current->t, __builtin_return_address(0)});
}

extern "C" {
HIDDEN void acusim_seen(void *p, unsigned bytes, bool write, bool aligned, void *pc) {
  Access a = {(char *)p, bytes, write, false, current->t, pc};
  if (aligned && (uintptr_t)p & (bytes - 1))
    report(a, MISALIGNED_ADDRESS, "alignment", "%s of %u bytes at %p, which is not a multiple of %u", a.verb(), bytes, p, bytes);
  access(a);
}

#define SEEN(name, bytes, write, aligned)                                                              \
  HIDDEN void __tsan_##name##bytes(void *p) {                                                          \
    if (checking && !own(p, bytes) && (write || !quiet<bytes>(p))) acusim_seen(p, bytes, write, aligned, __builtin_return_address(0)); \
  }
#define SEEN_ALL(bytes)                     \
  SEEN(read, bytes, false, true)            \
  SEEN(write, bytes, true, true)            \
  SEEN(unaligned_read, bytes, false, false) \
  SEEN(unaligned_write, bytes, true, false)
SEEN_ALL(1)
SEEN_ALL(2)
SEEN_ALL(4)
SEEN_ALL(8)
SEEN_ALL(16)

static void range(void *p, size_t n, bool write, void *pc) {
  char *q = (char *)p;
  if (own(p, n)) return;
  for (; n >= 4; q += 4, n -= 4) acusim_seen(q, 4, write, false, pc);
  for (; n; q++, n--) acusim_seen(q, 1, write, false, pc);
}
HIDDEN void __tsan_read_range(void *p, size_t n) {
  if (checking) range(p, n, false, __builtin_return_address(0));
}
HIDDEN void __tsan_write_range(void *p, size_t n) {
  if (checking) range(p, n, true, __builtin_return_address(0));
}
HIDDEN void __tsan_init() {}
HIDDEN void __tsan_func_entry(void *) {}
HIDDEN void __tsan_func_exit() {}
HIDDEN void __tsan_vptr_update(void **, void *) {}
HIDDEN void __tsan_vptr_read(void **) {}

// What -fsanitize=alignment,bounds calls. The layouts are those of g++'s own records.
struct Place {
  const char *file;
  unsigned line, column;
};
struct Type {
  unsigned short kind, info;
  char name[1];
};
struct Mismatch {
  Place place;
  const Type *type;
  unsigned char log_align, kind;
};
struct OutOfBounds {
  Place place;
  const Type *array, *index;
};
static const char *base(const char *path) {
  const char *s = strrchr(path, '/');
  return s ? s + 1 : path;
}
HIDDEN void __ubsan_handle_type_mismatch_v1(Mismatch *m, uintptr_t p) {
  if (checking)
    report({(char *)p, 0, false, false, current->t, nullptr}, MISALIGNED_ADDRESS, "alignment", "access to %s at %#zx, which is not a multiple of %u at %s:%u",
           m->type->name, (size_t)p, 1u << m->log_align, base(m->place.file), m->place.line);
}
HIDDEN void __ubsan_handle_out_of_bounds(OutOfBounds *m, uintptr_t i) {
  if (checking)
    report({nullptr, 0, false, false, current->t, nullptr}, ILLEGAL_ADDRESS, "bounds", "index %zd of an array of type %s at %s:%u", (ssize_t)i,
           m->array->name, base(m->place.file), m->place.line);
}
}
} // namespace sim
