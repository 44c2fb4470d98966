#!/usr/bin/env python3
"""Compares the code of the documentation with the files it is cut from, which are compiled or run by the tests.

A block stands directly below a line that names its source, and that file marks the region:

    <!-- from examples/first/first.cpp:load -->        // [load]
    ```cpp                                             auto model = ...;
    auto model = ...;                                  // [/load]
    ```

Every block of a language must have such a line, or say why no test can run it; then the scripts of the project that it names must
be there. Blocks of ```text are no code. Relative links must lead to something.

    <!-- by hand: weights are downloaded -->

usage: check_docs.py [--update] [ROOT]   --update rewrites the blocks from their sources
"""
import re
import sys
import textwrap
from pathlib import Path

BLOCK = re.compile(r"^(?P<head>(?P<mark><!-- (?:from (?P<file>[^:\s]+):(?P<tag>[\w-]+)|(?P<by_hand>by hand: [^\n]+)) -->\n)?"
                   r"```(?P<language>[^\n]*)\n)(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r"(?<![\w/.-])(?:\.ci/run|(?:bench|docs|examples|tests|weights)/[\w/.-]+\.(?:py|sh))\b")
MARK = re.compile(r"^\s*(?://|#) \[/?[\w-]+\]\n", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?!\w+:|#)([^)#\s]+)(?:#[^)]*)?\)")


def region(file, tag):
    """The text between // [tag] and // [/tag], without its indentation and other marks; None if not there once.
    Python's marks begin with #."""
    found = re.findall(rf"^\s*(?://|#) \[{tag}\]\n(.*?)^\s*(?://|#) \[/{tag}\]$", file.read_text(), re.MULTILINE | re.DOTALL)
    return textwrap.dedent(MARK.sub("", found[0])).strip("\n") + "\n" if len(found) == 1 else None


def check_page(root, page, update):
    findings = []
    text = page.read_text()
    name = page.relative_to(root)

    def check_block(match):
        line = text.count("\n", 0, match.start()) + 1
        if match["file"] is None:
            if match["mark"] is None and match["language"].strip() != "text":
                findings.append(f"{name}:{line}: a block of code without a line <!-- from FILE:TAG --> above it")
            if match["by_hand"] is not None:
                findings.extend(f"{name}:{line}: there is no {file}" for file in SCRIPT.findall(match["code"])
                                if not (root / file).exists())
            return match[0]
        source = root / match["file"]
        expected = region(source, match["tag"]) if source.is_file() else None
        if expected is None:
            findings.append(f"{name}:{line}: {match['file']} has no one region // [{match['tag']}] ... // [/{match['tag']}]")
            return match[0]
        if match["code"] != expected and not update:
            findings.append(f"{name}:{line}: differs from {match['file']}:{match['tag']}; run tests/tools/check_docs.py --update")
        return f"{match['head']}{expected}```"

    updated = BLOCK.sub(check_block, text)
    if update and updated != text:
        page.write_text(updated)
    for link in LINK.findall(BLOCK.sub("", text)):
        if not (page.parent / link).exists():
            findings.append(f"{name}: the link to {link} leads nowhere")
    return findings


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    root = Path(arguments[0] if arguments else Path(__file__).parents[2]).resolve()
    pages = sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "weights").rglob("*.md")])
    findings = [f for page in pages for f in check_page(root, page, "--update" in sys.argv)]
    print("\n".join(findings) or f"docs: {len(pages)} pages agree with their sources")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
