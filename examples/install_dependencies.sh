# Installs what is missing. Sourced by the run.sh scripts:
#
#   source examples/install_dependencies.sh
#   tl_require build [tests] [clang] [checks]    then, where a script needs more: tl_require_package PACKAGE FILE
#   tl_build TARGET...                           programs in build/, configured first where it is not there
#
# On Debian and Ubuntu missing packages are installed, with sudo when not root. Elsewhere the scripts say what
# to install and end with status 2. Nothing is touched when everything is there.

# group  Debian package  how to see that it is there  what it is
_tl_dependencies='
build  g++               command:g++                     g++ 12 or newer
build  cmake             command:cmake                   CMake 3.25 or newer
build  ninja-build       command:ninja                   Ninja
build  libeigen3-dev     header:Eigen/Core               Eigen 3.4
build  libstb-dev        header:stb/stb_image_write.h    stb (stb_image.h, stb_image_write.h)
build  libprotozero-dev  header:protozero/pbf_reader.hpp protozero 1.7
build  libcli11-dev      header:CLI/CLI.hpp              CLI11 2.1
build  nlohmann-json3-dev header:nlohmann/json.hpp       nlohmann-json 3.10
tests  catch2            header:catch2/                  Catch2 2.13 or 3
tests  libbenchmark-dev  header:benchmark/benchmark.h    Google Benchmark 1.7
tests  libexpected-dev   header:tl/expected.hpp          tl-expected (a test includes it beside us)
tests  libopenmpi-dev    command:mpicxx                   OpenMPI (the tests of several processes)
tests  openmpi-bin       command:mpirun                   the same
tests  python3           command:python3                 Python 3.8 or newer
tests  doxygen           command:doxygen                 Doxygen 1.9
tests  git               command:git                     Git
tests  curl              command:curl                    curl (the tests of weights/get.sh)
clang  clang             command:clang++                 clang 14 or newer
clang  libomp-dev        clang:-fopenmp                  OpenMP of LLVM
clang  libclang-rt-dev   clang:-fsanitize=thread         sanitizers and libFuzzer of LLVM
full   llvm              command:llvm-cov                llvm-cov and llvm-profdata of the version of clang
full   valgrind          file:/usr/include/valgrind/memcheck.h valgrind
checks clang-format      command:clang-format            clang-format 14
checks clang-tidy        command:clang-tidy              clang-tidy 14
'

_tl_present() {
  local what=${1#*:}
  case $1 in
    command:*) command -v "$what" > /dev/null ;;
    file:*) [ -e "$what" ] ;;
    header:catch2/) _tl_present header:catch2/catch.hpp || _tl_present header:catch2/catch_all.hpp ;;
    header:*)
      printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$what" |
        "${CXX:-g++}" -std=c++20 -E -x c++ -I /usr/include/eigen3 -o /dev/null - 2> /dev/null
      ;;
    clang:*)
      local program
      program=$(mktemp) && echo 'int main() {}' | clang++ -x c++ "$what" -o "$program" - 2> /dev/null
      local status=$?
      rm -f "$program"
      return $status
      ;;
  esac
}

# tl_install PACKAGE...: with apt-get.
tl_install() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo > /dev/null; then
      echo "missing: $*. Run as root: apt-get install $*" >&2
      exit 2
    fi
    as_root=(sudo)
  fi
  echo "installing: $*" >&2
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
  local log
  log=$(mktemp)
  "${apt[@]}" update < /dev/null > "$log" 2>&1
  if ! "${apt[@]}" install --no-install-recommends "$@" < /dev/null >> "$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "could not install: $*. Mend what apt-get says above, then run this again" >&2
    exit 2
  fi
  rm -f "$log"
}

# tl_require_package PACKAGE FILE: a Debian package that brings the file.
tl_require_package() {
  [ -e "$2" ] && return
  if ! command -v apt-get > /dev/null; then
    echo "missing: $2, which Debian's package $1 holds. Install it, then run this again" >&2
    exit 2
  fi
  tl_install "$1"
}

# tl_require GROUP...: everything of the groups.
tl_require() {
  local group package probe what packages=() names=()
  while read -r group package probe what; do
    [[ " $* " == *" ${group:-none} "* ]] || continue
    _tl_present "$probe" || { packages+=("$package") && names+=("$what"); }
  done <<< "$_tl_dependencies"
  if [ ${#packages[@]} -gt 0 ]; then
    if command -v apt-get > /dev/null; then
      tl_install "${packages[@]}"
    else
      printf 'This system has no apt-get. Please install, then run this again:\n' >&2
      printf '  %s\n' "${names[@]}" >&2
      exit 2
    fi
  fi
  local version
  version=$(cmake --version | sed -n 's/^cmake version //p')
  if [ "$(printf '3.25\n%s\n' "$version" | sort -V | head -n 1)" != 3.25 ]; then
    echo "CMake $version is too old: install 3.25 or newer (python3 -m pip install cmake), then run this again" >&2
    exit 2
  fi
  version=$("${CXX:-g++}" -dumpversion)
  if [ "${CXX:-g++}" = g++ ] && [ "${version%%.*}" -lt 12 ]; then
    echo "g++ $version is too old: install g++ 12 or newer and run this again with CXX=g++-12" >&2
    exit 2
  fi
}

# tl_build TARGET...: at the root of the project.
tl_build() {
  if [ ! -f build/CMakeCache.txt ]; then
    local log
    log=$(mktemp)
    cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DTL_BUILD_TESTS=OFF -DTL_BUILD_BENCH=OFF > "$log" 2>&1 ||
      { cat "$log" >&2 && rm -f "$log" && exit 1; }
    rm -f "$log"
  fi
  cmake --build build --target "$@"
}
