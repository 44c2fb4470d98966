#!/usr/bin/env python3
"""Compares what the documentation says programs print and draw with what they print and draw now.

    <!-- output of course_03_tape -->                 <!-- figure of course_05_sgd -->
    ```text                                           ![loss by step](../images/course/sgd.svg)
    loss 0.6931
    ```

The program, with the arguments that follow its name, runs in an empty folder with TL_ISA=avx2, so that every processor rounds
alike. Output is compared line by line; of a figure, the file that the program leaves there by its name. A table of figures
that take long, or depend on the machine, is recorded, and says by what (the commit of what ran, or that wrote the figures
down); or it repeats what another page says, whose numbers it may not change:

    <!-- recorded: build/bin/tl bench net.onnx; commit 9d3affc; AMD EPYC 9B14; 2026-11-26 -->
    <!-- figures from ../benchmarks.md -->

Every table of figures stands below one of these marks. A table is one of figures when half of its cells, those of the first
column aside, begin with a number.

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
RECORDED = re.compile(r"^<!-- recorded: (?P<told>[^\n]*) -->$", re.MULTILINE)
REPEATED = re.compile(r"^<!-- figures from (?P<page>[^\n]+) -->\n(?P<table>(?:\|[^\n]*\n)+)", re.MULTILINE)
TABLE = re.compile(r"(?P<above>[^\n]*)\n(?P<table>(?:^\|[^\n]*\n)+)", re.MULTILINE)
FIGURE_CELL = re.compile(r"[*+\-−]*\d")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")
TOLD = re.compile(r".+; commit [0-9a-f]{7,40}; [^;]*\w[^;]*; \d{4}-\d{2}-\d{2}")


def is_of_figures(table):
    """Of a table's text."""
    cells = [cell.strip() for row in table.splitlines()[2:] for cell in row.strip("|").split("|")[1:]]
    cells = [cell for cell in cells if cell]
    return 2 * sum(FIGURE_CELL.match(cell) is not None for cell in cells) >= max(1, len(cells))


class Programs:
    """Runs each command once."""

    def __init__(self, folder, work):
        self.folder, self.work, self.done = folder, work, {}

    def run(self, command):
        """What it printed, and the folder it ran in."""
        if command not in self.done:
            name, *arguments = command.split()
            place = Path(tempfile.mkdtemp(dir=self.work))
            run = subprocess.run([self.folder / name, *arguments], cwd=place, capture_output=True, text=True, timeout=300,
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
    findings += check_tables(page, name, text)
    return findings


def check_tables(page, name, text):
    def line(match, group=0):
        return f"{name}:{text.count(chr(10), 0, match.start(group)) + 1}"

    for match in RECORDED.finditer(text):
        if not TOLD.fullmatch(match["told"]):
            yield f"{line(match)}: expected 'recorded: COMMAND; commit HASH; PROCESSOR; YYYY-MM-DD'"
    for match in TABLE.finditer(text):
        if not match["above"].startswith(("<!-- recorded: ", "<!-- figures from ")) and is_of_figures(match["table"]):
            yield f"{line(match, 'table')}: a table of figures without '<!-- recorded: ... -->' or '<!-- figures from PAGE -->'"
    for match in REPEATED.finditer(text):
        source = page.parent / match["page"]
        if not source.is_file():
            yield f"{line(match)}: there is no {match['page']}"
            continue
        known = set(NUMBER.findall(source.read_text()))
        table = match["table"].split("\n", 2)[2]
        for number in dict.fromkeys(NUMBER.findall(table)):
            if number not in known:
                yield f"{line(match, 'table')}: {match['page']} does not say {number}"


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    if not arguments:
        sys.exit(__doc__)
    root = Path(arguments[1] if len(arguments) > 1 else Path(__file__).parents[2]).resolve()
    pages = sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])
    with tempfile.TemporaryDirectory() as work:
        programs = Programs(Path(arguments[0]).resolve(), Path(work))
        findings = [f for page in pages
                    for f in check_page(page, page.relative_to(root), programs, "--update" in sys.argv)]
        print("\n".join(findings) or f"outputs: {len(programs.done)} programs print and draw what {len(pages)} pages say")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
