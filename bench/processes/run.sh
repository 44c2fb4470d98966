#!/usr/bin/env bash
# Builds tl with MPI and measures fine-tuning in one process and in two; see efficiency.py --help, which gets all
# arguments. Installs what is missing first.
set -eu -o pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$root/examples/install_dependencies.sh"
tl_require build
command -v python3 > /dev/null || tl_require_package python3 /usr/bin/python3
tl_require_package libopenmpi-dev /usr/bin/mpicxx
tl_require_package openmpi-bin /usr/bin/mpirun
(cd "$root" && tl_build tl)
exec python3 -B "$root/bench/processes/efficiency.py" "$@"
