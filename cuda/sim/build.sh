#!/usr/bin/env bash
# build.sh [fast|checked] OUTDIR [KERNEL.cu...] makes OUTDIR/libcuda.so.1, libcublas.so.12 and libcublasLt.so.12, the stand-in
# for NVIDIA's driver and cuBLAS, with the kernels given (default: all of ../kernels) compiled into it. What has not changed
# is not compiled again. It needs g++ 12 or later and make.
set -euo pipefail
sim=$(cd "$(dirname "$0")" && pwd)
mode=fast
case "${1:-}" in fast | checked) mode=$1; shift ;; esac
if [ $# -lt 1 ]; then
  echo "usage: $0 [fast|checked] OUTDIR [KERNEL.cu...]" >&2
  exit 2
fi
out=$1; shift
for tool in "${CXX:-g++}" make; do
  command -v "$tool" >/dev/null || { echo "$0: $tool is needed to build the stand-in driver: install g++ and make" >&2; exit 2; }
done
[ $# -gt 0 ] || set -- "$sim"/../kernels/*.cu
mkdir -p "$out/$mode.o"
out=$(cd "$out" && pwd)
obj=$out/$mode.o

march=
if grep -qsw avx2 /proc/cpuinfo && grep -qsw fma /proc/cpuinfo && grep -qsw f16c /proc/cpuinfo; then march=-march=x86-64-v3; fi
common="-std=c++17 -g1 -fPIC -fvisibility=hidden -fno-strict-aliasing -ffp-contract=off -fno-math-errno -fno-exceptions -DACUMEN_SIM $march"
case $mode in
fast) runtime="-O3"; kernels="-O3 -fdata-sections" ;;
checked)
  runtime="-O3 -DACUSIM_CHECKED"
  # Accesses stay those of the source: no vectors or memset made of loops.
  kernels="-O2 -DACUSIM_CHECKED -fno-tree-vectorize -fno-tree-slp-vectorize -fno-tree-loop-distribute-patterns -fno-store-merging"
  kernels="$kernels -fdata-sections -fsanitize=thread --param tsan-instrument-func-entry-exit=0 -fsanitize=alignment,bounds"
  ;;
esac

{
  printf 'CXX ?= g++\nall: %s/libcuda.so.1 %s/libcublas.so.12 %s/libcublasLt.so.12\n' "$out" "$out" "$out"
  objects=
  for f in "$sim"/shim/*.cpp "$sim"/driver/*.cpp; do
    case $f in */checked*.cpp) [ $mode = checked ] || continue ;; esac
    o=$obj/$(basename "$(dirname "$f")")_$(basename "$f" .cpp).o
    printf '%s: %s %s/flags\n\t$(CXX) %s %s -Wall -Wextra -Wno-missing-field-initializers -MMD -MP -c %s -o $@\n' "$o" "$f" "$obj" "$common" "$runtime" "$f"
    objects="$objects $o"
  done
  for f in "$@"; do
    f=$(cd "$(dirname "$f")" && pwd)/$(basename "$f")
    n=$(basename "$f" .cu)_$(printf %s "$f" | cksum | cut -d' ' -f1)
    printf '#include "%s/sim.h"\nnamespace {\n#include "%s"\n}\n' "$sim" "$f" >"$obj/$n.new"
    cmp -s "$obj/$n.new" "$obj/$n.cpp" || cp "$obj/$n.new" "$obj/$n.cpp"
    rm "$obj/$n.new"
    printf '%s/%s.o: %s/%s.cpp %s %s/flags\n\t$(CXX) %s %s -MMD -MP -c %s/%s.cpp -o $@\n' \
      "$obj" "$n" "$obj" "$n" "$f" "$obj" "$common" "$kernels" "$obj" "$n"
    objects="$objects $obj/$n.o"
  done
  printf '%s/libcuda.so.1: %s %s/list %s/shared.ld\n\t$(CXX) -shared -Wl,-soname,libcuda.so.1 -Wl,-z,defs -Wl,-z,nodelete -T %s/shared.ld %s -o $@.new -ldl -lpthread\n\tmv $@.new $@\n' \
    "$out" "$objects" "$obj" "$sim" "$sim" "$objects"
  for f in "$sim"/blas/*.cpp; do
    o=$obj/blas_$(basename "$f" .cpp).o
    printf '%s: %s %s/flags\n\t$(CXX) %s -O3 -Wall -Wextra -Wno-missing-field-initializers -MMD -MP -c %s -o $@\n' "$o" "$f" "$obj" "$common" "$f"
  done
  for lib in cublas cublasLt; do
    own="$obj/blas_${lib,,}.o $obj/blas_work.o $obj/blas_gemm.o"
    printf '%s/lib%s.so.12: %s %s/libcuda.so.1\n\t$(CXX) -shared -Wl,-soname,lib%s.so.12 -Wl,-z,defs -Wl,-rpath,$$ORIGIN %s %s/libcuda.so.1 -o $@.new -lpthread\n\tmv $@.new $@\n' \
      "$out" "$lib" "$own" "$out" "$lib" "$own" "$out"
  done
  printf -- '-include %s/*.d\n' "$obj"
} >"$obj/Makefile.new"

keep() { # keep NAME: take standard input as $obj/NAME, if it differs
  cat >"$obj/$1.new"
  if cmp -s "$obj/$1.new" "$obj/$1"; then rm "$obj/$1.new"; else mv "$obj/$1.new" "$obj/$1"; fi
}
{ "${CXX:-g++}" --version | head -1; echo "$common $runtime $kernels"; } | keep flags
printf '%s\n' "$mode" "$@" | keep list
mv "$obj/Makefile.new" "$obj/Makefile"
exec make --no-print-directory -s -j2 -f "$obj/Makefile"
