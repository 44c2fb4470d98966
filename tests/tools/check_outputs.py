#!/usr/bin/env python3
"""Compares what the documentation says programs print and draw with what they print and draw now.

    <!-- output of course_03_tape -->                 <!-- figure of course_05_sgd -->
    ```text                                           ![loss by step](../images/course/sgd.svg)
    loss 0.6931
    ```

The program, with the arguments that follow its name, or a script named by its path, runs in an empty folder with TL_ISA=avx2, so
that every processor rounds alike. Output is compared line by line; of a figure, the file that the program leaves there by its
name. What takes long, or depends on the machine, is recorded: check_numbers.py.

usage: check_outputs.py BIN_FOLDER [--update] [ROOT]      --update rewrites blocks and figures
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OUTPUT = re.compile(r"^(?P<head><!-- output of (?P<command>[^\n]+?) -->\n```text\n)(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"^<!-- figure of (?P<command>[^\n]+?) -->\n!\[[^\]]*\]\((?P<file>[^)]+)\)", re.MULTILINE)


class Programs:
    """Runs each command once."""

    def __init__(self, folder, root, work):
        self.folder, self.root, self.work, self.done = folder, root, work, {}

    def run(self, command):
        """What it printed, and the folder it ran in."""
        if command not in self.done:
            name, *arguments = command.split()
            place = Path(tempfile.mkdtemp(dir=self.work))
            program = [sys.executable, "-B", self.root / name] if name.endswith(".py") else [self.folder / name]
            run = subprocess.run([*program, *arguments], cwd=place, capture_output=True, text=True, timeout=1800,
                                 env={**os.environ, "TL_ISA": "avx2"})
            if run.returncode != 0:
                raise RuntimeError(f"'{command}' ended with {run.returncode}: {run.stderr.strip()}")
            self.done[command] = run.stdout, place
        return self.done[command]


def check_page(page, name, programs, update):
    findings = []
    text = page.read_text()

    def attempt(command, line):
        try:
            return programs.run(command)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            findings.append(f"{name}:{line}: {error}")
            return None

    def check_output(match):
        line = text.count("\n", 0, match.start()) + 1
        told = attempt(match["command"], line)
        if told is None:
            return match[0]
        if match["text"] != told[0] and not update:
            findings.append(f"{name}:{line}: '{match['command']}' prints something else now; run check_outputs.py --update")
        return f"{match['head']}{told[0]}```"

    updated = OUTPUT.sub(check_output, text)
    if update and updated != text:
        page.write_text(updated)
    for match in FIGURE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        told = attempt(match["command"], line)
        if told is None:
            continue
        shown, drawn = page.parent / match["file"], told[1] / Path(match["file"]).name
        if not drawn.is_file():
            findings.append(f"{name}:{line}: '{match['command']}' leaves no {drawn.name}")
        elif update:
            shown.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(drawn, shown)
        elif not shown.is_file() or shown.read_bytes() != drawn.read_bytes():
            findings.append(f"{name}:{line}: '{match['command']}' draws {drawn.name} otherwise; run check_outputs.py --update")
    return findings


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    if not arguments:
        sys.exit(__doc__)
    root = Path(arguments[1] if len(arguments) > 1 else Path(__file__).parents[2]).resolve()
    pages = sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])
    with tempfile.TemporaryDirectory() as work:
        programs = Programs(Path(arguments[0]).resolve(), root, Path(work))
        findings = [f for page in pages
                    for f in check_page(page, page.relative_to(root), programs, "--update" in sys.argv)]
        print("\n".join(findings) or f"outputs: {len(programs.done)} programs print and draw what {len(pages)} pages say")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
