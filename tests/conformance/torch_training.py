#!/usr/bin/env python3
"""torchvision's networks trained by tl and by PyTorch: gradients of all parameters, three steps of SGD, the saved file.

usage: torch_training.py TRAIN_STEPS [--only TEXT] [--out FILE.md]

TRAIN_STEPS is the program, built as target train_steps. The packages torch, torchvision, onnx and onnxruntime are
needed. Networks are exported with batch normalisation kept; dropout and stochastic depth drop nothing. The measure of
gradients is the largest difference over the largest value of that parameter's gradient; the table has the worst
parameter, whose name is printed. PyTorch's gradients in double are the truth.

An activation that lies on the kink of a ReLU to the precision of float falls on either side of it by rounding, and its
gradient comes or goes, in PyTorch's float as in tl's; so it is where two of a pool are the largest. So the networks as
they are are compared in double, with the statistics of the batch and with running ones, and in float with smooth
functions in place of those with kinks: each must be within 1e-3. The figures of float with kinks are given beside
them, tl's and PyTorch's own.

After three steps of SGD, with kinks and without, the logits of tl in inference must be onnxruntime's of the saved file
within 1e-4 of the largest; how far PyTorch's three steps are, without kinks, is given beside it. Exit status 1 when
something is more, or a network cannot be exported or read.
"""
import argparse
import copy
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torchvision
from torch.nn import functional

from networks import NETWORKS, coarse_images, difference, export, network, onnxruntime_logits

BATCH = 8
STEPS, GAIN = 3, 0.3  # a step's rate is to lower the loss by about this much
MOST_GRADIENT, MOST_LOGITS = 1e-3, 1e-4
HEADINGS = ["network", "parameters", "double, batch", "double, running", "float", "float, PyTorch", "file",
            "smooth, batch", "smooth, PyTorch", "smooth, running", "smooth, file", "steps"]


def image_size(name):
    """Small, for the time it takes; VGG's pooling can be exported for one size only."""
    return {"vgg11_bn": 224, "inception_v3": 107}.get(name, 64)


def trainable_network(name, images):
    """Nothing drops, and no two tensors are equal: the exporter would write them once, as one parameter.

    Running statistics are those of the images: with others the values may grow from layer to layer until rounding of
    the weights alone changes gradients by more than 1e-3.
    """
    net = network(name, image_size(name)).train()
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for module in net.modules():
        if isinstance(module, (torch.nn.Dropout, torchvision.ops.StochasticDepth)):
            module.p = 0.0
    with torch.no_grad():
        for parameter in net.parameters():
            if torch.all(parameter == parameter.flatten()[0]):
                parameter.mul_(torch.rand_like(parameter) + 0.5).add_(0.2 * torch.rand_like(parameter) - 0.1)
        for norm in norms:
            norm.reset_running_stats()
        net(torch.from_numpy(images))
    for norm in norms:
        norm.momentum = 0.1
    return net.eval()


def without_kinks():
    """While it lasts, smooth functions take the place of ReLU and its kin, average pools that of maximum pools."""
    def silu(x, *limits, inplace=False):
        return functional.silu(x)

    def sigmoid(x, inplace=False):
        return torch.sigmoid(x)

    def average(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        return functional.avg_pool2d(x, kernel_size, stride, padding, ceil_mode)
    return mock.patch.multiple(functional, relu=silu, hardtanh=silu, hardswish=silu, hardsigmoid=sigmoid,
                               max_pool2d=average)


def batch_for(name):
    """Squares with noise on them: equal neighbours would leave it to rounding which is the largest of a pool."""
    random = np.random.default_rng(6)
    images = coarse_images(BATCH, image_size(name))
    images += 0.3 * random.normal(size=images.shape).astype(np.float32)
    return images, random.integers(0, 1000, size=BATCH)


def loss_of(net, images, labels):
    return functional.cross_entropy(net(images), torch.from_numpy(labels))


def torch_gradients(net, batch, mode, dtype):
    images, labels = batch
    net = copy.deepcopy(net).to(dtype).train(mode == "train")
    loss_of(net, torch.from_numpy(images).to(dtype), labels).backward()
    return {name: parameter.grad.numpy() for name, parameter in net.named_parameters()}


def rate_for(gradients):
    """To first order a step lowers the loss by the rate times the square of the gradient."""
    return GAIN / sum(float((gradient ** 2).sum()) for gradient in gradients.values())


def torch_steps(net, batch, rate):
    """Logits in inference before and after the steps."""
    images, labels = torch.from_numpy(batch[0]), batch[1]
    with torch.no_grad():
        before = net(images).numpy()
    net = copy.deepcopy(net).train()
    sgd = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
    for _ in range(STEPS):
        sgd.zero_grad()
        loss_of(net, images, labels).backward()
        sgd.step()
    with torch.no_grad():
        return before, net.eval()(images).numpy()


def read_safetensors(path):
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:begin]).items():
        first, last = (begin + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[first:last], "<f4").reshape(entry["shape"])
    return tensors


class Tl:
    """The program, with a network and a batch in `folder`."""

    def __init__(self, program, folder, net, size, batch):
        self.program, self.folder, self.images = program.resolve(), folder, batch[0]
        export(net, "kept", size, folder / "network.onnx")
        np.save(folder / "images.npy", batch[0])
        np.save(folder / "labels.npy", batch[1])

    def run(self, *options):
        files = [self.folder / name for name in ("network.onnx", "images.npy", "labels.npy")]
        done = subprocess.run([self.program, *files, *options], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(" ".join(done.stderr.split()))

    def gradients(self, mode, dtype):
        self.run("--gradients", self.folder / "gradients", "--mode", mode, "--type", dtype)
        return read_safetensors(self.folder / "gradients")

    def steps(self, rate):
        """tl's logits, and onnxruntime's of the file that tl saved."""
        trained, logits = self.folder / "trained.onnx", self.folder / "logits.npy"
        self.run("--steps", str(STEPS), "--lr", str(rate), "--out", trained, "--logits", logits)
        return np.load(logits), onnxruntime_logits(trained, self.images)


def worst(got, truth):
    """Measure and name of the worst parameter; every parameter must be there.

    A matrix that the file's MatMul reads transposed is so in tl too. A gradient that is zero but for rounding, such as
    that of a bias in front of a batch normalisation, is measured by a thousandth of the network's largest.
    """
    if set(got) != set(truth):
        raise RuntimeError(f"parameters of one side only: {sorted(set(got) ^ set(truth))}")
    largest = max(np.abs(gradient).max() for gradient in truth.values())
    measures = {}
    for name, want in truth.items():
        own = np.abs(want).max()
        scale = own if own > 1e-12 * largest else 1e-3 * largest
        mine = got[name] if got[name].shape == want.shape else got[name].T
        measures[name] = float(np.abs(mine - want).max() / scale)
    name = max(measures, key=measures.get)
    return measures[name], name


class Row:
    """The cells of one network, and what is not good."""

    def __init__(self, name):
        self.cells, self.bad = [name], []

    def add(self, text):
        self.cells.append(text)

    def compare(self, got, truth, most=None):
        measure, name = worst(got, truth)
        print(f"  {HEADINGS[len(self.cells)]}: {measure:.1e}, {name}", flush=True)
        self.limit(measure, most)

    def limit(self, measure, most=None):
        if most is not None and not measure <= most:
            self.bad.append(f"{HEADINGS[len(self.cells)]}: {measure:.1e}")
        self.add(f"{measure:.1e}")


def check(name, program, folder):
    row, batch = Row(name), batch_for(name)
    net = trainable_network(name, batch[0])
    tl = Tl(program, folder, net, image_size(name), batch)
    truth = torch_gradients(net, batch, "train", torch.float64)
    row.add(str(len(truth)))
    row.compare(tl.gradients("train", "double"), truth, MOST_GRADIENT)
    row.compare(tl.gradients("eval", "double"), torch_gradients(net, batch, "eval", torch.float64), MOST_GRADIENT)
    row.compare(tl.gradients("train", "float"), truth)
    row.compare(torch_gradients(net, batch, "train", torch.float32), truth)
    logits, from_file = tl.steps(rate_for(truth))
    row.limit(difference(logits, from_file), MOST_LOGITS)

    with without_kinks():
        tl = Tl(program, folder, net, image_size(name), batch)
        truth = torch_gradients(net, batch, "train", torch.float64)
        row.compare(tl.gradients("train", "float"), truth, MOST_GRADIENT)
        row.compare(torch_gradients(net, batch, "train", torch.float32), truth)
        row.compare(tl.gradients("eval", "float"), torch_gradients(net, batch, "eval", torch.float64), MOST_GRADIENT)
        logits, from_file = tl.steps(rate_for(truth))
        before, after = torch_steps(net, batch, rate_for(truth))
    row.limit(difference(logits, from_file), MOST_LOGITS)
    row.limit(difference(logits, after))
    if difference(before, after) < 0.1:
        row.bad.append("three steps hardly change the logits")
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train_steps", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    o = parser.parse_args()
    warnings.filterwarnings("ignore")
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---|" * (len(HEADINGS) - 1)]
    names, bad = [name for name in NETWORKS if o.only in name], []
    for name in names:
        print(name, flush=True)
        try:
            with tempfile.TemporaryDirectory() as folder:
                row = check(name, o.train_steps, Path(folder))
            lines.append("| " + " | ".join(row.cells) + " |")
            print(lines[-1], flush=True)
            bad += [f"{name}: {text}" for text in row.bad]
        except Exception as error:  # not exported or not read: said here, counted as bad
            bad.append(f"{name}: {error}")
    lines += ["", f"{len(names)} networks; not good: {'; '.join(bad) or 'none'}."]
    print(lines[-1])
    if o.out:
        o.out.write_text("\n".join(lines) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
