#!/usr/bin/env python3
"""Compares the C++ blocks of the documentation with the compiled files they are cut from.

A block stands directly below a line that names its source, and that file marks the region:

    <!-- from examples/first/first.cpp:load -->        // [load]
    ```cpp                                             auto model = ...;
    auto model = ...;                                  // [/load]
    ```

Every ```cpp block must have such a line. Relative links must lead to something.

usage: check_docs.py [--update] [ROOT]   --update rewrites the blocks from their sources
"""
import re
import sys
import textwrap
from pathlib import Path

BLOCK = re.compile(r"^(?P<head>(?P<source><!-- from (?P<file>[^:\s]+):(?P<tag>[\w-]+) -->\n)?"
                   r"```(?P<language>[^\n]*)\n)(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
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
        if match["source"] is None:
            if match["language"].strip().lower() in ("cpp", "c++", "cc", "hpp"):
                findings.append(f"{name}:{line}: a C++ block without a line <!-- from FILE:TAG --> above it")
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
