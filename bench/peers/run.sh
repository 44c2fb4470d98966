#!/usr/bin/env bash
# Installs the contestants, builds tl and lets them run in turn.
# usage: run.sh [ARGUMENTS of compare.py]
#        run.sh finetune [ARGUMENTS of finetune.py]
#
# The Python packages go to build/peers and nowhere else; PyTorch alone takes several gigabytes.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source examples/install_dependencies.sh
tl_require build
if [ ! -x build/peers/bin/python ]; then
  python3 -m venv build/peers
  build/peers/bin/pip install --quiet -r bench/peers/requirements.txt
fi
generator=()
[ -f build/CMakeCache.txt ] || ! command -v ninja > /dev/null || generator=(-G Ninja)
cmake -S . -B build "${generator[@]}" -DTL_BUILD_BENCH=ON > build/configure.log || { cat build/configure.log && exit 1; }
script=compare.py
if [ "${1:-}" = finetune ]; then
  script=finetune.py
  shift
fi
cmake --build build --target contestant tl
exec build/peers/bin/python bench/peers/$script "$@"
