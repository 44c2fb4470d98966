#!/usr/bin/env bash
# Builds and runs a project that uses tl, in the three ways the README names.
# usage: test_consumer.sh SOURCE_FOLDER BUILD_FOLDER COMPILER [FLAG...]
set -eu
source=$1 build=$2 compiler=$3
shift 3
flags=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
expected='loss 0.6931, gradient -0.5'

expect() {
  local output
  output=$("$1")
  [ "$output" = "$expected" ] || { echo "$1: expected '$expected', got '$output'" && exit 1; }
  echo "$2: $output"
}

# build_project FOLDER CMAKE_ARGUMENT...
build_project() {
  { cmake -S "$work/$1" -B "$work/$1/build" "-DCMAKE_CXX_COMPILER=$compiler" "-DCMAKE_CXX_FLAGS=${flags[*]}" "${@:2}" &&
    cmake --build "$work/$1/build"; } > "$work/log" || { cat "$work/log" && exit 1; }
}

cp -r "$source/tests/tools/consumer/." "$work"
ln -s "$source" "$work/tl"

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
build_project installed "-DCMAKE_PREFIX_PATH=$work/prefix"
expect "$work/installed/build/main" "find_package(tl), tl::tl"
expect "$work/installed/build/app" "find_package(tl), tl::kernels"

build_project source
expect "$work/source/build/main" "FetchContent"
[ ! -e "$work/source/build/_deps/tl-build/bin" ] || { echo "a user's build makes our programs too" && exit 1; }

if [ -d /usr/include/eigen3 ]; then
  ln -s "$source/include" "$work/include"
  cd "$work"
  g++() { command "$compiler" "$@" "${flags[@]}"; }
  # [one-command]
  g++ -std=c++20 -O2 -I include -I /usr/include/eigen3 main.cpp -fopenmp -o main
  # [/one-command]
  expect ./main "one command"
fi
