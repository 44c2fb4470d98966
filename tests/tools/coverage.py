#!/usr/bin/env python3
"""How much of include/tl the tests run: builds them with clang's source-based coverage, runs them, prints a table.

usage: coverage.py [--least PERCENT] [--uncovered] [--jobs N] [--report-only]

Counts lines with code of every header, templates that nothing instantiates aside (clang knows no code in them);
functions that nothing calls count as not run. Left out are kernels/impl/*.inl, which are compiled once for each
instruction set. Exit status 1 when a test fails, or when less than PERCENT of the lines were run.
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-coverage"
PROFILES = BUILD / "profiles"


def tool(name):
    """The one that belongs to clang++."""
    found = subprocess.run(["clang++", f"-print-prog-name={name}"], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def build_and_test(jobs):
    """Status of the tests."""
    configure = ["cmake", "-S", str(ROOT), "--preset", "coverage"]
    if not (BUILD / "CMakeCache.txt").exists():
        configure += ["-G", "Ninja"]
    subprocess.run(configure, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(BUILD), "-j", jobs], check=True)
    for old in PROFILES.glob("*"):
        old.unlink()
    # %8m: eight files a program, into which its processes merge what they counted.
    environment = {**os.environ, "LLVM_PROFILE_FILE": str(PROFILES / "%8m.profraw")}
    return subprocess.run(["ctest", "-C", "Debug", "-j", jobs, "--output-on-failure"], cwd=BUILD,
                          env=environment).returncode


def lines_of_headers():
    """{header: {line: how often it was run}}"""
    merged = BUILD / "tests.profdata"
    profiles = [str(file) for file in sorted(PROFILES.glob("*.profraw"))]
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-o", str(merged), *profiles], check=True)
    programs = [file for file in sorted((BUILD / "bin").rglob("*")) if file.is_file() and os.access(file, os.X_OK)]
    command = [tool("llvm-cov"), "export", "-format=lcov", f"-instr-profile={merged}", str(programs[0])]
    for program in programs[1:]:
        command += ["-object", str(program)]
    exported = subprocess.run([*command, str(ROOT / "include")], check=True, stdout=subprocess.PIPE, text=True)
    headers, lines = {}, {}
    for entry in exported.stdout.splitlines():
        kind, _, value = entry.partition(":")
        if kind == "SF":
            lines = headers.setdefault(Path(value).relative_to(ROOT / "include"), {})
        elif kind == "DA":
            line, count = value.split(",")[:2]
            lines[int(line)] = lines.get(int(line), 0) + int(count)
    return {header: lines for header, lines in headers.items() if header.suffix == ".hpp" and lines}


def report(headers, uncovered):
    """Prints a line a room, then, if asked, the lines of each header that were not run; returns the percentage."""
    rooms = {}
    for header, lines in headers.items():
        room = rooms.setdefault(header.parts[1], [0, 0])
        room[0] += sum(count > 0 for count in lines.values())
        room[1] += len(lines)
    run, total = (sum(room[i] for room in rooms.values()) for i in (0, 1))
    for name, (part, whole) in [*sorted(rooms.items()), ("include/tl", (run, total))]:
        print(f"{name:12} {part:6} of {whole:6} lines  {100 * part / whole:5.1f} %")
    if uncovered:
        for header, lines in sorted(headers.items()):
            missed = [line for line, count in sorted(lines.items()) if count == 0]
            if missed:
                print(f"\n{header}")
                text = (ROOT / "include" / header).read_text().splitlines()
                for line in missed:
                    print(f"{line:5} {text[line - 1]}")
    return 100 * run / total


def main():
    parser = argparse.ArgumentParser(description="Line coverage of include/tl by the tests.")
    parser.add_argument("--least", type=float, default=0, metavar="PERCENT")
    parser.add_argument("--uncovered", action="store_true", help="print the lines that were not run")
    parser.add_argument("--jobs", default=str(os.cpu_count()), metavar="N")
    parser.add_argument("--report-only", action="store_true", help="of the last run of the tests")
    arguments = parser.parse_args()
    status = 0 if arguments.report_only else build_and_test(arguments.jobs)
    percent = report(lines_of_headers(), arguments.uncovered)
    if percent < arguments.least:
        print(f"expected at least {arguments.least:g} %, got {percent:.1f} %")
        status = 1
    return int(status != 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"coverage.py: {error.cmd[0]} failed")
