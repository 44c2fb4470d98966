#!/usr/bin/env bash
# One program, compiled from the headers alone at -O1, -O2 and -O3, writes the same bytes on one instruction set, at any
# number of threads.
# usage: test_levels.sh SOURCE_FOLDER COMPILER [FLAG...]
set -eu -o pipefail
source=$1 compiler=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
methods=(features head last:3 full full+adamw)

for level in 1 2 3; do
  "$compiler" -std=c++20 "-O$level" -I "$source/include" -I /usr/include/eigen3 -fopenmp "$@" \
    "$source/tests/tools/levels/fine_tunings.cpp" -o "$work/O$level"
done
for isa in $("$work/O1"); do
  for level in 1 2 3; do
    for threads in 1 2 3 8; do
      TL_ISA=$isa OMP_NUM_THREADS=$threads "$work/O$level" 2 "${methods[@]}" > "$work/got"
      [ -e "$work/$isa" ] || cp "$work/got" "$work/$isa"
      diff "$work/$isa" "$work/got" || { echo "$isa: -O$level at $threads threads differs from -O1 at one" && exit 1; }
    done
  done
  printf '%s: the same bytes at -O1, -O2, -O3 and 1, 2, 3, 8 threads\n' "$isa"
  cat "$work/$isa"
done
