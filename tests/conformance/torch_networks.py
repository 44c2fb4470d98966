#!/usr/bin/env python3
"""torchvision's networks as PyTorch's two exporters write them, run through `tl run` and onnxruntime.

usage: torch_networks.py TL [--only TEXT] [--out FILE.md]

TL is the program, build/bin/tl. The packages torch, torchvision, onnx, onnxscript and onnxruntime are needed. Every
network is exported by the older exporter with batch normalisation folded and kept, and with dynamo=True. Weights are
random; batch normalisations get random scales and shifts, and statistics from a pass in training mode, so that the
logits of different images differ: by how much those of the two that differ most do, over the largest logit, stands
in the table. Before it stands, for each file, the largest difference from onnxruntime's logits over the largest
logit, which must be at most 2e-4; exit status 1 when one is more or a file cannot be read.
"""
import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from networks import NETWORKS, coarse_images, difference, export, network, onnxruntime_logits

IMAGES = 8
KINDS = ["folded", "kept", "dynamo"]
MOST = 2e-4


def image_size(name):
    return 299 if name == "inception_v3" else 224


def compare(tl, path, name, folder):
    """What the table says, and whether it is good."""
    x = coarse_images(IMAGES, image_size(name))
    np.save(folder / "x.npy", x)
    want = onnxruntime_logits(path, x)
    apart = (want.max(axis=0) - want.min(axis=0)).max() / np.abs(want).max()  # of the two that differ most
    done = subprocess.run([tl, "run", path, "--input", f"image={folder / 'x.npy'}", "--output",
                           f"logits={folder / 'y.npy'}"], capture_output=True, text=True)
    if done.returncode != 0:
        return " ".join(done.stderr.split())[-200:].replace("|", "/"), False
    off = difference(np.load(folder / "y.npy"), want)
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
            net = network(name, image_size(name))
            cells = []
            for kind in KINDS:
                total += 1
                path = folder / "network.onnx"
                try:
                    export(net, kind, image_size(name), path)
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
