#!/usr/bin/env python3
"""Exports a network of torchvision for image classification, or EfficientNet-Lite0, to an .onnx file for tl.

The packages torch, torchvision and onnx are needed, for efficientnet_lite0 also efficientnet-lite-pytorch; with
onnxruntime the file's logits are compared with PyTorch's. Batch normalisation and the names of weights are kept, the
batch is open. The names of the classes and the preprocessing go into the file, as docs/file-formats.md describes.
"""
import argparse
import io
import os
import sys
import warnings
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple

try:
    import numpy as np
    import onnx
    import torch
    from torchvision import models
except ImportError as missing:
    sys.exit(f"export_onnx.py: {missing}; install it: python3 -m pip install torch torchvision onnx onnxruntime")

LITE0 = "efficientnet_lite0"
MOST = 1e-4  # difference of logits between PyTorch and onnxruntime, over the largest logit


class Source(NamedTuple):
    """A network and what belongs to its pretrained weights."""
    build: Callable[[], torch.nn.Module]     # the network, randomly initialised
    download: Callable[[], Dict]             # the state dictionary
    size: int                                # images are size x size
    labels: List[str]
    preprocess: str


def fail(text):
    sys.exit(f"export_onnx.py: {text}")


def lite0():
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        fail(f"{LITE0} needs a package: python3 -m pip install efficientnet-lite-pytorch")
    return Source(build=lambda: EfficientNet.from_name("efficientnet-lite0"),
                  download=lambda: fail(f"expected --weights FILE: bash weights/get.sh {LITE0} fetches it"), size=224,
                  labels=models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"],  # ImageNet's, in the same order
                  preprocess="resize=256,bicubic,crop=224,mean=127,std=128,rgb")


def specification(preset):
    """What tl reads, from torchvision's ImageClassification."""
    (resize,), (crop,) = preset.resize_size, preset.crop_size
    mean, std = ("/".join(f"{255 * x:g}" for x in values) for values in (preset.mean, preset.std))
    return f"resize={resize},{preset.interpolation.value},crop={crop},mean={mean},std={std},rgb"


def torchvision_source(name, file):
    """The entry of torchvision that belongs to the file of weights; the first without one."""
    if name not in models.list_models(module=models):
        fail(f"expected {LITE0} or a network of torchvision.models for image classification, got {name!r}")
    entries = list(models.get_model_weights(name))
    fitting = [entry for entry in entries if file is None or Path(entry.url).name == file.name]
    if not fitting:
        known = ", ".join(Path(entry.url).name for entry in entries)
        fail(f"expected weights of {name} under their own name, one of {known}, got {file}")
    preset = fitting[0].transforms()
    # Pretrained, these two change the channels' scale inside the network. init_weights is slow, and warns when left out.
    options = {"transform_input": True, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return Source(build=lambda: models.get_model(name, weights=None, **options),
                  download=lambda: fitting[0].get_state_dict(check_hash=True), size=preset.crop_size[0],
                  labels=fitting[0].meta["categories"], preprocess=specification(preset))


def load(source, file, random):
    torch.manual_seed(1)
    net = source.build()
    if not random:
        try:
            net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True) if file else source.download())
        except Exception as error:  # of many kinds: the file's format, its names, its shapes, the connection
            fail(f"the weights cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
    return net.eval()


def export(net, source, fold):
    """The checked bytes of the .onnx file."""
    mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a newer exporter: it does not keep batch normalisation
        torch.onnx.export(net, (torch.zeros(1, 3, source.size, source.size),), buffer, dynamo=False, training=mode,
                          do_constant_folding=fold, input_names=["image"], output_names=["logits"],
                          dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})
    model = onnx.load_from_string(buffer.getvalue())
    onnx.helper.set_model_props(model, {"tl.labels": "".join(f"{label}\n" for label in source.labels),
                                        "tl.preprocess": source.preprocess})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def compare(content, net, size):
    """What onnxruntime says to the file."""
    try:
        import onnxruntime
    except ImportError:
        return "not compared with PyTorch's logits, for want of onnxruntime"
    images = np.random.default_rng(1).normal(size=(2, 3, size, size)).astype(np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    got = session.run(["logits"], {"image": images})[0]
    with torch.no_grad():
        want = net(torch.from_numpy(images)).numpy()
    off = np.abs(got - want).max() / max(np.abs(want).max(), np.finfo(np.float32).tiny)  # random ones may all be 0
    if not off <= MOST:
        fail(f"expected PyTorch's logits from onnxruntime, got others: {off:.1e} of the largest; nothing was written")
    return f"onnxruntime gives PyTorch's logits within {off:.1e} of the largest"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help=f"{LITE0}, resnet18, or another network of torchvision.models")
    parser.add_argument("out", type=Path, metavar="OUT.onnx")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--weights", type=Path, metavar="FILE.pth",
                       help="as weights/get.sh fetches it (default: torchvision downloads its own)")
    start.add_argument("--random", action="store_true", help="random weights, with the pretrained ones' labels and preprocessing: to try the way")
    parser.add_argument("--fold", action="store_true", help="fold batch normalisation into the convolutions")
    o = parser.parse_args()
    if o.weights and not o.weights.is_file():
        fail(f"there is no file {o.weights}")
    if not o.out.parent.is_dir():
        fail(f"there is no folder {o.out.parent}")
    source = lite0() if o.name == LITE0 else torchvision_source(o.name, o.weights)
    net = load(source, o.weights, o.random)
    content = export(net, source, o.fold)
    checked = compare(content, net, source.size)
    beside = o.out.with_name(o.out.name + ".tmp")
    try:
        beside.write_bytes(content)
        os.replace(beside, o.out)
    except OSError as error:
        fail(f"{o.out} cannot be written: {error.strerror}")
    print(f"{o.out}: {len(source.labels)} classes, {source.preprocess}\n{checked}")


if __name__ == "__main__":
    main()
