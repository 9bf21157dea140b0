// What tramp.c offers beside the driver's own functions.
#pragma once

// acu_load loads libcuda.so.1 and calls cuInit, once. It gives 0 or a CUresult.
int acu_load(void);

// acu_load_reason is what dlopen said if the library could not be loaded, else empty.
const char *acu_load_reason(void);

// acu_symbol finds a function of the driver, also where cuInit failed; NULL if there is none.
void *acu_symbol(const char *name);
