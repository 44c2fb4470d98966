#!/usr/bin/env python3
"""bench/transfer as a whole: with a program that invents figures, killed and begun again; and one small run with tl.

usage: test_transfer_suite.py [TL]        the program for the real run, which is skipped without it
"""
import csv
import json
import os
import signal
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

from small_photos import ROOT, Temporary, make_photos, png

from runs import Cell, Results

SUITE = ROOT / "bench" / "transfer" / "suite.py"
FAKE = Path(__file__).with_name("fake_tl.py")
TL = sys.argv.pop(1) if len(sys.argv) > 1 and Path(sys.argv[1]).is_file() else None


class Suite(Temporary):
    """The whole suite, with a program that invents the figures."""

    def setUp(self):
        super().setUp()
        make_photos(self.photos, "abc", 15)
        self.out, self.log, self.weights = (self.folder / name for name in ("out", "log", "net.onnx"))
        self.weights.write_bytes(b"weights")
        self.out.mkdir()
        self.tl = self.folder / "tl"
        self.tl.write_text(f"#!{sys.executable} -BS\n{FAKE.read_text()}")
        self.tl.chmod(0o755)

    def start(self, *options, stop=0):
        environment = {**os.environ, "FAKE_TL_LOG": str(self.log), "FAKE_TL_STOP": str(stop)}
        command = [sys.executable, "-B", SUITE, self.photos, "--weights", self.weights, "--tl", self.tl, "--out", self.out,
                   "--counts", "2,all", "--seeds", "0,1", "--scratch-rates", "0.02,0.2", *options]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run_suite(self, *options, **more):
        process = self.start(*options, **more)
        out, errors = process.communicate(timeout=300)
        return process.returncode, out, errors

    def calls(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def rows(self):
        with open(self.out / "results.csv", newline="") as file:
            return list(csv.DictReader(file))

    def accuracies(self):
        """What does not hang on the clock."""
        return {tuple(row[name] for name in ("method", "count", "seed", "rate")): row["accuracy"] for row in self.rows()
                if row["method"] != "scratch"}

    def test_whole(self):
        code, out, errors = self.run_suite()
        self.assertEqual((code, errors), (0, ""))
        rows = self.rows()
        self.assertEqual(len(rows), 2 * 2 * (7 + 1 + 2))  # the methods, the calibration and two rates
        self.assertEqual({(row["count"], row["train_images"], row["valid_images"]) for row in rows},
                         {("2", "6", "9"), ("all", "36", "9")})
        self.assertTrue(all(float(row["seconds"]) > 0 and float(row["peak_mib"]) > 1 for row in rows))
        page = (self.out / "table.md").read_text()
        self.assertIn("# photos, net, 224 px\n", page)
        self.assertIn("| 2 | 0.2 |", page)
        self.assertNotIn("calibration", page)
        xml.parse(self.out / "chart.svg")
        last = [call for call in self.calls() if "last:3" in call]  # two convolutions on the smallest maps, and the head
        self.assertEqual(len(last), 4)

    def test_from_scratch_gets_the_time_of_full(self):
        """Its epochs follow from the seconds of full and of two epochs, as written in the file."""
        self.run_suite("--methods", "scratch", "--counts", "5", "--seeds", "1", "--epochs", "40")
        rows = {row["method"]: row for row in self.rows()}
        self.assertEqual(set(rows), {"full", "calibration", "scratch"})
        missing = float(rows["full"]["seconds"]) - float(rows["calibration"]["seconds"])
        expected = max(1, 2 + round(missing / float(rows["calibration"]["last_epoch_seconds"])))
        self.assertEqual(int(rows["scratch"]["epochs"]), expected)

    def test_goes_on_after_a_kill(self):
        process = self.start(stop=9)
        end = time.monotonic() + 120
        while len(self.calls()) < 9 and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertEqual(len(self.rows()), 8)
        with open(self.out / "results.csv", "a") as file:
            file.write("knn,2,0,,1,6,9,0.")  # half a line
        self.assertEqual(self.run_suite()[0], 0)
        self.assertEqual((len(self.rows()), len(self.calls())), (40, 41))
        killed = self.accuracies()
        self.out = self.folder / "uninterrupted"
        self.assertEqual(self.run_suite()[0], 0)
        self.assertEqual(self.accuracies(), killed)
        self.assertEqual(self.run_suite()[0], 0)  # nothing is left to do
        self.assertEqual(len(self.calls()), 81)

    def test_stopped_by_a_signal(self):
        process = self.start("--methods", "head", stop=3)
        end = time.monotonic() + 120
        while len(self.calls()) < 3 and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=60)
        self.assertEqual((process.returncode, len(self.rows())), (130, 2))
        self.assertIn("the same command goes on", errors)
        self.assertIn("head alone", (self.out / "table.md").read_text())

    def test_other_settings_do_not_mix(self):
        self.assertEqual(self.run_suite("--methods", "head")[0], 0)
        before = (self.out / "results.csv").read_bytes()
        for options in (("--size", "96"), ("--epochs", "6"), ("--lr", "0.1"), ("--preprocess", "crop=8")):
            code, _, errors = self.run_suite("--methods", "head", *options)
            self.assertEqual(code, 1)
            self.assertIn("figures of other settings (" + options[0][2:], errors)
        self.weights.write_bytes(b"others")
        self.assertIn("other settings (weights", self.run_suite("--methods", "head")[2])
        self.weights.write_bytes(b"weights")
        (self.photos / "a" / "new.png").write_bytes(png(3, [1, 2, 3]))
        self.assertIn("other settings (photos", self.run_suite("--methods", "head")[2])
        self.assertEqual((self.out / "results.csv").read_bytes(), before)

    def test_quick_with_other_photos(self):
        """Of the monkeys' settings only those stay that say how much is done."""
        self.assertEqual(self.run_suite("--quick", "--methods", "full", "--seeds", "0", "--counts", "2")[0], 0)
        (call,) = self.calls()
        self.assertNotIn("--preprocess", call)
        self.assertEqual([call[call.index(name) + 1] for name in ("--size", "--epochs", "--weights")],
                         ["96", "3", str(self.weights)])
        self.assertNotIn("--lr", call)

    def test_more_seeds_and_methods_are_added(self):
        self.run_suite("--methods", "head", "--seeds", "0")
        self.assertEqual(self.run_suite("--methods", "head,knn", "--seeds", "0,1")[0], 0)
        self.assertEqual((len(self.rows()), len(self.calls())), (8, 8))

    def test_a_failure_is_told(self):
        code, _, errors = self.run_suite(stop=-2)
        self.assertEqual(code, 1)
        self.assertIn("tl ended with status 1: tl: the network is too tired", errors)
        self.assertNotIn("Traceback", errors)
        self.assertEqual(len(self.rows()), 1)

    def test_depth(self):
        other = self.folder / "deeper.onnx"
        other.write_bytes(bytes(2 ** 20))
        for _ in range(2):
            self.assertEqual(self.run_suite("--depth", "--weights", self.weights, other)[0], 0)
        self.assertEqual(len(self.calls()), 4)  # two networks, two seeds, once
        table = (self.out / "table.md").read_text().splitlines()
        row = next(line for line in table if line.startswith("| deeper | 4 | 1.0 |")).split("|")
        peak, without = (float(row[i].split(" ± ")[0]) for i in (4, 5))
        self.assertAlmostEqual(peak - without, 1.0, delta=0.11)
        self.assertIn("36 photos to train with and 9 to validate", "\n".join(table))

    def test_wrong_arguments(self):
        for options, reason in ((("--methods", "head,tail"), "unknown method 'tail'"), (("--counts", "0"), "photos a class"),
                                (("--weights", "gone.onnx"), "there is no file"), (("--scratch-rates", "0"), "above zero"),
                                (("--weights", self.weights, self.weights), "several are for --depth")):
            code, _, errors = self.run_suite(*options)
            self.assertEqual(code, 2)
            self.assertIn(reason, errors.splitlines()[-1])
        self.assertEqual(self.calls(), [])


class RealRun(Temporary):
    @unittest.skipUnless(TL, "bench/transfer with tl: no program was given")
    def test_small(self):
        """Every method with tl itself, the network of weights/ and pictures of three colours."""
        make_photos(self.photos, "abc", 12, side=32)
        out = self.folder / "out"
        done = subprocess.run([sys.executable, "-B", SUITE, self.photos, "--weights", ROOT / "weights" / "resnet_small.onnx",
                               "--tl", TL, "--out", out, "--size", "32", "--counts", "all", "--seeds", "0", "--epochs", "1",
                               "--scratch-rates", "0.05", "--threads", "1"], capture_output=True, text=True, timeout=300)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        rows = Results(out / "results.csv").rows
        self.assertEqual(len(rows), 9)
        self.assertEqual({(row.train_images, row.valid_images) for row in rows.values()}, {(30, 6)})
        # Three colours are told apart by anything that knows something.
        for method in ("softmax", "ridge", "knn"):
            self.assertEqual(rows[Cell(method, "all", 0)].accuracy, 1.0, method)
        self.assertTrue(all(row.peak_mib > 10 and row.seconds > 0 for row in rows.values()))
        xml.parse(out / "chart.svg")


if __name__ == "__main__":
    program = unittest.main(exit=False)
    for reason in sorted({reason for _, reason in program.result.skipped}):
        print("skipped:", reason)
    sys.exit(not program.result.wasSuccessful())
