#!/usr/bin/env python3
"""tl against onnxruntime (inference) and PyTorch (training), in turn, in one run on one machine.

usage: compare.py [--pairs N] [--threads N] [--only TEXT] [--contestant PROGRAM] [--models FOLDER]

Prints a Markdown table: median of each contestant's milliseconds, and the median of the ratios of neighbouring
runs with the interval that holds the middle half of them. Needs torch, torchvision, onnx, onnxruntime, numpy
(pip install). Networks have random weights, exported as users export them: BatchNormalization folded for inference,
kept for training.
"""
import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# what, network, work, batch, image size
ROUNDS = [
    ("ResNet-18 inference, batch 1", "resnet18", "infer", 1, 224),
    ("ResNet-18 inference, batch 16", "resnet18", "infer", 16, 224),
    ("ResNet-50 inference, batch 1", "resnet50", "infer", 1, 224),
    ("ResNet-50 inference, batch 16", "resnet50", "infer", 16, 224),
    ("EfficientNet-Lite0 inference, batch 1", "efficientnet_lite0", "infer", 1, 224),
    ("EfficientNet-Lite0 inference, batch 16", "efficientnet_lite0", "infer", 16, 224),
    ("ResNet-18 training step, batch 16", "resnet18", "train", 16, 224),
    ("ResNet-50 training step, batch 16", "resnet50", "train", 16, 224),
    ("ResNet-18 head-only step, batch 16", "resnet18", "head", 16, 224),
]


def export(network, training, folder, models):
    """The .onnx file of a network, made once."""
    if network == "efficientnet_lite0":
        return models / "efficientnet_lite0.onnx"
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


class Tl:
    def __init__(self, program, model, work, batch, size, threads):
        self.process = subprocess.Popen([program, model, work, str(batch), str(size), str(threads)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline().split()[0])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class OnnxRuntime:
    name = "onnxruntime"

    def __init__(self, model, batch, size, threads):
        import numpy
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        image = numpy.random.default_rng(1).uniform(-1, 1, (batch, 3, size, size)).astype(numpy.float32)
        self.inputs = {self.session.get_inputs()[0].name: image}

    def step(self):
        begin = time.perf_counter()
        self.session.run(None, self.inputs)
        return 1e3 * (time.perf_counter() - begin)


class PyTorch:
    def __init__(self, network, work, batch, size, threads, channels_last):
        import torch
        import torchvision

        torch.set_num_threads(threads)
        self.name = "PyTorch, channels last" if channels_last else "PyTorch"
        self.net = getattr(torchvision.models, network)(weights=None).train()
        self.images = torch.rand(batch, 3, size, size) * 2 - 1
        if channels_last:
            self.net = self.net.to(memory_format=torch.channels_last)
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        self.labels = torch.arange(batch) % 10
        if work == "head":
            self.net.eval()
            for parameter in self.net.parameters():
                parameter.requires_grad = False
            self.net.fc.requires_grad_(True)
        trained = [p for p in self.net.parameters() if p.requires_grad]
        self.sgd = torch.optim.SGD(trained, lr=1e-4, momentum=0.9)
        self.loss = torch.nn.CrossEntropyLoss()

    def step(self):
        begin = time.perf_counter()
        self.loss(self.net(self.images), self.labels).backward()
        self.sgd.step()
        self.sgd.zero_grad()
        return 1e3 * (time.perf_counter() - begin)


def turn(contestant, steps):
    """Milliseconds of a step: the median of some, after a rest and one step that is not counted.

    The rest lets the threads of the contestant before go to sleep: they wait actively for a while, on the same
    processors. The first step finds its memory and its weights in the caches of nobody.
    """
    time.sleep(0.2)
    contestant.step()
    return statistics.median(contestant.step() for _ in range(steps))


def play(contestants, pairs):
    """Milliseconds of each contestant, one after the other, `pairs` times."""
    slowest = max(turn(contestant, 1) for contestant in contestants)
    steps = max(1, min(9, int(300 / slowest)))
    times = [[] for _ in contestants]
    for _ in range(pairs):
        for contestant, list_ in zip(contestants, times):
            list_.append(turn(contestant, steps))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="")
    parser.add_argument("--contestant", default=ROOT / "build" / "bin" / "contestant")
    parser.add_argument("--models", type=Path, default=ROOT.parent / "shared" / "models")
    o = parser.parse_args()

    print("| work | tl, ms | peer, ms | peer | tl is faster by (middle half) |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for what, network, work, batch, size in ROUNDS:
            if o.only not in what:
                continue
            model = export(network, work != "infer", Path(folder), o.models)
            if not model.exists():
                print(f"| {what} | skipped: {model.name} is not there | | | |")
                continue
            tl = Tl(o.contestant, model, work, batch, size, o.threads)
            if work == "infer":
                peers = [OnnxRuntime(model, batch, size, o.threads)]
            else:
                peers = [PyTorch(network, work, batch, size, o.threads, last) for last in (False, True)]
            ours, *theirs = play([tl, *peers], o.pairs)
            tl.close()
            best = min(range(len(peers)), key=lambda i: statistics.median(theirs[i]))
            ratios = sorted(b / a for a, b in zip(ours, theirs[best]))
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(f"| {what} | {statistics.median(ours):.1f} | {statistics.median(theirs[best]):.1f} | {peers[best].name} "
                  f"| {middle:.2f} ({low:.2f} to {high:.2f}) |", flush=True)


if __name__ == "__main__":
    main()
