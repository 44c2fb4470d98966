#!/usr/bin/env python3
"""Looks whether the numbers of the documentation say where they are from.

A table of figures, or a picture that no program draws anew for each test (check_outputs.py), stands below a mark that says by
what command, commit, processor and date it was recorded (the commit of what ran, or that wrote the figures down); or it repeats
what another page says, whose numbers it may not change:

    <!-- recorded: build/bin/tl bench net.onnx; commit 9d3affc; AMD EPYC 9B14; 2026-11-26 -->
    <!-- figures from ../benchmarks.md -->

A table is one of figures when half of its cells, those of the first column aside, begin with a number, or when one has a unit. A
number with a unit in running text (3.4 ms, 95.1 and 97.8 %, 14.9 times), or with a decimal point or an exponent, must be in a
table or a block of the page, there perhaps with one more decimal; or its paragraph ends, in the same line, with one of these
marks or with

    <!-- computed: 100 * sqrt(0.25 / 200); 10_000 * 256 * 4 / 1e6 -->     <!-- given -->

The first gives the numbers, which are rounded as the text has them; the second says that they were chosen, not measured: an
example, a limit, a setting, a version.

usage: check_numbers.py [ROOT]
"""
import math
import re
import sys
from pathlib import Path

RECORDED = re.compile(r"<!-- recorded: (?P<told>[^\n]*?) -->")
PICTURE = re.compile(r"(?P<above>[^\n]*)\n(?P<picture>^!\[)", re.MULTILINE)
TABLE = re.compile(r"(?P<above>[^\n]*)\n(?P<table>(?:^ *\|[^\n]*\n)+)", re.MULTILINE)
FIGURE_CELL = re.compile(r"[*+\-−]*\d")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")
UNIT = (r"%|points?|[mµ]?s|microseconds|milliseconds|seconds?|minutes?|hours?|times|[kMG]B|GFLOP(?:/s)?|\w+ (?:a|per) second")
MEASURED = re.compile(rf"(?<![\w.,/`-])(?P<numbers>{NUMBER.pattern}(?:(?:, | and | to | or |, and ){NUMBER.pattern})*)\s(?:{UNIT})(?![\w/])"
                      r"(?! (?:confidence )?interval)")
DECIMAL = re.compile(r"(?<![\w.,/=-])(\d+\.\d+(?:e[+-]?\d+)?|\d+e-\d+)(?![\w.]*\d)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PARAGRAPH = re.compile(r"^(?! *\||#|\s*$)[^\n]+(?:\n(?! *\||#|\s*$|\s*(?:-|\d+\.) )[^\n]+)*", re.MULTILINE)
MARK = re.compile(r"<!-- (?:(?P<free>recorded: [^\n]*?|given)|figures from (?P<page>[^\n]+?)|computed: (?P<computed>[^\n]+?)) -->")
TOLD = re.compile(r".+; commit [0-9a-f]{7,40}; [^;]*\w[^;]*; \d{4}-\d{2}-\d{2}")


def is_of_figures(table):
    """Of a table's text."""
    cells = [cell.strip() for row in table.splitlines()[2:] for cell in row.strip("|").split("|")[1:]]
    cells = [cell for cell in cells if cell]
    return 2 * sum(FIGURE_CELL.match(cell) is not None for cell in cells) >= max(1, len(cells))


def decimals(number):
    mantissa, _, exponent = number.partition("e")
    return len(mantissa.partition(".")[2]) - int(exponent or 0)


def told_by(numbers, sources):
    """Those of the numbers that a source has, as they are or with one more decimal."""
    rounded = {(round(float(s), d), d) for s in (s.replace(",", "") for s in sources if s.count(".") <= 1)
               for d in (decimals(s), decimals(s) - 1) if d >= 0}
    return {n for n in numbers if (float(n.replace(",", "")), decimals(n)) in rounded}


def check_computed(where, expressions, text):
    """The numbers of the text that the expressions give, and what is wrong with the others."""
    told, findings = set(), []
    for expression in filter(str.strip, expressions.split(";")):
        value = eval(expression, {"__builtins__": {}}, vars(math))
        matching = {n for n in NUMBER.findall(text) if round(value, decimals(n)) == float(n.replace(",", ""))}
        if not matching:
            findings.append(f"{where}: {expression.strip()} is {value:.6g}, which the text does not say")
        told |= matching
    return told, findings


def check_prose(page, name, text):
    prose = CODE.sub(lambda code: re.sub(r"[^\n]", "", code[0]), text)
    shown = NUMBER.findall("\n".join([*CODE.findall(text), *(match["table"] for match in TABLE.finditer(text))]))
    for paragraph in PARAGRAPH.finditer(prose):
        where = f"{name}:{prose.count(chr(10), 0, paragraph.start()) + 1}"
        marks = list(MARK.finditer(paragraph[0]))
        if any(mark["free"] for mark in marks):
            continue
        words = re.sub(r"<!--.*?-->|\]\([^)]*\)", "", paragraph[0], flags=re.DOTALL)
        plain = re.sub(r"`[^`]*`", "", words)
        if not words.strip():  # the mark of a table
            continue
        measured = dict.fromkeys([*(n for match in MEASURED.finditer(plain) for n in NUMBER.findall(match["numbers"])),
                                  *DECIMAL.findall(plain)])
        told, looked = told_by(measured, shown), "this page"
        for mark in marks:
            if mark["page"] and not (page.parent / mark["page"]).is_file():
                yield f"{where}: there is no {mark['page']}"
            elif mark["page"]:
                told |= told_by(measured, NUMBER.findall((page.parent / mark["page"]).read_text()))
                looked += f" or {mark['page']}"
            else:
                computed, findings = check_computed(where, mark["computed"], words)
                told |= computed
                yield from findings
        missing = [number for number in measured if number not in told]
        if missing:
            yield f"{where}: {', '.join(missing)}: measured by what? No table or output of {looked} has it"


def line_of(text, match, group=0):
    return text.count("\n", 0, match.start(group)) + 1


def check_marks(page, name, text):
    for match in RECORDED.finditer(text):
        if not TOLD.fullmatch(match["told"]):
            yield f"{name}:{line_of(text, match)}: expected 'recorded: COMMAND; commit HASH; PROCESSOR; YYYY-MM-DD'"


def check_pictures(page, name, text):
    for match in PICTURE.finditer(text):
        if not match["above"].startswith(("<!-- figure of ", "<!-- recorded: ", "<!-- figures from ")):
            yield f"{name}:{line_of(text, match, 'picture')}: a picture without '<!-- figure of PROGRAM -->' or '<!-- recorded: ... -->'"


def check_tables(page, name, text):
    for match in TABLE.finditer(text):
        where = f"{name}:{line_of(text, match, 'table')}"
        mark = MARK.fullmatch(match["above"].strip())
        if not mark and (is_of_figures(match["table"]) or MEASURED.search(match["table"])):
            yield f"{where}: a table of figures without '<!-- recorded: ... -->' or '<!-- figures from PAGE -->'"
        elif mark and mark["computed"]:
            yield from check_computed(where, mark["computed"], match["table"])[1]
        elif mark and mark["page"] and not (page.parent / mark["page"]).is_file():
            yield f"{where}: there is no {mark['page']}"
        elif mark and mark["page"]:
            known = set(NUMBER.findall((page.parent / mark["page"]).read_text()))
            for number in dict.fromkeys(NUMBER.findall(match["table"].split("\n", 2)[2])):
                if number not in known:
                    yield f"{where}: {mark['page']} does not say {number}"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    pages = sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "weights").rglob("*.md")])
    findings = []
    for page in pages:
        for check in (check_marks, check_tables, check_pictures, check_prose):
            findings += check(page, page.relative_to(root), page.read_text())
    print("\n".join(findings) or f"numbers: those of {len(pages)} pages say where they are from")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
