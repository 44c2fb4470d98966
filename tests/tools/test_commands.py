#!/usr/bin/env python3
"""Runs the shell commands of the documentation, which is cut from commands/*.sh (see check_docs.py).

Each file runs in a folder of its own, where `photos` holds small pictures of three classes, `build/bin`, `weights`,
`examples` and `tests` are those of the project, and `tl` is on the path. A file may say `skip REASON`, and what
`needs_modules MODULE...` of Python.

usage: test_commands.py BIN_FOLDER [NAME...]
"""
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from small_photos import ROOT, make_photos

SKIPPED = 77
PRELUDE = f"""
skip() {{ echo "skipped: $1"; exit {SKIPPED}; }}
needs_modules() {{ for module; do python3 -c "import $module" 2> /dev/null || skip "Python has no $module"; done; }}
source "$0.sh"
"""


def make_folder(folder, programs):
    make_photos(folder / "photos", ["cats", "dogs", "pandas"], 10, side=64)
    (folder / "build").mkdir()
    (folder / "build" / "bin").symlink_to(programs)
    for name in ("weights", "examples", "tests"):
        (folder / name).symlink_to(ROOT / name)
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 96, 96), }".ljust(117) + "\n"
    (folder / "x.npy").write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + bytes(4 * 3 * 96 * 96))


def run(script, programs):
    """Whether it went well."""
    with tempfile.TemporaryDirectory() as name:
        make_folder(Path(name), programs)
        start = time.monotonic()
        shell = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", PRELUDE, script.with_suffix("")], cwd=name, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
                               env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": name})
    last = shell.stdout.rstrip().rsplit("\n", 1)[-1]
    if shell.returncode == SKIPPED and last.startswith("skipped: "):
        print(f"skipped: {script.name}: {last.removeprefix('skipped: ')}")
        return True
    print(f"{script.name}: {time.monotonic() - start:.1f} s")
    if shell.returncode != 0:
        print(f"{shell.stdout}\n{script.name} ended with {shell.returncode}")
    return shell.returncode == 0


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    programs = Path(sys.argv[1]).resolve()
    scripts = sorted((Path(__file__).parent / "commands").glob("*.sh"))
    if sys.argv[2:]:
        scripts = [s for s in scripts if s.stem in sys.argv[2:]]
    return 0 if scripts and all([run(script, programs) for script in scripts]) else 1


if __name__ == "__main__":
    sys.exit(main())
