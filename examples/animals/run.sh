#!/usr/bin/env bash
# The main job: fine-tunes the network of weights/ on photos of animals, trains it from scratch for comparison, and
# writes the new model. Installs what is missing and builds first.
#
# usage: bash examples/animals/run.sh [PHOTOS [OPTION...]]
#
# PHOTOS: a folder with one folder a class. Without it: the birds, mammals and flowers of Debian's package
# tuxpaint-stamps-default. Options are those of build/bin/animals (see its --help).
set -eu -o pipefail

case ${1:-} in
  --help | -h) sed -n 's/^# \{0,1\}//; 2,8p' "$0" && exit 0 ;;
  -*) echo "animals: expected a folder of photos first, got '$1' (see --help)" >&2 && exit 2 ;;
esac
photos=${1:+$(realpath -- "$1")}
[ $# = 0 ] || shift
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source examples/install_dependencies.sh
tl_require build
tl_build animals tl

if [ -z "$photos" ]; then
  stamps=/usr/share/tuxpaint/stamps
  tl_require_package tuxpaint-stamps-default $stamps/animals/birds
  photos=build/animals-photos
  mkdir -p $photos
  ln -sfn $stamps/animals/birds $photos/birds
  ln -sfn $stamps/animals/mammals $photos/mammals
  ln -sfn $stamps/plants/flowers $photos/flowers
fi
build/bin/animals "$photos" --weights weights/resnet_small.onnx --out build/animals.onnx "$@"
echo "try it: build/bin/tl predict build/animals.onnx PHOTO.jpg"
