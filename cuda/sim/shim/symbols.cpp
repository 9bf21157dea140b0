// symbols.cpp reads this library's symbol table: C++ has no other way to list variables of a section.
#include "symbols.h"

#include <cstdio>
#include <dlfcn.h>
#include <elf.h>
#include <map>

#include "internal.h"

namespace sim {
typedef std::map<std::string, std::vector<Symbol>> Table;

static std::string contents(const char *path) {
  std::string s;
  FILE *f = fopen(path, "rb");
  if (!f) return s;
  char b[65536];
  for (size_t n; (n = fread(b, 1, sizeof b, f)) > 0;) s.append(b, n);
  fclose(f);
  return s;
}

// owner gives the function in the mangled name of a variable local to it: _ZZN12_GLOBAL__N_1L4nameE... or _ZZL4name...
static std::string owner(const char *s) {
  if (strncmp(s, "_ZZ", 3)) return "";
  s += 3;
  if (*s == 'N') s++;
  for (;;) {
    while (*s == 'L') s++;
    if (*s < '0' || *s > '9') return "";
    char *e;
    size_t n = strtoul(s, &e, 10);
    if (strlen(e) < n) return "";
    std::string name(e, n);
    if (name != "_GLOBAL__N_1") return name;
    s = e + n;
  }
}

static Table read_table() {
  Table t;
  Dl_info info;
  if (!dladdr((void *)&kernels, &info)) return t;
  std::string file = contents(info.dli_fname);
  if (file.size() < sizeof(Elf64_Ehdr)) return t;
  const char *b = file.data();
  const Elf64_Ehdr *h = (const Elf64_Ehdr *)b;
  const Elf64_Shdr *sec = (const Elf64_Shdr *)(b + h->e_shoff);
  for (int i = 0; i < h->e_shnum; i++) {
    if (sec[i].sh_type != SHT_SYMTAB) continue;
    const char *names = b + sec[sec[i].sh_link].sh_offset;
    const Elf64_Sym *y = (const Elf64_Sym *)(b + sec[i].sh_offset);
    for (size_t n = sec[i].sh_size / sizeof *y; n--; y++) {
      char *a = (char *)info.dli_fbase + y->st_value;
      if (ELF64_ST_TYPE(y->st_info) != STT_OBJECT || a < __start_acusim_shared || a >= __stop_acusim_shared || !y->st_size) continue;
      std::string k = owner(names + y->st_name);
      if (!k.empty()) t[k].push_back({a, y->st_size});
    }
  }
  return t;
}

const std::vector<Symbol> &shared_symbols(const char *kernel) {
  static Table t = read_table();
  return t[kernel];
}
} // namespace sim
