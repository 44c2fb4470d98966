#!/usr/bin/env python3
"""bench/transfer: draws, statistics, the report, going on after a kill; and one small run with tl.

usage: test_transfer.py [TL]        the program for the real run, which is skipped without it
"""
import csv
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as xml
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "bench" / "transfer" / "suite.py"
FAKE = Path(__file__).with_name("fake_tl.py")
TL = Path(sys.argv.pop()) if len(sys.argv) > 1 and not sys.argv[-1].startswith("-") and Path(sys.argv[-1]).is_file() else None
sys.path.insert(0, str(SUITE.parent))

import chart  # noqa: E402
import report  # noqa: E402
import subsets  # noqa: E402
from runs import Cell, Figures, Results  # noqa: E402
from summary import T_975, Table, summarise, t_interval  # noqa: E402


def png(side, colour):
    """A picture of one colour, with stripes."""
    rows = b"".join(b"\0" + b"".join(bytes(c // (1 + (x + y) % 2) for c in colour) for x in range(side)) for y in range(side))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(data)) + name + data +
                                           struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)


def make_photos(root, classes, number, side=2):
    """So many photos of each class, no two alike."""
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(number):
            colour = [30 + 3 * i] * 3
            colour[c] += 100
            (root / name / f"{i:02}.png").write_bytes(png(side, colour))


class Temporary(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.photos = self.folder / "photos"


class Subsets(Temporary):
    def names(self, photos):
        return [f"{photo.label}/{photo.name}" for photo in photos]

    def test_draws_are_nested_even_and_repeatable(self):
        make_photos(self.photos, "abc", 25)
        photos = subsets.read(self.photos)
        self.assertEqual((len(photos.train), len(photos.valid)), (60, 15))
        smaller = set()
        for count in (1, 5, 10, 19, None):
            drawn = self.names(subsets.draw(photos.train, 7, count))
            self.assertEqual(drawn, self.names(subsets.draw(list(reversed(photos.train)), 7, count)))
            self.assertEqual([sum(name[0] == label for name in drawn) for label in "abc"], [count or 20] * 3)
            self.assertLess(smaller, set(drawn))
            smaller = set(drawn)
        self.assertNotEqual(self.names(subsets.draw(photos.train, 7, 5)), self.names(subsets.draw(photos.train, 8, 5)))

    def test_another_machine_draws_the_same(self):
        photos = [subsets.Photo("a", f"{i}.png", Path(), "") for i in range(6)]
        self.assertEqual(self.names(subsets.draw(photos, 0, 3)), ["a/5.png", "a/3.png", "a/1.png"])

    def test_held_out_photos_stay_when_others_come(self):
        make_photos(self.photos, "ab", 20)
        before = self.names(subsets.read(self.photos).valid)
        self.assertEqual(len(before), 8)
        for label in "ab":  # one more photo than before moves at most one other across
            (self.photos / label / "new.png").write_bytes(png(3, [1, 2, ord(label)]))
        self.assertGreaterEqual(len(set(before) & set(self.names(subsets.read(self.photos).valid))), 6)

    def test_equal_files_are_on_one_side(self):
        make_photos(self.photos, "ab", 40)
        for i in range(0, 40, 2):  # half of the photos, under another name in both classes
            content = (self.photos / "a" / f"{i:02}.png").read_bytes()
            (self.photos / "a" / f"again{i}.png").write_bytes(content)
            (self.photos / "b" / f"{i:02}.png").write_bytes(content)
        photos = subsets.read(self.photos)
        train, valid = ({photo.digest for photo in side} for side in (photos.train, photos.valid))
        self.assertFalse(train & valid)
        self.assertEqual(len(photos.train) + len(photos.valid), 100)
        of_class = [sum(photo.label == label for photo in photos.valid) for label in "ab"]
        self.assertTrue(all(abs(n - wanted) <= 1 for n, wanted in zip(of_class, (12, 8))), of_class)

    def test_given_validation_photos_do_not_train(self):
        make_photos(self.photos / "train", "ab", 5)
        make_photos(self.photos / "valid", "ab", 2)
        photos = subsets.read(self.photos)
        self.assertEqual(self.names(photos.train), [f"{c}/{i:02}.png" for c in "ab" for i in (2, 3, 4)])
        self.assertEqual(len(photos.valid), 4)
        self.assertIn("4 photos to train with are in valid/ too", photos.notes[0])

    def test_draw_total_takes_classes_in_turn(self):
        make_photos(self.photos, "abc", 4)
        drawn = subsets.draw_total(subsets.read_classes(self.photos), 7)
        self.assertEqual([photo.label for photo in drawn], list("abcabca"))

    def test_links(self):
        make_photos(self.photos / "train", "ab", 3)
        (self.photos / "train" / "a" / ".hidden.png").write_bytes(b"")
        (self.photos / "train" / "a" / "inner").mkdir()
        os.rename(self.photos / "train" / "a" / "00.png", self.photos / "train" / "a" / "inner" / "01.png")
        photos = subsets.read_classes(self.photos / "train")
        self.assertEqual(len(photos), 6)
        for chosen in (photos, photos[:2]):  # the second time with fewer, in the same folder
            folder = subsets.link(self.folder / "links", chosen, photos[:1])
            links = sorted(path for path in (folder / "train").rglob("*.png"))
            self.assertEqual([path.read_bytes() for path in links], [photo.path.read_bytes() for photo in chosen])

    def test_nothing_to_learn(self):
        make_photos(self.photos, "a", 10)
        with self.assertRaisesRegex(ValueError, "expected photos of two classes"):
            subsets.read(self.photos)
        with self.assertRaisesRegex(ValueError, "expected a folder of photos"):
            subsets.read(self.folder / "nowhere")


def figures(accuracy, seconds=2.0):
    return Figures(5, 50, 200, accuracy, seconds, 2 * seconds, 0.25, 100.0)


class Reports(unittest.TestCase):
    """Worked by hand: full 80, 84, 88 %, so mean 84 and deviation 4; head 70, 78, 80 %, so mean 76 and 5.2915.

    Differences 10, 6, 8: mean 8, deviation 2, and 4.3027 * 2 / sqrt(3) = 4.968 to both sides.
    """
    ROWS = {**{Cell("full", "5", seed): figures(a) for seed, a in enumerate((0.80, 0.84, 0.88))},
            **{Cell("head", "5", seed): figures(a, 1.0) for seed, a in enumerate((0.70, 0.78, 0.80))},
            **{Cell("scratch", "5", seed, "0.1"): figures(a, 2.5) for seed, a in enumerate((0.30, 0.40, 0.50))},
            **{Cell("scratch", "5", seed, "0.03"): figures(a, 1.5) for seed, a in enumerate((0.30, 0.35, 0.40))},
            Cell("head", "all", 0): figures(0.95, 7.0)}

    def test_statistics(self):
        s = summarise([80, 84, 88])
        self.assertEqual((s.n, s.mean, s.sd), (3, 84, 4))
        s, low, high = t_interval([10, 6, 8])
        self.assertEqual((s.mean, s.sd), (8, 2))
        self.assertAlmostEqual(low, 3.0317, 4)
        self.assertAlmostEqual(high, 12.9683, 4)
        self.assertIsNone(t_interval([1]))
        self.assertEqual((len(T_975), T_975[0], T_975[9], T_975[29]), (30, 12.7062, 2.2281, 2.0423))
        self.assertEqual(T_975, sorted(T_975, reverse=True))

    def test_table(self):
        table = Table(self.ROWS)
        self.assertEqual((table.counts, table.seeds, table.best_rate("5"), table.best_rate("all")),
                         (["5", "all"], [0, 1, 2], "0.1", ""))
        lines = report.report(table, "ducks, net, 96 px", "bash run.sh", "Five epochs.").splitlines()
        for line in ("| photos a class | 5 | all |",
                     "| from scratch | 40.0 ± 10.0 |  |",
                     "| head alone | 76.0 ± 5.3 | 95.0 (n = 1) |",
                     "| full | 84.0 ± 4.0 |  |",
                     "| head alone | 1.0 ± 0.0 | 7.0 (n = 1) |",
                     "| 5 | 0.03 | 35.0 ± 5.0 | 5 | 1.5 | 0.75 |",
                     "| 5 | 0.1 | **40.0 ± 10.0** | 5 | 2.5 | 1.25 |",
                     "| full − head alone | 5 | +8.0 | +3.0 to +13.0 | above zero | 3 |"):
            self.assertIn(line, lines)
        self.assertTrue(any(line.startswith("Mean ± standard deviation over n = 3 seeds (0, 1, 2)") for line in lines))
        self.assertFalse([line for line in lines if line.startswith("| last stage")])

    def test_pairs_are_of_equal_seeds(self):
        rows = {**self.ROWS, Cell("head", "5", 3): figures(0.0)}
        self.assertEqual([round(100 * d, 9) for d in Table(rows).paired("full", "head", "5")], [10, 6, 8])

    def test_best_rate_needs_all_seeds(self):
        self.assertEqual(Table({**self.ROWS, Cell("scratch", "5", 0, "0.3"): figures(0.9)}).best_rate("5"), "0.1")

    def test_chart(self):
        text = chart.chart(Table(self.ROWS), "ducks & drakes, <net>")
        picture = xml.fromstring(text)
        self.assertEqual(picture.get("aria-label"), "ducks & drakes, <net>")
        tags = [element.tag.split("}")[1] for element in picture.iter()]
        self.assertNotIn("script", tags)
        self.assertEqual(tags.count("polyline"), 6)  # three methods in two panels
        self.assertEqual(tags.count("circle"), 14)  # the four points in each, and a name beside each curve
        words = [element.text for element in picture.iter() if element.text]
        self.assertTrue({"labelled photos a class", "head alone  95.0 %", "full  84.0 %", "full  2.0 s"} <= set(words))

    def test_chart_of_one_run(self):
        xml.fromstring(chart.chart(Table({Cell("head", "all", 0): figures(1.0)}), "one"))


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


class Files(Temporary):
    def test_results_are_read_as_written(self):
        file = self.folder / "results.csv"
        results = Results(file)
        for cell, row in Reports.ROWS.items():
            results.add(cell, row)
        self.assertEqual(Results(file).rows, Reports.ROWS)

    def test_a_header_cut_short(self):
        file = self.folder / "results.csv"
        file.write_text("method,cou")
        Results(file).add(Cell("head", "5", 0), figures(0.5))
        self.assertEqual(Results(file).rows, {Cell("head", "5", 0): figures(0.5)})


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
