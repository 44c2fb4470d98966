#!/usr/bin/env python3
"""Fine-tuning against training from scratch: accuracy, seconds and memory by the number of labelled photos.

usage: suite.py FOLDER --weights MODEL.onnx [options]        one line a finished run; run it again to go on where it was
       suite.py FOLDER --depth --weights A.onnx B.onnx ...   memory of training the head of networks of growing depth
       suite.py --quick                                      a small part, on the monkeys and the network of TL_SHARED

FOLDER holds one folder of photos a class, or train/ and valid/ with one a class; without valid/ a fifth is held out, the
same for every seed. Small sets are drawn by the seed, and larger ones hold the smaller. Training from scratch is tried with
several learning rates, each for as long as full fine-tuning took. Writes results.csv, table.md and chart.svg.
"""
import argparse
import os
import shlex
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import chart
import depth
import report
import subsets
from runs import (CALIBRATION, METHODS, Cell, Results, RunFailed, check_settings, finetune, last_stage, tl_options,
                  write_whole)
from summary import Table

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("TL_SHARED", ROOT.parent / "shared"))
LITE0 = "resize=256,bicubic,crop=224,mean=127,std=128,rgb"
QUICK = {"folder": SHARED / "data" / "monkeys", "weights": [SHARED / "models" / "efficientnet_lite0_bn.onnx"],
         "preprocess": LITE0, "size": 96, "counts": ["5", "20"], "seeds": [0, 1], "epochs": 3}
USUAL = {"size": 224, "counts": ["5", "10", "20", "50", "all"], "seeds": [0, 1, 2], "epochs": 5}


def listed(type_):
    """Reads 'A,B,C', each once."""
    return lambda text: list(dict.fromkeys(type_(word) for word in text.split(",")))


def method(name):
    if name not in METHODS:
        raise argparse.ArgumentTypeError(f"unknown method '{name}': expected some of {','.join(METHODS)}")
    return name


def count(text):
    if text != "all" and not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected numbers of photos a class, or all, got '{text}'")
    return text if text == "all" else str(int(text))


def rate(text):
    if not float(text) > 0:
        raise argparse.ArgumentTypeError(f"expected learning rates above zero, got '{text}'")
    return text


def read_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     usage=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument("--weights", nargs="+", type=Path, metavar="MODEL", help=".onnx; several for --depth")
    parser.add_argument("--preprocess", metavar="SPEC", help="as of tl finetune, where the file does not say it")
    parser.add_argument("--size", type=int, help="of the images, in pixels (224)")
    parser.add_argument("--methods", type=listed(method), default=list(METHODS), help=f"of {','.join(METHODS)}")
    parser.add_argument("--counts", type=listed(count), help="photos a class (5,10,20,50,all)")
    parser.add_argument("--seeds", type=listed(int), help="(0,1,2)")
    parser.add_argument("--epochs", type=int, help="of head, last and full (5)")
    parser.add_argument("--last", type=int, help="layers of the last stage (those after the image was last made smaller)")
    parser.add_argument("--lr", type=float, help="learning rate of last and full (tl's own)")
    parser.add_argument("--scratch-rates", type=listed(rate), default=["0.01", "0.03", "0.1", "0.3"],
                        help="learning rates from scratch (0.01,0.03,0.1,0.3)")
    parser.add_argument("--scratch-epochs", type=int,
                        help="from scratch, where other programs run beside it (as long as full fine-tuning took)")
    parser.add_argument("--threads", type=int, help="processors (all)")
    parser.add_argument("--out", type=Path, help="folder for the figures (build/transfer/ and a name)")
    parser.add_argument("--quick", action="store_true", help="5 and 20 photos a class, two seeds, three epochs, 96 pixels")
    parser.add_argument("--depth", action="store_true", help="the memory of training heads, and nothing else")
    parser.add_argument("--tl", type=Path, default=ROOT / "build" / "bin" / "tl", help="the program")
    o = parser.parse_args(arguments)
    own = o.folder or o.weights  # then the preprocessing of the monkeys' network is none of theirs
    for name, value in (QUICK if o.quick else USUAL).items():
        if getattr(o, name) is None and not (own and name in ("folder", "weights", "preprocess")):
            setattr(o, name, value)
    if not o.folder or not o.weights:
        parser.error("expected FOLDER and --weights MODEL")
    if len(o.weights) > 1 and not o.depth:
        parser.error("expected one --weights MODEL; several are for --depth")
    for file in (*o.weights, o.tl):
        if not file.is_file():
            parser.error(f"there is no file '{file}'")
    return o


@dataclass
class Suite:
    """Runs cells that are not finished yet, in the order that lets each find what it depends on."""
    o: argparse.Namespace
    photos: subsets.Photos
    results: Results
    work: Path  # for folders of links

    def finished(self, cell, epochs):
        """The figures of a cell, which is run if it was not yet."""
        if cell not in self.results.rows:
            number = None if cell.count == "all" else int(cell.count)
            folder = subsets.link(self.work, subsets.draw(self.photos.train, cell.seed, number), self.photos.valid)
            figures = finetune(self.o.tl, tl_options(self.o, self.o.weights[0]), cell, folder, epochs, self.o.last,
                               self.o.lr)
            self.results.add(cell, figures)
            rate = f", rate {cell.rate}, {epochs} epochs" if cell.rate else ""
            print(f"{METHODS.get(cell.method, cell.method)}, {cell.count} a class, seed {cell.seed}{rate}: "
                  f"{100 * figures.accuracy:.1f} %, {figures.seconds:.1f} s, {figures.peak_mib:.0f} MiB", flush=True)
        return self.results.rows[cell]

    def from_scratch(self, count, seed):
        """Every rate for about as long as full fine-tuning took: two epochs tell what an epoch takes."""
        epochs = self.o.scratch_epochs or self.epochs_of_full(count, seed)
        for rate in self.o.scratch_rates:
            self.finished(Cell("scratch", count, seed, rate), epochs)

    def epochs_of_full(self, count, seed):
        wanted = self.finished(Cell("full", count, seed), self.o.epochs).seconds
        two = self.finished(Cell(CALIBRATION, count, seed, self.o.scratch_rates[0]), 2)
        return max(1, 2 + round((wanted - two.seconds) / two.last_epoch_seconds))

    def run(self):
        for seed in self.o.seeds:
            for count in self.o.counts:
                for method in self.o.methods:
                    if method == "scratch":
                        self.from_scratch(count, seed)
                    else:
                        self.finished(Cell(method, count, seed), self.o.epochs)


def useful_counts(counts, photos):
    """Without those that would be all photos by another name, when all are wanted too."""
    most = max(Counter(photo.label for photo in photos.train).values())
    return [c for c in counts if c == "all" or int(c) < most or "all" not in counts]


def write_report(o, rows, shown):
    measured = {cell: figures for cell, figures in rows.items() if cell.method != CALIBRATION}
    if not measured:
        return
    title = f"{o.folder.resolve().name}, {o.weights[0].stem}, {o.size} px"
    table = Table(measured)
    rate = f"{o.lr:g}" if o.lr else "tl's own"
    note = (f"*Head alone*, *last stage* (the last {o.last} layers) and *full* take {o.epochs} epochs; the learning rate of "
            f"the latter two is {rate}.")
    write_whole(o.out / "table.md", report.report(table, title, shown, note))
    write_whole(o.out / "chart.svg", chart.chart(table, title))
    print(f"written: {o.out / 'table.md'}, {o.out / 'chart.svg'}")


def main(arguments):
    o = read_options(arguments)
    photos = subsets.read(o.folder)
    for note in photos.notes:
        print(note)
    name = "-".join([o.folder.resolve().name, "depth" if o.depth else o.weights[0].stem, f"{o.size}px"])
    o.out = o.out or ROOT / "build" / "transfer" / name
    o.out.mkdir(parents=True, exist_ok=True)
    o.counts = useful_counts(o.counts, photos)
    shown = "bash bench/transfer/run.sh " + shlex.join(arguments)
    settings = {"photos": photos.fingerprint(), "weights": {w.name: subsets.digest_of(w) for w in o.weights},
                "tl": subsets.digest_of(o.tl), "preprocess": o.preprocess, "size": o.size, "threads": o.threads}
    if o.depth:
        check_settings(o.out / "settings.json", settings)
        depth.run(o, photos, Results(o.out / "results.csv"), o.out / "photos")
        return
    o.last = o.last or last_stage(o.tl, o.weights[0])
    check_settings(o.out / "settings.json", {**settings, "epochs": o.epochs, "last": o.last, "lr": o.lr})
    results = Results(o.out / "results.csv")
    try:
        Suite(o, photos, results, o.out / "photos").run()
    finally:
        write_report(o, results.rows, shown)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(sys.argv[1:])
    except (ValueError, RunFailed, OSError) as error:
        sys.exit(f"transfer: {error}")
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        sys.exit(130)
