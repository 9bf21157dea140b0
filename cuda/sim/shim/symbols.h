// symbols.h: where the __shared__ variables of each kernel lie.
#pragma once
#include <string>
#include <vector>

#include "types.h"

namespace sim {
struct Symbol {
  char *address;
  size_t bytes;
};
// shared_symbols gives the __shared__ variables that the body of a kernel declares, from this library's symbol table.
// Those of functions that it calls are not among them.
HIDDEN const std::vector<Symbol> &shared_symbols(const char *kernel);
} // namespace sim
