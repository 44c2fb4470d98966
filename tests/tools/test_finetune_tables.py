#!/usr/bin/env python3
"""bench/peers/finetune.py: what its tables make of made-up figures, and what it measures of a small command."""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "peers"))

import finetune
from finetune import Figures


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


class Tables(unittest.TestCase):
    def test_times(self):
        turns = {
            "features": [Figures(wall, [], 80, 80, 0.98) for wall in (4, 5, 6)],
            "head": [Figures(wall, [wall - 1, 0.01, 0.01, 0.02, 0.01], 90, 90, 0.97) for wall in (5, 6, 7)],
            "cached": [Figures(wall, [wall - 1, 0.1, 0.1, 0.1, 0.1], 700, 1500, 0.96) for wall in (20, 24, 28)],
            "epochs": [Figures(wall, [wall / 5] * 5, 710, 1600, 0.95) for wall in (60, 60, 70)],
        }
        lines = "\n".join(finetune.time_table(turns)).splitlines()
        self.assertEqual(len(lines), 2 + 4 + 1 + 2 + 4)
        self.assertEqual(cells(lines[2])[1:], ["5.00", "", "", "", "98.0%", "80", "80"])
        self.assertEqual(cells(lines[3])[1:], ["6.00", "5.00", "0.0100", "0.40% at most", "97.0%", "90", "90"])
        self.assertEqual(cells(lines[5])[1:], ["60.00", "12.00", "12.0000", "100.00% at most", "95.0%", "710", "1600"])
        # 20/4, 24/5 and 28/6; 60/5, 60/6 and 70/7: the median and the outer of three.
        self.assertEqual(cells(lines[9])[1:], [finetune.NAMES["cached"], "4.80 (4.67 to 5.00)"])
        self.assertEqual(cells(lines[12])[1:], [finetune.NAMES["epochs"], "10.00 (10.00 to 12.00)"])

    def test_memory(self):
        rows = [("resnet18", "head", Figures(9, [], 150.4, 150.4), 4.0, 45.0)]
        line = list(finetune.memory_table(rows))[-1]
        self.assertEqual(cells(line), ["resnet18", finetune.MEMORY_OF["head"], "150", "4", "45", "101"])


class Commands(unittest.TestCase):
    def test_lines_of_epochs_and_memory_are_measured(self):
        program = ("import time; x = bytearray(60 << 20); time.sleep(0.3)\n"
                   "for i in range(3): print('epoch', i, flush=True); time.sleep(0.1)")
        figures = finetune.run([sys.executable, "-c", program])
        self.assertEqual(len(figures.epochs), 3)
        self.assertGreater(figures.epochs[0], 0.3)
        self.assertGreater(sum(figures.epochs), 0.5)
        self.assertGreater(figures.wall, 0.6)
        self.assertGreater(figures.peak, 60)
        self.assertEqual(figures.peak, figures.tree)

    def test_memory_of_workers_is_added(self):
        worker = "import time; x = bytearray(60 << 20); time.sleep(1)"
        program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{worker}'])"
        figures = finetune.run([sys.executable, "-c", program])
        self.assertLess(figures.peak, 60)
        self.assertGreater(figures.tree, figures.peak + 60)

    def test_failure_shows_what_was_printed(self):
        with self.assertRaisesRegex(SystemExit, "no such photos"):
            finetune.run([sys.executable, "-c", "raise SystemExit('no such photos')"])

    def test_some_photos_of_all_classes(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            for part in ("train", "valid"):
                for label in ("a", "b"):
                    (folder / "all" / part / label).mkdir(parents=True)
                    for i in range(5):
                        (folder / "all" / part / label / f"{i}.jpg").touch()
            finetune.some_photos(folder / "all", folder / "some", train=6, valid=2)
            names = sorted(str(path.relative_to(folder / "some")) for path in folder.glob("some/*/*/*"))
        self.assertEqual(names, [f"train/{label}/{i}.jpg" for label in "ab" for i in range(3)] +
                         ["valid/a/0.jpg", "valid/b/0.jpg"])


if __name__ == "__main__":
    unittest.main()
