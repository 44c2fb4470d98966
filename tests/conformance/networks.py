"""torchvision's networks with random weights, PyTorch's exporters, and images: what the checks here share."""
import numpy as np
import onnxruntime
import torch
import torchvision

NETWORKS = ["resnet18", "resnet34", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "mobilenet_v2",
            "mobilenet_v3_small", "mnasnet1_0", "efficientnet_b0", "densenet121", "squeezenet1_1", "vgg11_bn",
            "shufflenet_v2_x1_0", "googlenet", "inception_v3", "regnet_x_400mf", "convnext_tiny"]


def network(name, size):
    """In inference, with the statistics of a pass of random images of this height and width."""
    torch.manual_seed(1)
    # inception_v3 begins with PyTorch's usual weights: docs/conformance.md tells why.
    options = {"aux_logits": False, "init_weights": name == "googlenet"} if name in ("googlenet", "inception_v3") else {}
    net = getattr(torchvision.models, name)(weights=None, **options)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
            module.momentum = None  # the mean of the passes that follow
    net.train()
    with torch.no_grad():
        net(torch.randn(8, 3, size, size))
    return net.eval()


def export(net, kind, size, path):
    """By the older exporter with batch normalisation "folded" or "kept", or by the "dynamo" one."""
    x = torch.zeros(2, 3, size, size)
    if kind == "dynamo":
        batch = torch.export.Dim("batch", min=2)  # shufflenet's own code treats a single image otherwise
        torch.onnx.export(net, (x,), str(path), dynamo=True, input_names=["image"], output_names=["logits"],
                          dynamic_shapes=({0: batch},), external_data=False, verbose=False)
        return
    mode = torch.onnx.TrainingMode.PRESERVE if kind == "kept" else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(net, (x,), str(path), dynamo=False, training=mode, do_constant_folding=kind == "folded",
                      input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})


def coarse_images(count, size):
    """Squares of random colours: fine noise alone would average out, and every image give the same logits."""
    colours = np.random.default_rng(5).normal(size=(count, 3, 5, 5))
    squares = np.kron(colours, np.ones((size // 5 + 1, size // 5 + 1)))
    return squares[:, :, :size, :size].astype(np.float32)


def onnxruntime_logits(path, images):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def difference(got, want):
    """The largest over the largest value."""
    return float(np.abs(got - want).max() / np.abs(want).max())
