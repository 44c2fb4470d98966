#!/usr/bin/env python3
"""A model of tl's in onnxruntime: prepares photos as the file says, and names their classes.

usage: other_runtime.py MODEL.onnx IMAGE...      needs the packages onnxruntime, numpy and Pillow
"""
import sys

# [model]
import numpy as np
import onnxruntime
from PIL import Image, ImageOps


class Model:
    """An .onnx file that tl finetune or tl export wrote, with labels and preprocessing inside."""

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path)
        about = self.session.get_modelmeta().custom_metadata_map
        classes = self.session.get_outputs()[0].shape[-1]
        self.labels = about["tl.labels"].split("\n") if "tl.labels" in about else [str(i) for i in range(classes)]
        self.spec = dict((*part.strip().split("=", 1), "")[:2] for part in about["tl.preprocess"].split(","))

    def prepared(self, path):
        """(3,H,W) of an image file: resized, cut, normalised."""
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        kind = {"nearest": Image.NEAREST, "bicubic": Image.BICUBIC}
        kind = next((kind[word] for word in self.spec if word in kind), Image.BILINEAR)
        if "x" in self.spec.get("resize", ""):
            height, width = map(int, self.spec["resize"].split("x"))
            image = image.resize((width, height), kind)
        elif "resize" in self.spec:
            short, (width, height) = int(self.spec["resize"]), image.size
            image = image.resize((max(short, short * width // height), max(short, short * height // width)), kind)
        if "crop" in self.spec:
            height, width = map(int, (self.spec["crop"].split("x") * 2)[:2])
            left, top = round((image.width - width) / 2), round((image.height - height) / 2)
            image = image.crop((left, top, left + width, top + height))
        x = np.asarray(image, np.float32)
        if "bgr" in self.spec:
            x = x[..., ::-1]
        mean, std = (np.array(self.spec.get(key, default).split("/"), np.float32) for key, default in (("mean", "0"), ("std", "1")))
        return ((x - mean) / std).transpose(2, 0, 1)

    def probabilities(self, paths):
        logits = self.session.run(None, {self.session.get_inputs()[0].name: np.stack([self.prepared(p) for p in paths])})[0]
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
# [/model]


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    model = Model(sys.argv[1])
    for path in sys.argv[2:]:
        p = model.probabilities([path])[0]
        best = p.argsort()[::-1][:3]
        print(f"{path}: " + ", ".join(f"{model.labels[i]} {100 * p[i]:.1f} %" for i in best))
