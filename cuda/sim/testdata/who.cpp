// who.cpp prints what a program first learns about the driver, call by call, and stops at the first error.
#include "cu.h"

static void say(const char *what, int e) {
  const char *name = "";
  cuGetErrorName(e, &name);
  if (e) printf("%s: %s\n", what, name), exit(0);
}

int main() {
  int n, major, minor, version;
  char name[100];
  Handle c;
  say("cuInit", cuInit(0));
  say("cuDriverGetVersion", cuDriverGetVersion(&version));
  say("cuDeviceGetCount", cuDeviceGetCount(&n));
  printf("driver %d, devices %d\n", version, n);
  if (!n) return 0;
  cuDeviceGetName(name, sizeof name, 0);
  cuDeviceGetAttribute(&major, 75, 0);
  cuDeviceGetAttribute(&minor, 76, 0);
  printf("%s sm_%d%d\n", name, major, minor);
  say("cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain(&c, 0));
  say("cuCtxSetCurrent", cuCtxSetCurrent(c));
  Ptr p;
  say("cuMemAlloc", cuMemAlloc_v2(&p, 1000));
  say("cuMemAlloc", cuMemAlloc_v2(&p, 24));
  puts("ok");
}
