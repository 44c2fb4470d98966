#!/usr/bin/env bash
# Builds and runs a project that uses tl, in the three ways the README names.
# usage: test_consumer.sh SOURCE_FOLDER BUILD_FOLDER COMPILER [FLAG...]
set -eu
source=$1 build=$2 compiler=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
expected='loss 0.6931, gradient -0.5'

expect() {
  local output
  output=$("$1")
  [ "$output" = "$expected" ] || { echo "$1: expected '$expected', got '$output'" && exit 1; }
  echo "$2: $output"
}


# Installed, and then moved: the package may not remember where it was built.
cmake --install "$build" --prefix "$work/first" > /dev/null
mv "$work/first" "$work/prefix"
if [ -e "$build/bin/tl" ]; then
  for file in bin/tl share/tl/resnet_small.onnx share/man/man1/tl.1 share/bash-completion/completions/tl \
    share/zsh/site-functions/_tl; do
    [ -s "$work/prefix/$file" ] || { echo "not installed: $file" && exit 1; }
  done
  echo "the program: $("$work/prefix/bin/tl" --version)"
fi
common=(-S "$source/tests/tools/consumer" "-DCMAKE_CXX_COMPILER=$compiler" "-DCMAKE_CXX_FLAGS=$*")
cmake "${common[@]}" -B "$work/installed" "-DCMAKE_PREFIX_PATH=$work/prefix" > "$work/log" || { cat "$work/log" && exit 1; }
cmake --build "$work/installed" > "$work/log" || { cat "$work/log" && exit 1; }
expect "$work/installed/headers" "find_package(tl), tl::tl"
expect "$work/installed/precompiled" "find_package(tl), tl::kernels"

cmake "${common[@]}" -B "$work/source" "-DTL_SOURCE=$source" > "$work/log" || { cat "$work/log" && exit 1; }
cmake --build "$work/source" > "$work/log" || { cat "$work/log" && exit 1; }
expect "$work/source/headers" "FetchContent"
[ ! -e "$work/source/_deps/tl-build/bin" ] || { echo "a user's build makes our programs too" && exit 1; }

if [ -d /usr/include/eigen3 ]; then
  "$compiler" -std=c++20 -O2 -I "$source/include" -I /usr/include/eigen3 "$source/tests/tools/consumer/main.cpp" -fopenmp \
    "$@" -o "$work/plain"
  expect "$work/plain" "one command"
fi
