#!/usr/bin/env bash
# Builds the documentation's site and, where there is a browser, opens every page.
# usage: test_site.sh SOURCE_FOLDER SITE_FOLDER
set -eu
rm -rf "$2"
bash "$1/docs/site/build.sh" "$2"
python3 -B "$1/tests/tools/check_site.py" "$2"
