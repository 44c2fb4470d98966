#!/usr/bin/env python3
"""The other contestants of compare.py, with the same lines as contestant.cpp.

usage: peers.py onnxruntime|openvino|opencv|torch|torch_nhwc NETWORK MODEL.onnx WORK BATCH SIZE THREADS [PHOTOS]

Each gets what its own documentation recommends for speed. PyTorch makes the network NETWORK from torchvision;
the others read the file.
"""
import os
import sys
import time
from pathlib import Path


def images(batch, size):
    import numpy

    return numpy.random.default_rng(1).uniform(-1, 1, (batch, 3, size, size)).astype(numpy.float32)


def onnxruntime(model, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL

    def load():
        session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda x: session.run(None, {name: x})

    return load


def openvino(model, threads):
    import openvino as ov

    core = ov.Core()
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}

    def load():
        request = core.compile_model(str(model), "CPU", settings).create_infer_request()
        return lambda x: request.infer([x], share_inputs=True, share_outputs=True)

    return load


def opencv(model, threads):
    import cv2

    cv2.setNumThreads(threads)

    def load():
        net = cv2.dnn.readNetFromONNX(str(model))

        def run(x):
            net.setInput(x)
            return net.forward()

        return run

    return load


def torch_inference(network, threads, layout):
    import torch
    import torchvision

    torch.set_num_threads(threads)

    def load():
        net = getattr(torchvision.models, network)(weights=None).eval().to(memory_format=layout)
        net = torch.fx.experimental.optimization.fuse(net)  # batch normalisation into the convolutions

        def run(x):
            with torch.inference_mode():
                return net(torch.as_tensor(x).contiguous(memory_format=layout)).numpy()

        return run

    import torch.fx.experimental.optimization
    return load


def resnet_small():
    """The network of examples/pretrain."""
    from torch import nn
    from torchvision.models.resnet import BasicBlock, resnet18

    net = resnet18(weights=None)
    net.inplanes = 32
    net.conv1, net.bn1 = nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32)
    net.maxpool = nn.Identity()
    for i in range(4):
        setattr(net, f"layer{i + 1}", net._make_layer(BasicBlock, 32 << i, 2, stride=1 if i == 0 else 2))
    net.fc = nn.Linear(256, 200)
    assert sum(p.numel() for p in net.parameters()) == 2_846_440  # as the file of weights has
    return net


def torch_training(network, work, batch, size, threads, layout):
    import torch
    import torchvision

    torch.set_num_threads(threads)

    def load():
        net = resnet_small() if network == "resnet_small" else getattr(torchvision.models, network)(weights=None)
        net = net.train().to(memory_format=layout)
        x = torch.as_tensor(images(batch, size)).contiguous(memory_format=layout)
        labels = torch.arange(batch) % 10
        if work == "head":
            net.eval().requires_grad_(False)
            net.fc.requires_grad_(True)
        sgd = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=1e-4, momentum=0.9)
        loss = torch.nn.CrossEntropyLoss()

        def step():
            loss(net(x), labels).backward()
            sgd.step()
            sgd.zero_grad()

        return step

    return load


class Photos:
    """The JPEG files of a folder as torchvision's users read them."""

    def __init__(self, folder):
        from torchvision import transforms

        self.paths = sorted(Path(folder).iterdir())
        self.steps = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
                                         transforms.Normalize([127 / 255] * 3, [128 / 255] * 3)])

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        from PIL import Image

        return self.steps(Image.open(self.paths[index]).convert("RGB"))


def main():
    name, network, model, work, batch, size, threads = sys.argv[1:8]
    batch, size, threads = int(batch), int(size), int(threads)
    if work in ("train", "head"):
        import torch

        layout = torch.channels_last if name == "torch_nhwc" else torch.contiguous_format
        load_step = torch_training(network, work, batch, size, threads, layout)
    else:
        if name in ("torch", "torch_nhwc"):
            import torch

            layout = torch.channels_last if name == "torch_nhwc" else torch.contiguous_format
            load = torch_inference(network, threads, layout)
        else:
            load = {"onnxruntime": onnxruntime, "openvino": openvino, "opencv": opencv}[name](model, threads)

        def load_step():
            run = load()
            if work == "infer":
                x = images(batch, size)
                return lambda: run(x)
            from torch.utils.data import DataLoader

            loader = DataLoader(Photos(sys.argv[8]), batch_size=batch, num_workers=threads)

            def step():
                for photos in loader:
                    run(photos.numpy())

            return step

    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    begin = time.perf_counter()
    step = load_step()
    step()
    print(1e3 * (time.perf_counter() - begin), status["VmRSS"].split()[0], flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        step()
        print(1e3 * (time.perf_counter() - begin), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    main()
