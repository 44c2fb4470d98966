#!/usr/bin/env bash
# Builds tl and compares fine-tuning with training from scratch; see suite.py --help, which gets all arguments.
# Installs what is missing first. Figures go to build/transfer; a run that was stopped goes on where it was.
set -eu -o pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$root/examples/install_dependencies.sh"
tl_require build
command -v python3 > /dev/null || tl_require_package python3 /usr/bin/python3
(cd "$root" && tl_build tl)
exec python3 -B "$root/bench/transfer/suite.py" "$@"
