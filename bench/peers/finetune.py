#!/usr/bin/env python3
"""tl finetune against PyTorch doing the same, whole commands in turn: a new head on a frozen network.

usage: finetune.py [--pairs N] [--threads N] [--photos FOLDER] [--models FOLDER] [--tl PROGRAM] [--out FILE] [--memory]

Prints a Markdown table: the wall time of each command from its start to the saved model, until the line of the first
epoch and from line to line after it; how many times as fast each way of tl was as each of PyTorch in the same turn,
with the interval that holds the middle half of the turns; accuracy; and the peak of the resident memory, polled, of the
command and of it with its workers (whose shared pages count more than once). PyTorch's side is finetune_torch.py.

--memory: networks of growing depth in place of the times, random weights, 64 photos, batches of 16; tl also with
TL_WINOGRAD=0, which keeps weights as large as they are in the file.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from compare import ROOT, export, ratio

# How EfficientNet-Lite0 wants its images; finetune_torch.py does the same.
PREPROCESS = "resize=256,bicubic,crop=224,mean=127,std=128,rgb"
EPOCHS = 5
TORCH = Path(__file__).with_name("finetune_torch.py")
NAMES = {"features": "**tl**, `--method features`", "head": f"**tl**, `--method head --epochs {EPOCHS}`",
         "cached": f"PyTorch, features cached, {EPOCHS} epochs", "epochs": f"PyTorch, {EPOCHS} epochs"}
OURS, THEIRS = ["features", "head"], ["cached", "epochs"]
MEMORY_OF = {"head": "**tl**", "direct": "**tl**, `TL_WINOGRAD=0`", "cached": "PyTorch"}  # features computed once
DEPTHS = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


@dataclass
class Figures:
    """Of one command: seconds and MB."""

    wall: float
    epochs: list  # until the first one's line, then from line to line
    peak: float  # of the process alone
    tree: float  # with its workers: the sum of their peaks
    accuracy: float = float("nan")


def peak_mb(pid):
    """The most resident memory so far, or 0 for a process that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(status.split("VmHWM:")[1].split()[0]) / 1024 if "VmHWM:" in status else 0


def children(pid):
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []  # it has ended


def run(command, poll=0.05, environment=None):
    """Figures of a command that prints a line beginning with `epoch` after each; its memory is read from time to time.

    wait4's ru_maxrss would be of no use: it begins with what this process takes.
    """
    begin, lines, text, peaks, done = time.perf_counter(), [], [], {}, threading.Event()
    process = subprocess.Popen([str(word) for word in command], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})

    def watch():
        while not done.wait(poll):
            for pid in [process.pid, *children(process.pid)]:
                peaks[pid] = max(peaks.get(pid, 0), peak_mb(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with process.stdout:
        for line in process.stdout:
            text.append(line)
            if line.startswith("epoch "):
                lines.append(time.perf_counter())
    process.wait()
    wall = time.perf_counter() - begin
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{''.join(text)}")
    epochs = [b - a for a, b in zip([begin, *lines], lines)]
    return Figures(wall, epochs, peaks.get(process.pid, 0), sum(peaks.values()))


def command_of(way, o, folder, model, state=None, batch=32, network="efficientnet_lite0"):
    """The command of a way to fine-tune, which writes its figures to folder/figures.json."""
    figures = ["--json-out", folder / "figures.json", "--batch", batch, "--threads", o.threads]
    if way in (*OURS, "direct"):
        method, epochs = ("features", []) if way == "features" else ("head", ["--epochs", EPOCHS])
        return [o.tl, "finetune", o.photos, "--weights", model, "--method", method, "--preprocess", PREPROCESS,
                "--out", folder / "tl.onnx", *epochs, *figures]
    weights = ["--weights", state] if state else []
    return [sys.executable, TORCH, o.photos, "--network", network, "--mode", way, "--epochs", EPOCHS,
            "--out", folder / "torch.pt", *weights, *figures]


def play(way, o, folder, model, **options):
    environment = {"TL_WINOGRAD": "0"} if way == "direct" else None
    figures = run(command_of(way, o, folder, model, **options), environment=environment)
    figures.accuracy = json.loads((folder / "figures.json").read_text())["valid_accuracy"]
    return figures


def time_table(turns):
    """Lines of Markdown of {way: its Figures, one a turn}."""

    def median(way, value):
        return statistics.median(value(figures) for figures in turns[way])

    yield ("| command | wall, s | first epoch, s | later epoch, s | later / first | accuracy | peak, MB "
           "| with workers, MB |\n|---|---|---|---|---|---|---|---|")
    for way, list_ in turns.items():
        epochs = ["", "", ""]
        if list_[0].epochs:
            first = median(way, lambda f: f.epochs[0])
            later = median(way, lambda f: statistics.median(f.epochs[1:]))
            share = median(way, lambda f: max(f.epochs[1:]) / f.epochs[0])
            epochs = [f"{first:.2f}", f"{later:.4f}", f"{share:.2%} at most"]
        yield (f"| {NAMES[way]} | {median(way, lambda f: f.wall):.2f} | {' | '.join(epochs)} "
               f"| {median(way, lambda f: f.accuracy):.1%} | {median(way, lambda f: f.peak):.0f} "
               f"| {median(way, lambda f: f.tree):.0f} |")
    yield "\n| `tl` | against | `tl` is faster by (middle half) |\n|---|---|---|"
    for ours in OURS:
        for theirs in THEIRS:
            walls = [[figures.wall for figures in turns[way]] for way in (ours, theirs)]
            yield f"| {NAMES[ours]} | {NAMES[theirs]} | {ratio(*walls)} |"


def memory_table(rows):
    """Lines of Markdown of (network, command, Figures, MB of its program and libraries, MB of its weights) each."""
    yield ("| network | program | peak, MB | of which program and libraries | weights | the rest |"
           "\n|---|---|---|---|---|---|")
    for network, way, figures, start, weights in rows:
        yield (f"| {network} | {MEMORY_OF[way]} | {figures.peak:.0f} | {start:.0f} | {weights:.0f} "
               f"| {figures.peak - start - weights:.0f} |")


def some_photos(photos, folder, train=64, valid=16):
    """A folder of links to as many photos, of all classes in turn."""
    for part, count in (("train", train), ("valid", valid)):
        classes = sorted(path for path in (photos / part).iterdir() if path.is_dir())
        rounds = zip(*(sorted(path.glob("*.jp*g")) for path in classes))
        for photo in [photo for round_ in rounds for photo in round_][:count]:
            link = folder / part / photo.parent.name / photo.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(photo.resolve())
    return folder


def measure_times(o, folder):
    model, state = o.models / "efficientnet_lite0.onnx", o.models / "efficientnet-lite0-57934424.pth"
    turns = {way: [] for way in OURS + THEIRS}
    for _ in range(o.pairs):
        for way, list_ in turns.items():
            list_.append(play(way, o, folder, model, state=state))
            print(f"{NAMES[way]}: {list_[-1].wall:.2f} s", file=sys.stderr)
    return time_table(turns)


def measure_memory(o, folder):
    o.photos = some_photos(o.photos, folder / "photos")
    # tl ends before it is seen at its largest, or at all: many tries, of which the most is still at most the truth.
    ours = max(run([o.tl, "--help"], poll=0.0002).peak for _ in range(50))
    theirs = run([sys.executable, TORCH, "--help"], poll=0.001).peak
    rows = []
    for network in DEPTHS:
        model = export(network, False, folder, o.models)
        for way in MEMORY_OF:
            figures = play(way, o, folder, model, batch=16, network=network)
            rows.append((network, way, figures, theirs if way == "cached" else ours, model.stat().st_size / 2**20))
            print(f"{network}, {MEMORY_OF[way]}: {figures.peak:.0f} MB", file=sys.stderr)
    return memory_table(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tl", type=Path, default=ROOT / "build" / "bin" / "tl")
    parser.add_argument("--models", type=Path, default=ROOT.parent / "shared" / "models")
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared" / "data" / "monkeys",
                        help="a folder with train/ and valid/")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--out", type=Path, help="a file for the tables, too")
    o = parser.parse_args()
    if o.pairs < 2:
        parser.error("--pairs: two at least, for the middle half")

    with tempfile.TemporaryDirectory() as folder:
        lines = list((measure_memory if o.memory else measure_times)(o, Path(folder)))
    print("\n".join(lines))
    if o.out:
        o.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
