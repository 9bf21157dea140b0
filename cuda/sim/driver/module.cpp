// module.cpp: modules and functions. The kernels are in this library; an image only says which of them a module has. It is
// a cubin, whose architecture must fit the GPU and whose symbol table names the functions; or PTX; or the text
// "acusim" (all kernels) or "acusim NAME" (those of NAME.cu).
#include <algorithm>
#include <cstring>
#include <elf.h>

#include "state.h"

namespace driver {
namespace {

// A cubin's flags hold its architecture in the low byte, or in the second one from CUDA 13 on.
int architecture(const Elf64_Ehdr *h) { return (int)(h->e_ident[EI_ABIVERSION] >= 8 ? h->e_flags >> 8 : h->e_flags) & 0xff; }

int read_cubin(const char *image, std::set<std::string> *names) {
  const Elf64_Ehdr *h = (const Elf64_Ehdr *)image;
  if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_machine != EM_CUDA) return INVALID_IMAGE;
  int arch = architecture(h), major = arch / 10, minor = arch % 10;
  if (major != gpu().major || minor > gpu().minor) {
    complain("module: an image for sm_%d on a GPU of sm_%d%d", arch, gpu().major, gpu().minor);
    return NO_BINARY_FOR_GPU;
  }
  const Elf64_Shdr *sec = (const Elf64_Shdr *)(image + h->e_shoff);
  for (int i = 0; i < h->e_shnum; i++) {
    if (sec[i].sh_type != SHT_SYMTAB) continue;
    const char *strings = image + sec[sec[i].sh_link].sh_offset;
    const Elf64_Sym *y = (const Elf64_Sym *)(image + sec[i].sh_offset);
    for (size_t n = sec[i].sh_size / sizeof *y; n--; y++)
      if (ELF64_ST_TYPE(y->st_info) == STT_FUNC) names->insert(strings + y->st_name);
  }
  return names->empty() ? INVALID_IMAGE : SUCCESS;
}

int load(Module **m, const void *image) {
  const char *s = (const char *)image;
  if (!m || !s) return INVALID_VALUE;
  std::unique_ptr<Module> n(new Module);
  n->context = current_context();
  if (!memcmp(s, ELFMAG, SELFMAG)) {
    if (int e = read_cubin(s, &n->functions)) return e;
  } else if (!strncmp(s, "acusim", 6) && (s[6] == 0 || s[6] == ' ')) {
    if (s[6]) n->file = s + 7;
  } else if (strncmp(s, "//", 2) && strncmp(s, ".version", 8)) {
    complain("module: the image is no cubin, no PTX and not \"acusim NAME\"");
    return INVALID_IMAGE;
  }
  *m = n.release();
  state().modules.insert(*m);
  return SUCCESS;
}

bool from_file(const sim::Kernel *k, const std::string &file) {
  if (file.empty()) return true;
  std::string path = k->file, base = path.substr(path.rfind('/') + 1);
  return base == file || base == file + ".cu";
}
} // namespace
} // namespace driver

using namespace driver;

API cuModuleLoadData(Module **m, const void *image) {
  Call call(__func__, CONTEXT | UNSAFE);
  return call.error ? call.error : load(m, image);
}
API cuModuleLoadDataEx(Module **m, const void *image, unsigned, int *, void **) {
  Call call(__func__, CONTEXT | UNSAFE);
  return call.error ? call.error : load(m, image);
}

API cuModuleUnload(Module *m) {
  Call call(__func__, CONTEXT | UNSAFE);
  if (call.error) return call.error;
  if (!state().modules.count(m)) return INVALID_HANDLE;
  int e = drain_all(current_context());
  for (auto &f : m->made) state().functions.erase(f.second.get());
  state().modules.erase(m);
  delete m;
  return e;
}

API cuModuleGetFunction(Function **f, Module *m, const char *name) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!f || !name) return INVALID_VALUE;
  if (!state().modules.count(m)) return INVALID_HANDLE;
  auto it = m->made.find(name);
  if (it == m->made.end()) {
    if (int e = unsafe(__func__)) return e; // kernels are loaded lazily: the first time may synchronise
    const sim::Kernel *k = sim::kernels;
    while (k && !(from_file(k, m->file) && !strcmp(k->name, name))) k = k->next;
    if (!k || (!m->functions.empty() && !m->functions.count(name))) return NOT_FOUND;
    std::unique_ptr<Function> made(new Function{m, k, 49152 - (int)sim::static_shared(k)});
    state().functions.insert(made.get());
    it = m->made.emplace(name, std::move(made)).first;
  }
  *f = it->second.get();
  return SUCCESS;
}

// Registers are not known here: 0 says so.
API cuFuncGetAttribute(int *value, int a, Function *f) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!value) return INVALID_VALUE;
  if (!state().functions.count(f)) return INVALID_HANDLE;
  switch (a) {
  case 0: *value = std::min(1024, (int)f->kernel->threads); break;
  case 1: *value = (int)sim::static_shared(f->kernel); break;
  case 5: case 6: *value = gpu().major * 10 + gpu().minor; break;
  case 8: *value = f->dynamic_limit; break;
  case 9: *value = -1; break;
  default: *value = 0;
  }
  return a < 0 || a > 15 ? INVALID_VALUE : SUCCESS;
}

API cuFuncSetAttribute(Function *f, int a, int value) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  if (!state().functions.count(f)) return INVALID_HANDLE;
  if (a == 9) return value >= -1 && value <= 100 ? SUCCESS : INVALID_VALUE;
  if (a != 8) return INVALID_VALUE;
  int most = gpu().shared_block - (int)sim::static_shared(f->kernel);
  if (value < 0 || value > most) {
    complain("kernel %s: %d bytes of dynamic shared memory asked for, %d are possible", f->kernel->name, value, most);
    return INVALID_VALUE;
  }
  f->dynamic_limit = value;
  return SUCCESS;
}

API cuFuncSetCacheConfig(Function *f, int) {
  Call call(__func__, CONTEXT);
  if (call.error) return call.error;
  return state().functions.count(f) ? SUCCESS : INVALID_HANDLE;
}

// Threads, blocks and shared memory limit the occupancy here; registers, which are not known, do not.
static int occupancy(const char *name, int *blocks, Function *f, int threads, size_t dynamic) {
  Call call(name, CONTEXT);
  if (call.error) return call.error;
  if (!blocks || threads < 1) return INVALID_VALUE;
  if (!state().functions.count(f)) return INVALID_HANDLE;
  const Gpu &g = gpu();
  size_t shared = sim::static_shared(f->kernel) + dynamic;
  if (threads > (int)f->kernel->threads || shared > (size_t)g.shared_block) {
    *blocks = 0;
    return SUCCESS;
  }
  shared += g.major >= 8 ? 1024 : 0;
  int n = std::min(g.blocks_sm, g.threads_sm / ((threads + 31) / 32 * 32));
  if (shared) n = std::min(n, (int)((size_t)g.shared_sm / shared));
  *blocks = n;
  return SUCCESS;
}
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, Function *f, int threads, size_t dynamic) {
  return occupancy(__func__, n, f, threads, dynamic);
}
API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, Function *f, int threads, size_t dynamic, unsigned) {
  return occupancy(__func__, n, f, threads, dynamic);
}
