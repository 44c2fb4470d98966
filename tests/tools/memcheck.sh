#!/usr/bin/env bash
# Two training steps of resnet_small at 32 pixels, those of its head before them included, under valgrind: no bad read or
# write, no value that was never set, no leak. Skipped where valgrind is not installed.
# usage: memcheck.sh SOURCE_FOLDER COMPILER [FLAG...]
set -eu -o pipefail
source=$1 compiler=$2
shift 2
if ! command -v valgrind > /dev/null || [ ! -e /usr/include/valgrind/memcheck.h ]; then
  echo "skipped: \"memcheck\" needs valgrind"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# TL_VALGRIND: the pool of memory tells valgrind what is in use. -O1, as valgrind's manual advises.
for program in mistakes/uninitialised levels/fine_tunings; do
  "$compiler" -std=c++20 -O1 -g -DTL_VALGRIND -I "$source/include" -I /usr/include/eigen3 -fopenmp "$@" \
    "$source/tests/tools/$program.cpp" -o "$work/${program#*/}"
done
memcheck=(valgrind --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite,possible)

if "${memcheck[@]}" "$work/uninitialised" > "$work/log" 2>&1 || ! grep -qE 'uninitialised (value|byte)' "$work/log"; then
  cat "$work/log"
  echo "valgrind does not see what it should"
  exit 1
fi
# One thread: libgomp keeps its threads to the end of the program, and valgrind calls what belongs to them possibly lost.
# Images are decoded on threads of their own all the same. valgrind knows no AVX-512.
for isa in $("$work/fine_tunings"); do
  [ "$isa" != avx512 ] || continue
  echo "== $isa"
  TL_ISA=$isa OMP_NUM_THREADS=1 "${memcheck[@]}" "$work/fine_tunings" 1 full
done
