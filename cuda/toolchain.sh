#!/usr/bin/env bash
# usage: cuda/toolchain.sh [12|13] [--include]
# Prints the folder of a CUDA compiler, or with --include its folder of headers. A toolkit that is installed serves, if
# CUDA_HOME names it or its nvcc is on PATH and it is 12.0 or later; else NVIDIA's own packages are fetched from the
# Python package index, once, into a cache folder: with 12 (the default) headers, NVRTC and ptxas of CUDA 12.9, whose
# machine code runs on drivers from 525 on; with 13 a whole nvcc of CUDA 13.0, the second compiler that CI checks with.
#   ACUMEN_CUDA_CACHE   where the cache folder stands (default ${XDG_CACHE_HOME:-$HOME/.cache}/acumen)
#   ACUMEN_CUDA_FETCH=1 passes over a toolkit that is installed
#   PYTHON              the Python to fetch with (default python3)
set -euo pipefail

say() { echo "cuda/toolchain.sh: $*" >&2; }
die() { say "$@"; exit 2; }

major=12 want=root
for arg in "$@"; do
  case $arg in
  12 | 13) major=$arg ;;
  --include) want=include ;;
  -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;;
  *) die "unknown argument '$arg': it takes 12 or 13, and --include" ;;
  esac
done
python=${PYTHON:-python3}

# headers prints where a toolkit has cuda.h: include/, or below targets/ in conda's packages.
headers() {
  local d
  for d in "$1/include" "$1"/targets/*/include; do
    if [[ -f $d/cuda.h && -f $d/cuda_fp16.h ]]; then echo "$d"; return; fi
  done
  return 1
}

# finish prints what was asked for of the toolkit in folder $1.
finish() {
  if [[ $want == include ]]; then headers "$1"; else echo "$1"; fi
  exit 0
}

# try ends the script with the installed toolkit in folder $1 if it can serve; $2 says where the folder was named.
try() {
  local home=$1 from=$2 version number
  [[ -x $home/bin/nvcc ]] || { say "$from: no nvcc in $home/bin, so it is not used"; return; }
  version=$("$home/bin/nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\.[0-9]*\).*/\1/p') || true
  number=${version%%.*}
  [[ -n $number ]] || { say "$from: $home/bin/nvcc tells no version, so it is not used"; return; }
  if ((major == 13 && number != 13)); then return; fi
  if ((number < 12)); then say "$from: CUDA $version is too old (12.0 or later is needed), so it is not used"; return; fi
  headers "$home" >/dev/null || { say "$from: no cuda.h and cuda_fp16.h in $home, so it is not used"; return; }
  if ((major == 12 && number > 12)); then
    say "$from: CUDA $version: what it compiles needs a driver of 580 or later (ACUMEN_CUDA_FETCH=1 takes 12.9, for 525)"
  fi
  finish "$home"
}

if [[ ${ACUMEN_CUDA_FETCH:-} != 1 ]]; then
  if [[ -n ${CUDA_HOME:-} ]]; then try "${CUDA_HOME%/}" "CUDA_HOME=$CUDA_HOME"; fi
  if nvcc=$(command -v nvcc); then
    # Where nvcc on PATH is a link into the toolkit, the headers stand beside what it points at.
    real=$(readlink -f "$nvcc")
    try "$(dirname "$(dirname "$real")")" "$real"
    if [[ $real != "$nvcc" ]]; then try "$(dirname "$(dirname "$nvcc")")" "$nvcc"; fi
  fi
fi

# The packages, each with the hashes of its files for x86_64 and aarch64. cuobjdump and nvdisasm, which read any cubin,
# are published for 13.x alone.
case $major in
12) name=cuda-12.9 size="140 MB" needs="include/cuda.h include/cuda_fp16.h lib/libnvrtc.so.12 bin/ptxas bin/cuobjdump"
  pins='nvidia-cuda-nvrtc-cu12==12.9.86 --hash=sha256:210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4 --hash=sha256:096d4de6bda726415dfaf3198d4f5c522b8e70139c97feef5cd2ca6d4cd9cead
nvidia-cuda-runtime-cu12==12.9.79 --hash=sha256:25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3 --hash=sha256:83469a846206f2a733db0c42e223589ab62fd2fabac4432d2f8802de4bded0a4
nvidia-cuda-nvcc-cu12==12.9.86 --hash=sha256:5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0 --hash=sha256:44e1eca4d08926193a558d2434b1bf83d57b4d5743e0c431c0c83d51da1df62b
nvidia-cuda-cuobjdump==13.5.37 --hash=sha256:38780fee50863252a0b8926357faa91615ca1c8346490563f33a06100cd73f58 --hash=sha256:f48e3148535365161a268547b285fd01d92c80e4b457275375933825b5fc26b2
nvidia-cuda-nvdisasm==13.5.37 --hash=sha256:d3fdbdd49fa53e2e4aacd3db8259d052bd2b049ececdcb69e92e083c6728e7ca --hash=sha256:a3a8248074edb9fba63b74c38a5416b712a91ab09e70b8ab37186c3d293fc605' ;;
13) name=cuda-13.0 size="105 MB" needs="include/cuda.h include/cuda_fp16.h bin/nvcc nvvm/bin/cicc bin/ptxas"
  pins='nvidia-cuda-nvcc==13.0.88 --hash=sha256:56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03 --hash=sha256:c7ff28f86a24effdc6c034fa15230c549a273e4771b10a7fec14996f8cf3307f
nvidia-nvvm==13.0.88 --hash=sha256:c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0 --hash=sha256:c4376a291d72d22a315d9d2f69bdae8f8cd83a627f75bad395cee49a0fe65dc1
nvidia-cuda-crt==13.0.88 --hash=sha256:2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4 --hash=sha256:ee2ea2a97073e02ee62bb27841f437332be2c248e3eac013df07997ada39c003
nvidia-cuda-runtime==13.0.96 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548 --hash=sha256:ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55
nvidia-cuda-cccl==13.0.85 --hash=sha256:e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649 --hash=sha256:6f0203e29fed809ee2b7fe9b1344df66ecab990c37d6a2e0e189b26d6c97ed7c' ;;
esac

if [[ -z ${ACUMEN_CUDA_CACHE:-} && -z ${XDG_CACHE_HOME:-} && -z ${HOME:-} ]]; then
  die "there is no HOME to keep NVIDIA's compiler in: set ACUMEN_CUDA_CACHE to a folder"
fi
cache=${ACUMEN_CUDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/acumen}
[[ $cache == /* ]] || cache=$PWD/$cache
folder=$cache/$name

# whole says whether the folder is there and was made from these pins: it gets its name only when it is complete.
whole() { [[ -f $folder/pins && $(<"$folder/pins") == "$pins" ]]; }
if whole; then finish "$folder"; fi

instead="or set CUDA_HOME to an installed CUDA toolkit, 12.0 or later"
if ((major == 13)); then instead="or set CUDA_HOME to an installed CUDA 13 toolkit"; fi
case $(uname -s)-$(uname -m) in
Linux-x86_64 | Linux-aarch64) ;;
*) die "NVIDIA's packages are for Linux on x86_64 and aarch64, and this is $(uname -s) on $(uname -m): build there, $instead" ;;
esac
command -v "$python" >/dev/null || die "$python, which fetches NVIDIA's compiler, was not found: install Python 3 with pip (Debian: apt-get install python3-pip), $instead"
"$python" -m pip --version >/dev/null 2>&1 || die "$python has no pip, which fetches NVIDIA's compiler: install it (Debian: apt-get install python3-pip), $instead"
mkdir -p "$cache" || die "the cache folder $cache can't be made: set ACUMEN_CUDA_CACHE to a folder that can be written to"

# Of two runs at once the second waits for the first and finds its folder. Without flock both fetch, and one is kept.
if command -v flock >/dev/null && { exec 9>"$cache/.$name.lock"; } 2>/dev/null; then
  flock 9
  if whole; then finish "$folder"; fi
  rm -rf "$cache/.$name."?????? # of runs that were killed
fi
temp=$(mktemp -d "$cache/.$name.XXXXXX") || die "nothing can be written into $cache: set ACUMEN_CUDA_CACHE to another folder"
trap 'rm -rf "$temp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "fetching NVIDIA's compiler ($size) into $folder"
echo "$pins" >"$temp/requirements"
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: --require-hashes \
  --dest "$temp/wheels" --requirement "$temp/requirements" >"$temp/log" 2>&1; then
  sed 's/^/  /' "$temp/log" >&2
  case $(<"$temp/log") in
  *"DO NOT MATCH THE HASHES"*) die "what the package index gave is not what NVIDIA published: nothing was installed. Use another index, $instead" ;;
  *"No space left"*) die "the disk is full: make room in $cache, or set ACUMEN_CUDA_CACHE to another folder" ;;
  esac
  die "NVIDIA's packages could not be fetched: see that this machine reaches a Python package index (pip's settings hold: PIP_INDEX_URL, PIP_PROXY, PIP_FIND_LINKS), $instead"
fi

"$python" - "$temp/wheels" "$temp/tree" <<'PYTHON' || die "NVIDIA's packages could not be unpacked into $cache: see that there is room (500 MB), or set ACUMEN_CUDA_CACHE to another folder"
# Unpacks the wheels as one toolkit: include, bin, lib, nvvm. What no compile of ours reads is left out.
import os, pathlib, re, shutil, sys, zipfile
wheels, tree = map(pathlib.Path, sys.argv[1:])
leave = re.compile(r"\.alt\.so|libcudart|libcudadevrt|libnvvm\.so|/cmake/|nvlink$|/(cub|thrust)/|__init__\.py$|\.metadata/")
for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as z:
        for info in z.infolist():
            parts = pathlib.PurePosixPath(info.filename).parts
            if info.is_dir() or leave.search(info.filename):
                continue
            if re.search(r"licen[cs]e", parts[-1], re.I):
                to = tree / "licenses" / (wheel.name.split("-")[0] + ".txt")
            elif parts[0] == "nvidia" and len(parts) > 3 and ".." not in parts:
                to = tree.joinpath(*parts[2:])
            else:
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            with z.open(info) as src, open(to, "wb") as dst:
                shutil.copyfileobj(src, dst)
            if "bin" in parts:
                os.chmod(to, 0o755)
PYTHON
for f in $needs; do
  [[ -f $temp/tree/$f ]] || die "NVIDIA's packages lack $f, which they had when their versions were pinned in this script"
done
echo "$pins" >"$temp/tree/pins"

# A folder of other pins makes way. If mv finds a folder there, another run was quicker, and it is as good.
if [[ -e $folder ]] && ! whole; then mv -T "$folder" "$temp/old" 2>/dev/null || true; fi
mv -T "$temp/tree" "$folder" 2>/dev/null || whole || die "$folder can't be put in its place: remove it, or set ACUMEN_CUDA_CACHE to another folder"
finish "$folder"
