#!/usr/bin/env bash
# usage: cuda/container/on-debootstrap.sh [--pure-go] [--archs sm_90,...] [--no-cublas] [TEST...]
# Builds the stages of Dockerfile.cuda and tests the images, without a container engine or an image registry: Debian's
# debootstrap makes the base, the stages' own instructions run in it by chroot, and the result is started with a
# read-only root as process 1 of a process namespace. Needs root, debootstrap, Python 3.11 and a kernel with overlayfs.
#   --pure-go        `make build` in place of `make cuda`: quick, and without the tests of the CUDA back-end
#   --archs LIST     kernels for these GPUs only
#   --no-cublas      runtime-slim alone, which saves a download of 580 MB
#   TEST             names of tests, as for python3 -m unittest: ContainerTest.test_stop
#   ACUMEN_CONTAINER_WORK   where base and layers are kept for the next time (default /tmp/acumen-container)
#   DEBIAN_MIRROR    (default http://deb.debian.org/debian)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { echo "on-debootstrap.sh: $*" >&2; }
die() { say "$@"; exit 2; }

args=("$@") pure= archs= targets=(runtime-slim runtime) tests=()
while (($#)); do
  case $1 in
  --pure-go) pure=1 ;;
  --archs) archs=${2:?--archs needs a list}; shift ;;
  --no-cublas) targets=(runtime-slim) ;;
  -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;;
  -*) die "unknown argument $1; see --help" ;;
  *) tests+=("container_test.$1") ;;
  esac
  shift
done
((EUID == 0)) || die "chroot and mounts need root: run it with sudo"
for tool in debootstrap unshare setpriv nsenter chroot python3 go; do
  command -v $tool >/dev/null || die "$tool was not found (Debian: apt-get install debootstrap util-linux coreutils python3, and Go from https://go.dev/dl)"
done

# In a mount namespace of its own no mount outlives the script, however it ends.
if [[ ${ACUMEN_CONTAINER_INSIDE:-} != 1 ]]; then
  ACUMEN_CONTAINER_INSIDE=1 exec unshare --mount --propagation private "$0" ${args+"${args[@]}"}
fi

work=${ACUMEN_CONTAINER_WORK:-/tmp/acumen-container}
mkdir -p "$work"
exec 9>"$work/lock"
flock -n 9 || die "another run uses $work: wait for it, or set ACUMEN_CONTAINER_WORK to another folder"
rm -rf --one-file-system "$work"/.mount-* "$work"/layers/.new-* "$work"/test-* # of a run that was killed

base=$work/bookworm
if [[ ! -d $base ]]; then
  say "debootstrap: Debian bookworm in $base"
  trap 'rm -rf --one-file-system "$base.new"' EXIT
  debootstrap --variant=minbase bookworm "$base.new" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$work/debootstrap.log" 2>&1 ||
    { tail -5 "$work/debootstrap.log" >&2; die "debootstrap failed: see $work/debootstrap.log"; }
  # What the official slim images leave out, but for the licences.
  find "$base.new/usr/share/doc" -type f ! -name copyright -delete
  rm -rf "$base.new"/usr/share/{man,locale,info,groff,lintian}/* "$base.new"/var/lib/apt/lists/* "$base.new"/var/cache/apt/*.bin \
    "$base.new"/var/cache/apt/archives/*.deb "$base.new"/var/log/*.log "$base.new"/etc/hostname
  # As in them, a package that was installed is not kept.
  echo 'APT::Keep-Downloaded-Packages "false"; Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";' >"$base.new/etc/apt/apt.conf.d/docker-clean"
  mv "$base.new" "$base"
fi

# A signal to this script goes on to what it waits for.
child=
trap 'if [[ -n $child ]]; then kill "$child"; wait "$child" || true; fi; exit 143' TERM
watch() { nice "$@" & child=$!; wait "$child"; child=; }

change=()
if [[ -n $pure ]]; then change=(--instead "make cuda=sh -c 'make build \"\$@\" && mv bin/acumen bin/acumen-cuda' sh"); fi
version=$(git -C "$here" describe --tags --always --dirty 2>/dev/null || echo unknown)
watch python3 "$here/build.py" --base "$base" --work "$work" --goroot "$(go env GOROOT)" --out "$work/images.json" \
  --build-arg VERSION="$version" --build-arg CUDA_ARCHS="$archs" ${change+"${change[@]}"} "${targets[@]}"

export ACUMEN_CONTAINER_WORK=$work ACUMEN_CONTAINER_PURE_GO=$pure ACUMEN_CONTAINER_VERSION=$version PYTHONDONTWRITEBYTECODE=1
cd "$here"
watch python3 -m unittest -v "${tests[@]:-container_test}"
