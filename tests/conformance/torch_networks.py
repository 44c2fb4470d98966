#!/usr/bin/env python3
"""torchvision's networks as PyTorch's two exporters write them, run through `tl run` and onnxruntime.

usage: torch_networks.py TL [--only TEXT] [--out FILE.md]

TL is the program, build/bin/tl. The packages torch, torchvision, onnx, onnxscript and onnxruntime are needed. Every
network is exported by the older exporter with batch normalisation folded and kept, and with dynamo=True. Weights are
random; batch normalisations get random scales and shifts, and statistics from a pass in training mode, so that the
logits of different images differ. The table holds, for each file, the largest difference of logits over the largest
logit, which must be at most 2e-4; exit status 1 when one is more or a file cannot be read.
"""
import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torchvision

NETWORKS = ["resnet18", "resnet34", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "mobilenet_v2",
            "mobilenet_v3_small", "mnasnet1_0", "efficientnet_b0", "densenet121", "squeezenet1_1", "vgg11_bn",
            "shufflenet_v2_x1_0", "googlenet", "inception_v3", "regnet_x_400mf", "convnext_tiny"]
KINDS = ["folded", "kept", "dynamo"]
MOST = 2e-4


def network(name):
    torch.manual_seed(1)
    options = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    net = getattr(torchvision.models, name)(weights=None, **options)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
            module.momentum = None  # the mean of the passes that follow
    net.train()
    with torch.no_grad():
        net(torch.randn(8, 3, *image_size(name)))
    return net.eval()


def image_size(name):
    return (299, 299) if name == "inception_v3" else (224, 224)


def export(net, name, kind, path):
    x = torch.zeros(2, 3, *image_size(name))
    if kind == "dynamo":
        torch.onnx.export(net, (x,), str(path), dynamo=True, input_names=["image"], output_names=["logits"],
                          dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False, verbose=False)
        return
    mode = torch.onnx.TrainingMode.PRESERVE if kind == "kept" else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(net, (x,), str(path), dynamo=False, training=mode, do_constant_folding=kind == "folded",
                      input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})


def compare(tl, path, name, folder):
    """What the table says, and whether it is good."""
    height, width = image_size(name)
    coarse = np.random.default_rng(5).normal(size=(2, 3, 5, 5))  # fine noise alone would average out
    x = np.kron(coarse, np.ones((height // 5 + 1, width // 5 + 1)))[:, :, :height, :width].astype(np.float32)
    np.save(folder / "x.npy", x)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    want = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, {"image": x})[0]
    apart = np.abs(want[0] - want[1]).max() / np.abs(want).max()
    done = subprocess.run([tl, "run", path, "--input", f"image={folder / 'x.npy'}", "--output",
                           f"logits={folder / 'y.npy'}"], capture_output=True, text=True)
    if done.returncode != 0:
        return " ".join(done.stderr.split())[-200:].replace("|", "/"), False
    off = np.abs(np.load(folder / "y.npy") - want).max() / np.abs(want).max()
    return f"{off:.1e} (images differ by {apart:.2f})", bool(off <= MOST and apart > 0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tl", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    o = parser.parse_args()
    warnings.filterwarnings("ignore")
    lines = ["| network | " + " | ".join(KINDS) + " |", "|---|" + "---|" * len(KINDS)]
    good = total = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name in NETWORKS:
            if o.only not in name:
                continue
            net = network(name)
            cells = []
            for kind in KINDS:
                total += 1
                path = folder / "network.onnx"
                try:
                    export(net, name, kind, path)
                except Exception as error:  # the exporter's own limits
                    cells.append(f"cannot be exported: {type(error).__name__}")
                    continue
                text, fits = compare(o.tl.resolve(), path, name, folder)
                good += fits
                cells.append(text)
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    lines.append("")
    lines.append(f"{good} of {total} files give onnxruntime's logits within {MOST:g}.")
    print(lines[-1])
    if o.out:
        o.out.write_text("\n".join(lines) + "\n")
    return 0 if good == total else 1


if __name__ == "__main__":
    sys.exit(main())
