#!/usr/bin/env python3
"""The parts of bench/transfer: which photos are drawn, the file of results, statistics, the report and the chart."""
import os
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

from small_photos import Temporary, make_photos, png

import chart
import report
import subsets
from runs import Cell, Figures, Results
from summary import T_975, Table, summarise, t_interval


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


if __name__ == "__main__":
    unittest.main()
