#!/usr/bin/env bash
# Makes the Debian package, installs it into a folder with a package database of its own, and uses what it holds.
# usage: test_package.sh SOURCE_FOLDER BUILD_FOLDER COMPILER
set -eu
source=$1 build=$2 compiler=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd "$work" && cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/made" > log 2>&1 || { cat log && exit 1; })
package=$(ls "$work"/made/*.deb)
echo "made: $(basename "$package"), $(stat -c %s "$package") bytes"
[ "$(stat -c %s "$package")" -lt 20000000 ] || { echo "the package is larger than 20 MB" && exit 1; }
for field in Package Version Architecture Maintainer Description; do
  [ -n "$(dpkg-deb -f "$package" "$field")" ] || { echo "the package does not say its $field" && exit 1; }
done

mkdir -p "$work/root" "$work/admin/info" "$work/admin/updates"
: > "$work/admin/status"
dpkg --instdir="$work/root" --admindir="$work/admin" --log=/dev/null --force-not-root --force-depends --force-architecture \
  -i "$package" > "$work/log" 2>&1 || { cat "$work/log" && exit 1; }
dpkg-query --admindir="$work/admin" -W
program=$work/root/usr/bin/tl
"$program" --version
[ -s "$work/root/usr/share/doc/tl/copyright" ] || { echo "no copyright file" && exit 1; }

# The network that comes with it knows a photo, and learns.
mkdir -p "$work/photos/dark" "$work/photos/light"
python3 - "$work/photos" << 'END'
import sys
for name, base in (("dark", 20), ("light", 200)):
    for i in range(6):
        pixels = bytes(base + (7 * i + 3 * p) % 40 for p in range(3 * 40 * 40))
        # An uncompressed image: BMP, 40 x 40, 24 bits.
        head = b"BM" + (54 + len(pixels)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
        info = (40).to_bytes(4, "little") + (40).to_bytes(4, "little") * 2 + b"\1\0\x18\0" + bytes(24)
        with open(f"{sys.argv[1]}/{name}/{i}.bmp", "wb") as file:
            file.write(head + info + pixels)
END
"$program" finetune "$work/photos" --out "$work/two.onnx" > "$work/log" || { cat "$work/log" && exit 1; }
tail -n 2 "$work/log"
"$program" predict "$work/two.onnx" "$work/photos/light/0.bmp" | grep -q light

# And a project finds the headers.
cmake -S "$source/tests/tools/consumer/installed" -B "$work/consumer" "-DCMAKE_CXX_COMPILER=$compiler" \
  "-DCMAKE_PREFIX_PATH=$work/root/usr" > "$work/log" || { cat "$work/log" && exit 1; }
cmake --build "$work/consumer" --target app > "$work/log" || { cat "$work/log" && exit 1; }
"$work/consumer/app"

dpkg --instdir="$work/root" --admindir="$work/admin" --log=/dev/null --force-not-root --purge tl-transfer-learning > "$work/log" 2>&1 ||
  { cat "$work/log" && exit 1; }
[ ! -e "$program" ] || { echo "something stays when the package is removed" && exit 1; }
echo "removed without a rest"
