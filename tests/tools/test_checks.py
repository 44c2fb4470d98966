#!/usr/bin/env python3
"""The checks find what they are for: each test plants one fault into a small tree."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import check_docs
import check_numbers
import check_structure

TOOLS = Path(__file__).parent


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name).resolve()
        self.write("include/tl/tl.hpp", "// All.\n#pragma once\n#include <tl/ops/add.hpp>\n")
        self.write("include/tl/core/base.hpp", "// Base.\n#pragma once\n#include <vector>\n#include <sys/mman.h>\n")
        self.write("include/tl/tensor/eigen.hpp", "// Eigen.\n#pragma once\n#include <Eigen/Core>\n#include <Eigen/LU>\n")
        self.write("include/tl/ops/add.hpp", "// Add.\n#pragma once\n#include <tl/tensor/eigen.hpp>\n#include <tl/core/base.hpp>\n")
        self.write("docs/page.md", "Text, [a link](other.md).\n\n<!-- from examples/x.cpp:part -->\n```cpp\nint x = 1;\n  x++;\n```\n")
        self.write("docs/other.md", "<!-- by hand: minutes -->\n```sh\nbash run.sh\n```\n\n```text\na -> b\n```\n")
        self.write("examples/x.cpp", "int main() {\n  // [part]\n  int x = 1;\n  // [inner]\n    x++;\n  // [/inner]\n  // [/part]\n}\n")
        self.write("CMakeLists.txt", "project(tl VERSION 1.2.3 LANGUAGES CXX)\noption(TL_BUILD_TESTS \"Tests\" ON)\n")
        self.write("CITATION.cff", "version: 1.2.3\n")
        self.write("CHANGELOG.md", "# Changelog\n\n## 1.2.3, unreleased\n\n## 1.2.2\n")
        self.write("docs/packages/vcpkg/tl-transfer-learning/vcpkg.json", '{"version": "1.2.3"}\n')
        self.write(check_structure.PORT, "vcpkg_cmake_configure(OPTIONS -DTL_BUILD_TESTS=OFF)\n")

    def write(self, name, text):
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def structure(self):
        return [*check_structure.check_includes(self.root), *check_structure.check_tree(self.root)]

    def docs(self, update=False):
        return [f for page in sorted(self.root.rglob("*.md")) for f in check_docs.check_page(self.root, page, update)]

    def assert_one(self, findings, part):
        self.assertEqual(len(findings), 1, findings)
        self.assertIn(part, findings[0])


class StructureAndDocs(Tree):
    def test_sound_tree(self):
        self.assertEqual(self.structure() + self.docs(), [])

    def test_upward_include(self):
        self.write("include/tl/tensor/up.hpp", "// Up.\n#pragma once\n#include <tl/ops/add.hpp>\n")
        self.assert_one(self.structure(), "points upward")

    def test_sideways_include(self):
        self.write("include/tl/optim/sgd.hpp", "// SGD.\n#pragma once\n")
        self.write("include/tl/models/resnet.hpp", "// Net.\n#pragma once\n#include <tl/optim/sgd.hpp>\n")
        self.assert_one(self.structure(), "points upward")

    def test_second_door(self):
        self.write("include/tl/ops/svd.hpp", "// SVD.\n#pragma once\n#  include <Eigen/SVD>\n")
        self.assert_one(self.structure(), "more than one header")

    def test_both_ways_to_name_stb_are_one_door(self):
        self.write("include/tl/data/decode.hpp", "// A.\n#pragma once\n#include <stb/stb_image.h>\n#include <stb_image.h>\n")
        self.assertEqual(self.structure(), [])
        self.write("include/tl/data/second.hpp", "// B.\n#pragma once\n#include <stb_image.h>\n")
        self.assert_one(self.structure(), "more than one header")

    def test_unknown_dependency(self):
        self.write("include/tl/ops/b.hpp", "// B.\n#pragma once\n#include <boost/array.hpp>\n")
        self.assert_one(self.structure(), "neither standard nor")

    def test_quoted_missing_and_stray(self):
        self.write("include/tl/ops/q.hpp", '// Q.\n#pragma once\n#include "add.hpp"\n')
        self.write("include/tl/ops/m.hpp", "// M.\n#pragma once\n#include <tl/core/gone.hpp>\n")
        self.write("include/tl/cellar/c.hpp", "// C.\n#pragma once\n")
        self.write("include/tl/extra.hpp", "// E.\n#pragma once\n")
        self.write("include/tl/ops/nothing.hpp", "#pragma once\n")
        self.write("include/tl/ops/twice.hpp", "// Twice.\n")
        text = "\n".join(self.structure())
        for part in ("should be written", "does not exist", "no room cellar", "outside the rooms", "opens with", "no #pragma"):
            self.assertIn(part, text)

    def test_taken_file_name(self):
        self.write("include/tl/expected.hpp", "// Mine.\n#pragma once\n")
        self.assertIn("belongs to another library", "\n".join(self.structure()))

    def test_stray_top_level(self):
        self.write("scratch/a.txt", "a")
        self.assert_one(self.structure(), "top level")

    def test_machine_paths_in_text_and_binary(self):
        self.write("docs/paths.txt", "a = /ho" + "me/somebody/x\nb = ../shared/data, /usr/include/eigen3, http://x.org/home/page\n")
        self.assert_one(self.structure(), "docs/paths.txt:1: a path of one machine")
        self.write("docs/paths.txt", "fine")
        (self.root / "tests").mkdir()
        (self.root / "tests/model.onnx").write_bytes(b"\x00\x01/ro" + b"ot/file.py\xff")
        self.assert_one(self.structure(), "tests/model.onnx:1")

    def test_unfinished_and_huge(self):
        self.write("docs/a.txt", "TO" + "DO: later")
        self.assert_one(self.structure(), "unfinished")
        self.write("docs/a.txt", "x" * 2_100_000)
        self.write("weights/w.onnx", "x" * 2_100_000)
        self.assert_one(self.structure(), "docs/a.txt: 2.1 MB")

    def test_changed_block_and_its_update(self):
        self.write("examples/x.cpp", (self.root / "examples/x.cpp").read_text().replace("x = 1", "x = 2"))
        self.assert_one(self.docs(), "differs from examples/x.cpp:part")
        self.assertEqual(self.docs(update=True), [])
        self.assertEqual(self.docs(), [])
        self.assertIn("int x = 2;\n  x++;\n```", (self.root / "docs/page.md").read_text())

    def test_block_without_source(self):
        for language in ("cpp", "sh", "python", ""):
            self.write("docs/other.md", f"Text\n\n```{language}\nint y;\n```\n")
            self.assert_one(self.docs(), "docs/other.md:3: a block of code without")

    def test_script_that_is_gone(self):
        self.write("docs/other.md", "<!-- by hand: minutes -->\n```sh\nbash bench/run.sh out/bench/x.sh\n```\n")
        self.assert_one(self.docs(), "docs/other.md:1: there is no bench/run.sh")

    def test_missing_region_and_file(self):
        self.write("docs/other.md", "<!-- from examples/x.cpp:gone -->\n```cpp\nint y;\n```\n<!-- from no.cpp:a -->\n```cpp\nz\n```\n")
        self.assertEqual(len(self.docs()), 2)

    def test_dead_link(self):
        self.write("docs/other.md", "[x](gone.md), [y](https://example.org), [z](#here), [w](page.md#there)\n")
        self.assert_one(self.docs(), "gone.md leads nowhere")

    def test_exit_status(self):
        for script in ("check_structure.py", "check_docs.py"):
            command = [sys.executable, TOOLS / script, self.root]
            self.assertEqual(subprocess.run(command, capture_output=True).returncode, 0)
        self.write("docs/other.md", "```cpp\nint y; // TO" + "DO\n```\n")
        for script in ("check_structure.py", "check_docs.py"):
            command = [sys.executable, TOOLS / script, self.root]
            self.assertEqual(subprocess.run(command, capture_output=True).returncode, 1)


class Packages(Tree):
    def packages(self):
        return list(check_structure.check_packages(self.root))

    def test_one_version(self):
        self.assertEqual(self.packages(), [])
        self.write("CHANGELOG.md", "# Changelog\n\n## 1.2.2\n")
        self.assert_one(self.packages(), "CHANGELOG.md: expected version 1.2.3, got 1.2.2")

    def test_options_exist(self):
        self.write(check_structure.PORT, "vcpkg_cmake_configure(OPTIONS -DTL_TESTS=OFF)\n")
        self.assert_one(self.packages(), "no option TL_TESTS")


class Figures(Tree):
    TABLE = "| what | ms |\n|---|---|\n| tl | 12.5 |\n| other | **+3e-5** |\n"

    def tables(self, text):
        self.write("docs/figures.md", text)
        page = self.root / "docs/figures.md"
        return [f for check in (check_numbers.check_marks, check_numbers.check_tables, check_numbers.check_pictures)
                for f in check(page, page.name, text)]

    def test_a_table_of_figures_says_where_they_are_from(self):
        self.assert_one(self.tables(f"Text.\n\n{self.TABLE}"), "a table of figures without")
        self.assertEqual(self.tables(f"<!-- recorded: tl bench; commit 9d3affc; AMD EPYC; 2026-11-26 -->\n{self.TABLE}"), [])
        self.assertEqual(self.tables("Text.\n\n| option | meaning |\n|---|---|\n| 1 | of 2 |\n"), [])
        self.assert_one(self.tables("Text.\n\n| option | meaning |\n|---|---|\n| a | it took 2 s |\n"), "a table of figures without")

    def test_a_record_says_command_commit_processor_and_date(self):
        for told in ("tl bench; AMD EPYC; 2026-11-26", "tl bench; commit 9d3affc; 2026-11-26", "tl bench; commit 9d3affc; AMD EPYC"):
            self.assert_one(self.tables(f"<!-- recorded: {told} -->\n{self.TABLE}"), "expected 'recorded: COMMAND")

    def test_repeated_figures_are_those_of_the_other_page(self):
        self.write("docs/source.md", "It took 12.5 ms; the difference is 3e-5.\n")
        self.assertEqual(self.tables(f"<!-- figures from source.md -->\n{self.TABLE}"), [])
        self.write("docs/source.md", "It took 112.5 ms; the difference is 3e-5.\n")
        self.assert_one(self.tables(f"<!-- figures from source.md -->\n{self.TABLE}"), "source.md does not say 12.5")
        self.assert_one(self.tables(f"<!-- figures from absent.md -->\n{self.TABLE}"), "there is no absent.md")

    def test_a_picture_says_what_drew_it(self):
        self.assert_one(self.tables("Text.\n\n![a curve](a.svg)\n"), "figures.md:3: a picture without")
        self.assertEqual(self.tables("<!-- figure of course_01_why -->\n![a curve](a.svg)\n"), [])

    def test_computed_table(self):
        self.assertEqual(self.tables(f"<!-- computed: 25 / 2; 3e-5 -->\n{self.TABLE}"), [])
        self.assert_one(self.tables(f"<!-- computed: 27 / 2 -->\n{self.TABLE}"), "27 / 2 is 13.5, which the text does not say")

    def prose(self, text):
        self.write("docs/figures.md", text)
        page = self.root / "docs/figures.md"
        return list(check_numbers.check_prose(page, page.name, text))

    def test_a_measured_number_in_the_text_has_a_source(self):
        for text in ("It takes 17 ms.", "A run of 3.5, 17 and 3 s.", "- one\n- 17 % right\n", "1. 17 times\n   as fast", "**17 images a second**"):
            self.assert_one(self.prose(text), ": 17" if "3.5" not in text else ": 3.5, 17, 3: measured by what?")
        for text in ("Epoch 17, 32 images, `17 ms`, 17x17.", "A 95 % interval.", "```text\n17 ms\n```\n\nSo 17 ms, or 17.0 s.",
                     "| a | b |\n|---|---|\n| tl | 16.8 |\n\nNearly 17 ms.", "Of those 17 % <!-- given -->"):
            self.assertEqual([f for f in self.prose(text) if "17.0" not in f], [], text)
        self.assert_one(self.prose("An error of 3e-7, or `1e-9`."), "figures.md:1: 3e-7: measured by what?")
        self.assert_one(self.prose("```text\n17 ms\n```\n\nSo 17 ms, or 17.0 s."), "figures.md:5: 17.0: measured")
        self.assert_one(self.prose("| a | b |\n|---|---|\n| tl | 16.81 |\n\nNearly 17 ms."), ": 17: measured by what?")

    def test_marks_of_a_paragraph(self):
        self.write("docs/source.md", "It took 16.9 ms.\n")
        self.assertEqual(self.prose("It took 17 ms. <!-- figures from source.md -->"), [])
        self.assert_one(self.prose("It took 18 ms. <!-- figures from source.md -->"), "18: measured by what? No table or output of this page or source.md")
        self.assert_one(self.prose("It took 17 of these. <!-- figures from absent.md -->"), "there is no absent.md")
        self.assertEqual(self.prose("It took 17 ms. <!-- recorded: tl bench; commit 9d3affc; AMD EPYC; 2026-11-26 -->"), [])
        self.assertEqual(self.prose("Half is 17 %, a root 3.16 s. <!-- computed: 100 * 0.17; sqrt(10) -->"), [])
        self.assertEqual(len(self.prose("Half is 17 %. <!-- computed: 100 * 0.18 -->")), 2)


if __name__ == "__main__":
    unittest.main()
