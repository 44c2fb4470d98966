#!/usr/bin/env bash
# Installs what is missing, builds everything and runs every test; those that compute once more without AVX2, those of
# what handles memory and files under sanitizers. Then fuzzes the readers.
set -u -o pipefail

usage() {
  cat <<'END'
usage: bash tests/run.sh [options]

  --full          also: the tests that take long, a build with clang, every test under address and
                  undefined-behaviour sanitizers and under the thread sanitizer, the coverage of include/tl;
                  ten minutes for each fuzzer; models that others made, against PyTorch and onnxruntime;
                  the playground, compiled to WebAssembly, in Chromium
  --fuzz-seconds N  for each fuzzer (default: 15)
  --only REGEX    run the tests whose names match (see ctest -R)
  --jobs N        compile and test N at a time (default: the number of processors)
  --no-install    take the machine as it is
  --help          print this

Builds go to build/, build-asan-part/, build-fuzz/ and, with --full, to build-clang/, build-asan/, build-tsan/ and
build-coverage/. Tests on real photos and models look for them in the folder TL_SHARED (default: ../shared beside the
repository) and are skipped by name where it is absent.
END
}

full=0 only=. install=1 fuzz_seconds= jobs=$(nproc 2> /dev/null || echo 2)
while [ $# -gt 0 ]; do
  case $1 in
    --full) full=1 ;;
    --only) only=${2:?--only needs a regular expression} && shift ;;
    --jobs) jobs=${2:?--jobs needs a number} && shift ;;
    --fuzz-seconds) fuzz_seconds=${2:?--fuzz-seconds needs a number} && shift ;;
    --no-install) install=0 ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
if [ "$install" = 1 ]; then
  source examples/install_dependencies.sh
  tl_require build tests clang
  [ "$full" = 0 ] || tl_require full
fi
[ -n "$fuzz_seconds" ] || fuzz_seconds=$((full ? 600 : 15))

passed=0 total=0 failures=() skips=()

# run_stage NAME FOLDER CTEST_CONFIGURATION CMAKE_ARGUMENT...: configures, builds, tests, and adds to the counts.
run_stage() {
  local name=$1 folder=$2 configuration=$3
  shift 3
  printf '\n== %s: configure and build (%s)\n' "$name" "$folder"
  local generator=()
  [ -f "$folder/CMakeCache.txt" ] || ! command -v ninja > /dev/null || generator=(-G Ninja)
  if ! { cmake -S . -B "$folder" "${generator[@]}" "$@" > "$folder.log" 2>&1 || { cat "$folder.log" && false; }; } ||
    ! cmake --build "$folder" -j "$jobs"; then
    rm -f "$folder.log"
    failures+=("$name: the build") && total=$((total + 1))
    return
  fi
  rm -f "$folder.log"
  printf '\n== %s: test\n' "$name"
  local log
  log=$(mktemp)
  (cd "$folder" && ctest -C "$configuration" -R "$only" -j "$jobs" --output-on-failure) < /dev/null 2>&1 | tee "$log"
  local counts
  counts=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests failed out of ([0-9]+).*/\1 \2/p' "$log")
  if [ -z "$counts" ]; then
    failures+=("$name: no tests ran") && total=$((total + 1))
  else
    total=$((total + ${counts#* })) passed=$((passed + ${counts#* } - ${counts% *}))
  fi
  mapfile -t -O ${#failures[@]} failures < <(sed -nE "s/^\s+[0-9]+ - (.*) \((.*)\).*/$name: \1 (\2)/p" "$log")
  mapfile -t -O ${#skips[@]} skips < <(grep -h '^skipped: ' "$folder/Testing/Temporary/LastTest.log" 2> /dev/null)
  rm -f "$log"
}

# run_script NAME COMMAND...: one more test.
run_script() {
  printf '\n== %s\n' "$1"
  total=$((total + 1))
  if "${@:2}"; then passed=$((passed + 1)); else failures+=("$1 (${*:2})"); fi
}

# After tests/conformance/run.sh, which brings onnxruntime.
with_onnxruntime() {
  build/conformance/bin/pip install --quiet pillow &&
    PATH="$PWD/build/conformance/bin:$PATH" python3 -B tests/tools/test_commands.py build/bin course-15 other-runtime
}

playground() {
  bash examples/playground/build.sh &&
    python3 -B tests/tools/check_playground.py build/playground.html "${TL_SHARED:-../shared}/data/monkeys/train"
}

configuration=Release
release=(-DCMAKE_BUILD_TYPE=Release -DTL_WERROR=ON -DTL_BUILD_TESTS=ON -DTL_BUILD_BENCH=$((full))) # benchmarks take two minutes to build
sanitized=(-DTL_BUILD_BENCH=OFF -DTL_WERROR=OFF) # what sanitizers insert makes g++ warn without reason
fuzz=(-DCMAKE_CXX_COMPILER=clang++ -DTL_BUILD_FUZZ=ON -DTL_FUZZ_SECONDS="$fuzz_seconds" -DTL_BUILD_TESTS=ON -DTL_WERROR=ON
  -DTL_BUILD_EXAMPLES=OFF -DTL_BUILD_BENCH=OFF)
[ "$full" = 0 ] || configuration=full
compiler=${CXX:-g++}
# Told another name of the compiler that build/ was configured with, CMake begins anew and forgets the options beside it.
cached=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' build/CMakeCache.txt 2> /dev/null)
[ -z "$cached" ] || [ "$(realpath "$cached")" != "$(realpath "$(command -v "$compiler")")" ] || compiler=$cached
compiler=-DCMAKE_CXX_COMPILER=$compiler
run_stage g++ build $configuration "${release[@]}" "$compiler"
# As on a processor without AVX2: the rooms that compute.
[ "$only" != . ] || TL_ISA=portable only='^(kernels|ops|graph|models)/' run_stage portable build Release "${release[@]}" "$compiler"
[[ $full = 1 || $only != . ]] || run_stage asan-part build-asan-part Debug --preset asan-part
[[ $only != . && $only != *fuzz* ]] || run_stage fuzz build-fuzz Release "${fuzz[@]}"
if [ "$full" = 1 ]; then
  run_stage clang build-clang Release "${release[@]}" -DCMAKE_CXX_COMPILER=clang++
  run_stage asan build-asan Debug --preset asan "${sanitized[@]}" "$compiler"
  run_stage tsan build-tsan Debug --preset tsan "${sanitized[@]}"
  [ "$only" != . ] || run_script coverage python3 -B tests/tools/coverage.py --least 90 --jobs "$jobs"
  run_script "models that others made" bash tests/conformance/run.sh
  run_script "the pages' commands for onnxruntime" with_onnxruntime
  run_script "the playground in a browser" playground
fi

printf '\n'
[ ${#skips[@]} = 0 ] || printf '%s\n' "${skips[@]}" | sort -u
[ ${#failures[@]} = 0 ] || printf 'failed: %s\n' "${failures[@]}"
[ "$total" -gt 0 ] || total=1
echo "$((100 * passed / total))% tests passed, $((total - passed)) tests failed out of $total"
[ ${#failures[@]} = 0 ] && [ "$passed" = "$total" ]
