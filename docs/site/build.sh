#!/usr/bin/env bash
# Builds the documentation as a site that needs no server: search, light and dark, phones. Installs MkDocs into build/ first.
# With Doxygen the reference of the headers is part of it, and the playground where examples/playground/build.sh has made it.
# usage: bash docs/site/build.sh [FOLDER]      (default: build/site)
set -eu -o pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
site=$(mkdir -p "${1:-$root/build/site}" && cd "${1:-$root/build/site}" && pwd)
tools=$root/build/site-tools
if ! "$tools/bin/mkdocs" --version > /dev/null 2>&1; then
  source "$root/examples/install_dependencies.sh"
  python3 -c 'import ensurepip' > /dev/null 2>&1 || tl_install python3-venv
  python3 -m venv "$tools"
  "$tools/bin/pip" install -q -r "$root/docs/site/requirements.txt"
fi
pages=$root/build/site-pages
"$tools/bin/python" -B "$root/docs/site/stage.py" "$root" "$pages"
NO_MKDOCS_2_WARNING=1 "$tools/bin/mkdocs" build -q --strict --clean -f "$pages/mkdocs.yml" -d "$site"
if command -v doxygen > /dev/null; then
  (cd "$root" && { cat docs/site/Doxyfile && echo "OUTPUT_DIRECTORY = \"$site\""; } | doxygen -)
else
  echo "the reference of the headers is left out: it needs Doxygen" >&2
fi
echo "written: $site/index.html"
