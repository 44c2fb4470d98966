#!/usr/bin/env bash
# Trains the network that weights/ ships, from nothing, and draws how it learned. Installs what is missing and builds
# first; goes on where it was stopped.
#
# usage: bash examples/pretrain/run.sh FOLDER [OPTION...]
#
# FOLDER: tiny-imagenet-200, with train/, val/, wnids.txt and words.txt. Options are those of build/bin/pretrain (see
# its --help). Writes resnet_small.onnx, log.json and curve.svg to build/pretrain/.
set -eu -o pipefail

case ${1:-} in
  --help | -h) sed -n 's/^# \{0,1\}//; 2,8p' "$0" && exit 0 ;;
  -* | '') echo "pretrain: expected the folder tiny-imagenet-200 first, got '${1:-}' (see --help)" >&2 && exit 2 ;;
esac
photos=$(realpath -- "$1")
shift
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source examples/install_dependencies.sh
tl_require build
tl_build pretrain

out=build/pretrain
mkdir -p $out
build/bin/pretrain "$photos" --out $out/resnet_small.onnx --checkpoint $out/checkpoint.safetensors --log $out/log.json "$@"
python3 docs/images/plot_curves.py $out/curve.svg "Tiny-ImageNet-200, validation accuracy by epoch" top-1=$out/log.json
echo "drawn: $out/curve.svg"
