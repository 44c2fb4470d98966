#!/usr/bin/env python3
"""Holds what the compiler cannot: who may include whom, and what the tree may contain.

usage: check_structure.py [ROOT]      prints one line a finding; exit status 1 when there is one
"""
import re
import subprocess
import sys
from pathlib import Path

# The rooms directly below each; a room may also include what those may.
BELOW = {
    "core": [],
    "kernels": ["core"],
    "tensor": ["kernels"],
    "ops": ["tensor"],
    "autograd": ["ops"],
    "graph": ["autograd"],
    "nn": ["graph"],
    "models": ["nn"],
    "optim": ["nn"],
    "data": ["tensor"],
    "io": ["optim"],
    "transfer": ["optim", "data", "io"],
    "dist": ["optim"],
    "train": ["models", "transfer", "dist"],
}
# Dependencies, by how their include lines begin: each may be included by one header only.
DOORS = ["Eigen/", "stb/stb_image.h", "stb_image.h", "stb/stb_image_write.h", "stb_image_write.h", "protozero/",
         "nlohmann/", "turbojpeg.h", "omp.h", "mpi.h", "immintrin.h"]
STANDARD = re.compile(r"[a-z_0-9]+|(assert|ctype|errno|float|limits|math|stdarg|stddef|stdint|stdio|stdlib|string)\.h")
SYSTEM = re.compile(r"(sys/\w+|sanitizer/\w+|valgrind/\w+|unistd|fcntl|dirent|signal|emmintrin|arm_neon)\.h")
# Names of two other libraries that live in namespace tl.
TAKEN_FILES = {"expected.hpp", "optional.hpp", "function_ref.hpp", "generator.hpp"}
TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md",
             "SECURITY.md", "CITATION.cff", "include", "examples", "bench", "tests", "weights", "docs"}
MACHINE_PATH = re.compile(rb"(?<![\w.~$})-])/(?:home|root|work|Users|mnt|tmp|build|farm)/\w[\w.-]*")
UNFINISHED = re.compile(rb"\b(?:TO" + rb"DO|FIX" + rb"ME|XX" + rb"X)\b")
# Where the version stands that CMakeLists.txt gives, and the package recipe whose options must be CMakeLists.txt's.
VERSIONS = [("CITATION.cff", r"^version: (\S+)$"), ("CHANGELOG.md", r"^## (\d[\w.]*)"),
            ("docs/packages/vcpkg/tl-transfer-learning/vcpkg.json", r'"version": "([^"]+)"')]
PORT = "docs/packages/vcpkg/tl-transfer-learning/portfile.cmake"
LARGEST = 2_000_000  # bytes, outside weights/
INCLUDE = re.compile(r'^\s*#\s*include\s*(<[^>]+>|"[^"]+")', re.MULTILINE)


def rooms_below(room):
    """The room itself and every room it may include."""
    return {room}.union(*(rooms_below(other) for other in BELOW[room]))


def check_includes(root):
    """Include lines of the library: downward, each dependency through one door, nothing unknown."""
    library = root / "include" / "tl"
    users = {}
    for file in sorted(library.rglob("*")):
        if file.suffix not in (".hpp", ".inl"):
            if file.is_file():
                yield f"{file.relative_to(root)}: only .hpp and .inl files belong into include/"
            continue
        name = file.relative_to(root)
        parts = file.relative_to(library).parts
        room = parts[0] if len(parts) > 1 else None
        if room is None and file.name != "tl.hpp":
            yield f"{name}: only tl.hpp stands outside the rooms"
        elif room is not None and room not in BELOW:
            yield f"{name}: there is no room {room}"
            continue
        text = file.read_text()
        if not text.startswith("//"):
            yield f"{name}: a file opens with what it is, in a // comment"
        if file.suffix == ".hpp" and "#pragma once" not in text and "meant to be included many times" not in text:
            yield f"{name}: no #pragma once"
        for include in INCLUDE.findall(text):
            target = include[1:-1]
            if include[0] == '"':
                yield f"{name}: {include} should be written #include <tl/room/file.hpp>"
            elif target.startswith("tl/"):
                if not (root / "include" / target).is_file():
                    yield f"{name}: {include} does not exist"
                elif room is not None:
                    other = target.split("/")[1]
                    if other not in rooms_below(room):
                        yield f"{name}: {include} points upward: {room}/ may include {', '.join(sorted(rooms_below(room)))}"
            elif door := next((door for door in DOORS if target.startswith(door)), None):
                users.setdefault(door.removeprefix("stb/"), set()).add(str(name))
            elif not SYSTEM.fullmatch(target) and not STANDARD.fullmatch(target):
                yield f"{name}: {include} is neither standard nor one of the project's dependencies"
            if room is None and not target.startswith("tl/"):
                yield f"{name}: {include}: tl.hpp includes the rooms only"
    for door, files in sorted(users.items()):
        if len(files) > 1:
            yield f"{door} enters through more than one header: {', '.join(sorted(files))}"
    for file in TAKEN_FILES:
        if (library / file).exists():
            yield f"include/tl/{file}: the name belongs to another library in namespace tl"


def committed_files(root):
    """Files under version control, or all outside hidden and build folders where there is none."""
    listing = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True)
    if listing.returncode == 0 and listing.stdout:
        names = [name for name in listing.stdout.decode().split("\0") if name]
        return [name for name in names if (root / name).is_file()]
    files = [file.relative_to(root) for file in root.rglob("*") if file.is_file()]
    return [str(f) for f in files if not any(p.startswith((".git", "build", "__pycache__")) for p in f.parts)]


def check_tree(root):
    """What is committed: no stray folders, no paths of somebody's machine, nothing unfinished, nothing huge."""
    files = committed_files(root)
    for top in sorted({name.split("/")[0] for name in files}):
        if top not in TOP_LEVEL and not top.startswith("."):
            yield f"{top}: not one of the folders and files the top level may hold"
    for name in files:
        content = (root / name).read_bytes()
        if len(content) > LARGEST and not name.startswith("weights/"):
            yield f"{name}: {len(content) / 1e6:.1f} MB; large files belong into weights/ only"
        for pattern, what in ((MACHINE_PATH, "a path of one machine"), (UNFINISHED, "an unfinished mark")):
            if pattern is UNFINISHED and b"\0" in content:
                continue  # chance in binary files
            for match in pattern.finditer(content):
                line = content.count(b"\n", 0, match.start()) + 1
                yield f"{name}:{line}: {what}: {match.group().decode()}"


def check_packages(root):
    """One version everywhere, and options that exist."""
    cmake = (root / "CMakeLists.txt").read_text()
    version = re.search(r"^project\(tl VERSION (\S+)", cmake, re.MULTILINE)[1]
    for name, pattern in VERSIONS:
        told = re.search(pattern, (root / name).read_text(), re.MULTILINE)
        if told is None or told[1] != version:
            yield f"{name}: expected version {version}, got {told and told[1]}"
    for option in re.findall(r"-D(\w+)=", (root / PORT).read_text()):
        if f"option({option} " not in cmake:
            yield f"{PORT}: CMakeLists.txt has no option {option}"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    findings = [*check_includes(root), *check_tree(root), *check_packages(root)]
    print("\n".join(findings) or "structure: nothing to complain about")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
