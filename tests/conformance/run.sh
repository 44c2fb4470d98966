#!/usr/bin/env bash
# Models that others made, run through `tl run`: the cases of the Python package onnx, and torchvision's networks,
# which are trained too.
# usage: run.sh [--quick]     --quick leaves out torchvision's networks, and with them PyTorch
#
# Builds tl; the Python packages go to build/conformance and nowhere else. The tables go to build/conformance/*.md.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source examples/install_dependencies.sh
tl_require build
if [ ! -x build/conformance/bin/python ]; then
  python3 -m venv build/conformance
  build/conformance/bin/pip install --quiet numpy onnx onnxruntime
fi
generator=()
[ -f build/CMakeCache.txt ] || ! command -v ninja > /dev/null || generator=(-G Ninja)
cmake -S . -B build "${generator[@]}" > build/configure.log || { cat build/configure.log && exit 1; }
cmake --build build --target tl
status=0
build/conformance/bin/python tests/conformance/onnx_cases.py build/bin/tl --out build/conformance/onnx_cases.md || status=1
if [ "${1:-}" != --quick ]; then
  build/conformance/bin/pip install --quiet torch torchvision onnxscript
  build/conformance/bin/python tests/conformance/torch_networks.py build/bin/tl --out build/conformance/torch_networks.md ||
    status=1
  cmake --build build --target train_steps
  build/conformance/bin/python tests/conformance/torch_training.py build/bin/tests/train_steps \
    --out build/conformance/torch_training.md || status=1
fi
exit $status
