// shared.cpp keeps the section of shared variables from being empty, which the linker would not mark.
#include "types.h"
__shared__ __attribute__((used)) char acusim_shared_first[128];
