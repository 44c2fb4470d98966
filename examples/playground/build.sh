#!/usr/bin/env bash
# Makes the playground: one page with everything inside, to be opened from the disk in any newer browser.
# usage: bash examples/playground/build.sh [FILE.html]      (default: build/playground.html)
set -eu -o pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
page=${1:-$root/build/playground.html}
here=$root/examples/playground
source "$root/examples/install_dependencies.sh"
tl_require build
tl_require_package emscripten /usr/bin/em++
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Only the headers without a place of their own: the compiler brings its own of everything else in /usr/include.
mkdir "$work/include"
for folder in eigen3/Eigen stb protozero; do ln -s "/usr/include/$folder" "$work/include/"; done

mkdir -p "$(dirname "$page")"
export NODE_PATH=/usr/share/nodejs # where Debian's modules are, also for a node from elsewhere
em++ -std=c++20 -O3 -Wno-ignored-pragmas -msimd128 -fwasm-exceptions -DNDEBUG -I "$root/include" -isystem "$work/include" "$here/main.cpp" \
  -o "$work/module.js" -sSINGLE_FILE=1 -sMODULARIZE=1 -sEXPORT_NAME=createTl -sENVIRONMENT=web \
  -sALLOW_MEMORY_GROWTH=1 -sTOTAL_STACK=2MB -sEXPORTED_FUNCTIONS=_malloc,_free --embed-file "$root/weights/resnet_small.onnx@/network.onnx"
python3 - "$here" "$work/module.js" "$page" << 'END'
import sys
from pathlib import Path
here, module, page = map(Path, sys.argv[1:])
text = (here / "page.html").read_text()
for place, file in (("PLACE_OF_MODULE", module), ("PLACE_OF_PAGE", here / "page.js")):
    text = text.replace(place, file.read_text().replace("</script", "<\\/script"))
page.write_text(text)
print(f"written: {page}, {page.stat().st_size / 1e6:.1f} MB")
END
