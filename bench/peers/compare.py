#!/usr/bin/env python3
"""tl against onnxruntime, OpenVINO, OpenCV and PyTorch, in turn, in one run on one machine.

usage: compare.py [--pairs N] [--threads N] [--only TEXT] [--peers NAME,...] [--models FOLDER] [--photos FOLDER]
                  [--out FILE]

Prints a Markdown table. For every piece of work each contestant runs in a process of its own, one after the other,
N times over: median and best of its milliseconds, the median of how many times as fast tl was in neighbouring turns
with the interval that holds the middle half of them, and the peak of the memory that came on top of the program and
its libraries. bench/peers/run.sh installs the contestants and starts this; networks have random weights and are
exported as users export them: batch normalisation folded for inference, kept for training.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READERS = ["onnxruntime", "openvino", "opencv"]  # of .onnx files
TORCH = ["torch", "torch_nhwc"]
NAMES = {"tl": "**tl**", "onnxruntime": "onnxruntime", "openvino": "OpenVINO", "opencv": "OpenCV dnn",
         "torch": "PyTorch", "torch_nhwc": "PyTorch, channels last"}


@dataclass
class Round:
    what: str
    network: str
    work: str = "infer"
    batch: int = 16
    peers: list = field(default_factory=lambda: READERS + TORCH)
    size: int = 224
    measure: str = "step"  # or "load": from the file to the first result


ROUNDS = [
    Round("ResNet-18 inference, batch 1", "resnet18", batch=1),
    Round("ResNet-18 inference, batch 16", "resnet18"),
    Round("ResNet-50 inference, batch 1", "resnet50", batch=1),
    Round("ResNet-50 inference, batch 16", "resnet50"),
    Round("EfficientNet-Lite0 inference, batch 1", "efficientnet_lite0", batch=1, peers=READERS),
    Round("EfficientNet-Lite0 inference, batch 16", "efficientnet_lite0", peers=READERS),
    Round("ResNet-18 training step, batch 16", "resnet18", "train", peers=TORCH),
    Round("ResNet-50 training step, batch 16", "resnet50", "train", peers=TORCH),
    *(Round(f"step of examples/pretrain, {size} px, batch 128", "resnet_small", "train", 128, TORCH, size)
      for size in (32, 48, 64)),
    Round("ResNet-18 head-only step, batch 16", "resnet18", "head", peers=TORCH),
    Round("ResNet-50 from the file to the first logits", "resnet50", batch=1, peers=READERS, measure="load"),
    Round("200 JPEG photos from the disk to logits, EfficientNet-Lite0", "efficientnet_lite0", "photos",
          peers=["onnxruntime"]),
]
# tl against itself, in turn: what, the two sides as (environment, threads, batch, size), images of each step.
SELF = [
    ("two processors against one, ResNet-18, batch 16", ({}, 1, 16, 224), ({}, None, 16, 224)),
    ("AVX-512 against AVX2, ResNet-18, batch 1", ({"TL_ISA": "avx2"}, None, 1, 224), ({}, None, 1, 224)),
    ("AVX-512 against AVX2, ResNet-18, batch 16", ({"TL_ISA": "avx2"}, None, 16, 224), ({}, None, 16, 224)),
    ("Winograd against direct sums, ResNet-18, batch 16", ({"TL_WINOGRAD": "0"}, None, 16, 224), ({}, None, 16, 224)),
    ("an image of a batch of 64 against one of 4, ResNet-18", ({}, None, 4, 224), ({}, None, 64, 224)),
    ("a pixel at 224 against one at 112, ResNet-18, batch 16", ({}, None, 16, 112), ({}, None, 16, 224)),
    ("a pixel at 448 against one at 224, ResNet-18, batch 16", ({}, None, 16, 224), ({}, None, 16, 448)),
]
# Sizes at which the share of the machine's peak is measured.
SHARES = [112, 224, 448]


def gigaflops(network, size):
    """What the direct sums of one image need; Winograd's need less."""
    import torch
    import torchvision
    from torch.utils.flop_counter import FlopCounterMode

    net = getattr(torchvision.models, network)(weights=None).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 3, size, size))
    return counter.get_total_flops() / 1e9


def export(network, training, folder, models):
    """The .onnx file of a network, made once."""
    if network == "efficientnet_lite0":
        return models / "efficientnet_lite0.onnx"
    if network == "resnet_small":
        return ROOT / "weights" / "resnet_small.onnx"
    import torch
    import torchvision

    path = folder / f"{network}_{'train' if training else 'eval'}.onnx"
    if not path.exists():
        torch.manual_seed(1)
        net = getattr(torchvision.models, network)(weights=None).eval()
        mode = torch.onnx.TrainingMode.PRESERVE if training else torch.onnx.TrainingMode.EVAL
        torch.onnx.export(net, torch.zeros(1, 3, 224, 224), str(path), dynamo=False, training=mode,
                          do_constant_folding=not training, input_names=["image"], output_names=["logits"],
                          dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})
    return path


class Contestant:
    """A process that answers every line with the milliseconds of one step."""

    def __init__(self, command, environment=None):
        self.process = subprocess.Popen([str(word) for word in command], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env={**os.environ, **(environment or {})})
        answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            self.close()
            raise RuntimeError(f"{command[0]} could not start")
        self.load_ms, self.base_kb = float(answer[0]), int(answer[1])

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def peak_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return (int(peak.split()[1]) - self.base_kb) / 1024

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def turn(contestant, steps):
    """Milliseconds of a step: the median of some, after a rest and one step that is not counted.

    The rest lets the threads of the contestant before go to sleep: they wait actively for a while, on the same
    processors. The first step finds its memory and its weights in the caches of nobody.
    """
    time.sleep(0.2)
    contestant.step()
    return statistics.median(contestant.step() for _ in range(steps))


def play_steps(start, names, pairs):
    """{name: milliseconds of each turn}, {name: peak memory in MB}; contestants that cannot do it are left out."""
    contestants = {}
    for name in names:
        try:
            contestants[name] = start(name)
        except RuntimeError:
            pass
    slowest = max(turn(contestant, 1) for contestant in contestants.values())
    steps = max(1, min(9, int(300 / slowest)))
    times = {name: [] for name in contestants}
    for _ in range(pairs):
        for name, contestant in contestants.items():
            times[name].append(turn(contestant, steps))
    memory = {name: contestant.peak_mb() for name, contestant in contestants.items()}
    for contestant in contestants.values():
        contestant.close()
    return times, memory


def play_loads(start, names, pairs):
    """The same for the way from the file to the first result, each in a new process."""
    times, memory = {name: [] for name in names}, {}
    for _ in range(pairs):
        for name in names:
            time.sleep(0.2)
            contestant = start(name)
            times[name].append(contestant.load_ms)
            memory[name] = contestant.peak_mb()
            contestant.close()
    return times, memory


def ratio(ours, theirs):
    """How many times as fast `ours` is: median of the pairs and their middle half."""
    low, middle, high = statistics.quantiles((b / a for a, b in zip(ours, theirs)), n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="")
    parser.add_argument("--peers", default=",".join(READERS + TORCH), help="those of these that can do the work")
    parser.add_argument("--contestant", default=ROOT / "build" / "bin" / "contestant")
    parser.add_argument("--models", type=Path, default=ROOT.parent / "shared" / "models")
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared" / "data" / "imagenet-samples")
    parser.add_argument("--out", type=Path, help="a file for the tables, too")
    o = parser.parse_args()

    lines = []

    def say(line):
        lines.append(line)
        print(line, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        photos = folder / "photos"
        photos.mkdir()
        for photo in sorted(o.photos.glob("*.jp*g"))[:200] if o.photos.is_dir() else []:
            (photos / photo.name).symlink_to(photo.resolve())
        say("| work | contestant | median, ms | best, ms | tl is faster by (middle half) | memory, MB |\n|---|---|---|---|---|---|")
        for r in ROUNDS:
            if o.only not in r.what:
                continue
            model = export(r.network, r.work in ("train", "head"), folder, o.models)
            if not model.exists() or (r.work == "photos" and not any(photos.iterdir())):
                say(f"| {r.what} | skipped: its files are not there | | | | |")
                continue

            def start(name):
                work = [model, r.work, r.batch, r.size, o.threads] + ([photos] if r.work == "photos" else [])
                return Contestant([o.contestant, *work] if name == "tl" else
                                  [sys.executable, Path(__file__).with_name("peers.py"), name, r.network, *work])

            play = play_loads if r.measure == "load" else play_steps
            peers = [name for name in r.peers if name in o.peers.split(",")]
            times, memory = play(start, ["tl", *peers], o.pairs)
            for name, list_ in times.items():
                faster = "" if name == "tl" else ratio(times["tl"], list_)
                say(f"| {r.what} | {NAMES[name]} | {statistics.median(list_):.1f} | {min(list_):.1f} | {faster} "
                    f"| {memory[name]:.0f} |")
        say("\n| tl against itself | ratio of speeds (middle half) |\n|---|---|")
        for what, one, two in SELF:
            if o.only not in what:
                continue
            model = export("resnet18", False, folder, o.models)
            sides = {"one": one, "two": two}

            def start(name):
                environment, threads, batch, size = sides[name]
                return Contestant([o.contestant, model, "infer", batch, size, threads or o.threads], environment)

            times, _ = play_steps(start, list(sides), o.pairs)
            for name, (_, _, batch, size) in sides.items():
                times[name] = [ms / (batch * size * size) for ms in times[name]]
            say(f"| {what} | {ratio(times['two'], times['one'])} |")
        say("\n| ResNet-18, batch 16 | GFLOP/s | multiply-adds in registers, GFLOP/s | share (middle half) |\n|---|---|---|---|")
        for size in SHARES:
            if o.only not in f"share of the peak at {size} px":
                continue
            model = export("resnet18", False, folder, o.models)
            work = 16 * gigaflops("resnet18", size)
            times, _ = play_steps(lambda name: Contestant([o.contestant, model, name, 16, size, o.threads]),
                                  ["infer", "peak"], o.pairs)
            speed = [1000 * work / ms for ms in times["infer"]]
            say(f"| {size} px | {statistics.median(speed):.0f} | {statistics.median(times['peak']):.0f} "
                f"| {ratio(times['peak'], speed)} |")
    if o.out:
        o.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
