#!/usr/bin/env python3
"""What Doxygen reads in place of a header; the lines keep their numbers. usage: doxygen_filter.py HEADER

- The comment that opens a header, with its formulas, shapes and sources, becomes the text of the header's page.
- Indented lines of comments are formulas: they are set as they stand.
- Names that mean the same everywhere get one sentence where they have no comment of their own: the members of
  operations (the protocol of ops/operation.hpp), and the plain loops of kernels/reference/, which have the names of
  the kernels."""

import re
import sys

KERNELS = [(r"(inline )?void \w+\(", "The kernel tl::kernels has under this name, as a plain loop.")]
OPERATIONS = [
    (r"static constexpr std::string_view name = ", "The operation's name in graphs and in messages."),
    (r"Shape infer\((const Shape&|std::span<const Shape>)",
     "The result's shape for inputs of these shapes; throws tl::Error where they do not fit together."),
    (r"Tensor<T> forward\(",
     "The result, from the inputs in their order; throws tl::Error as infer() does."),
    (r"(static constexpr )?Reads reads\(int",
     "Which values the tape keeps for the gradient with respect to one input, counted from 0."),
    (r"void backward\(const Saved<T>&",
     "Gives `d` the gradient of each input that it wants, from that of the result, `dy`, of the result's shape."),
]


def tell_common(lines, meanings):
    for i, line in enumerate(lines):
        meaning = next((text for pattern, text in meanings if re.match(rf"\s*({pattern})", line)), None)
        first = i - 1 if i and re.match(r"\s*template <", lines[i - 1]) else i
        if meaning and not re.match(r"\s*//[/!]", lines[first - 1]) and "///<" not in line:
            lines[first] = f"/** {meaning} */ {lines[first]}"


def tell_file(lines, path):
    end = lines.index("#pragma once")
    for i in range(end):
        parts = lines[i].removeprefix("//").split("`")
        if not parts[0].startswith("   "):  # not in formulas, nor between backticks
            parts[::2] = [re.sub(r"([\\@<>&#])", r"\\\1", part) for part in parts[::2]]
        lines[i] = "///" + "`".join(parts)
    lines[end] = f"/// \\file {path}"


def set_formulas(lines):
    """Comments with formulas become /** */, in which lines need no mark that would stand in the formula."""
    begin = 0
    while begin < len(lines):
        end = begin
        while end < len(lines) and re.match(r"\s*///(?!<)", lines[end]):
            end += 1
        text = [re.sub(r"^\s*///", "", line) for line in lines[begin:end]] + [""]
        if any(line.startswith("   ") for line in text):
            for k, line in enumerate(text[:-1]):
                starts = line.startswith("   ") and (k == 0 or not text[k - 1].startswith("   "))
                stops = line.startswith("   ") and not text[k + 1].startswith("   ")
                formula = line.removeprefix("   ")
                lines[begin + k] = ("\\verbatim " if starts else "") + formula + (" \\endverbatim" if stops else "")
            lines[begin] = "/**" + lines[begin]
            lines[end - 1] += " */"
        begin = max(end, begin + 1)


def main():
    path = sys.argv[1]
    text = open(path, encoding="utf-8").read()
    if path.endswith(".hpp"):
        lines = text.split("\n")
        if "/ops/" in path or "/kernels/reference/" in path:
            tell_common(lines, OPERATIONS if "/ops/" in path else KERNELS)
        tell_file(lines, path[path.index("tl/", path.rindex("include/")):])
        set_formulas(lines)
        text = "\n".join(lines)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
