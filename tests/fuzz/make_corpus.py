#!/usr/bin/env python3
"""Writes small files of every kind that the library reads, from which the fuzzers start, and which the ordinary tests replay.

usage: make_corpus.py FOLDER       one folder a target: FOLDER/onnx, FOLDER/npy, ...

Needs nothing but Python. Networks are one node each, a few together, and, with other weights, the graphs of exporters that stand
in tests/fixtures/onnx (onnx_seeds.py); images are those of tests/data/fixtures, files of
PyTorch those of tests/fixtures/pth.
"""
import json
import struct
import sys
from pathlib import Path

import onnx_seeds

TESTS = Path(__file__).resolve().parents[1]


def npy():
    def file(header, elements, version=1):
        length = struct.pack("<H" if version == 1 else "<I", len(header))
        return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + elements

    def header(descr, shape, order=False):
        return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n"

    yield "float", file(header("<f4", "(2, 3)"), struct.pack("<6f", *range(6)))
    yield "double_fortran", file(header("<f8", "(2, 3)", True), struct.pack("<6d", *range(6)))
    yield "int64", file(header("<i8", "(3,)"), struct.pack("<3q", -1, 0, 1 << 40))
    yield "bytes_version_2", file(header("|u1", "(1, 2, 2, 1)"), bytes(4), 2)
    yield "scalar", file(header("<f4", "()"), struct.pack("<f", 1))
    yield "empty", file(header("<f4", "(0, 5)"), b"", 3)


def named_tensors(tensors, metadata=None):
    """The bytes of a .safetensors file; `tensors` is {name: shape}, and the elements count up."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, shape in tensors.items():
        count = 1
        for extent in shape:
            count *= extent
        elements = struct.pack(f"<{count}f", *range(count))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(elements)]}
        data += elements
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors():
    yield "two", named_tensors({"fc.weight": [2, 3], "fc.bias": [2]}, {"epochs": "1", "name": "\u00e4"})
    yield "scalar_and_empty", named_tensors({"s": [], "e": [0, 4]})
    yield "none", named_tensors({})


def checkpoint():
    model = {"model/weight": [2, 3], "model/bias": [2]}
    yield "model", named_tensors(model, {"epochs": "1"})
    yield "momentum", named_tensors({**model, "velocity/0/weight": [2, 3], "velocity/0/bias": [2]})
    state = {"fit": "1 2 2 0.5 0.25 1", "fit.moving": "2 3 0.5 0 2 3 1", "fit.epoch0": "0 2 4 0.5 0.75 1e-1",
             "fit.epoch0.valid": "2 4 0.25 0 2 1 1 3 1"}
    yield "fit", named_tensors({**model, "kept/best/weight": [2, 3], "kept/best/bias": [2]}, state)
    yield "other", named_tensors({"model/weight": [3, 3], "model/bias": [3]})


def image():
    for file in sorted((TESTS / "data" / "fixtures").iterdir()):
        if file.suffix in (".jpg", ".png", ".bmp"):
            yield file.name, file.read_bytes()


def pth():
    for path in sorted((TESTS / "fixtures" / "pth").glob("*.pth")):
        yield path.stem, path.read_bytes()


def labels():
    images = [file.name for file in sorted((TESTS / "data" / "fixtures").glob("*.png"))][:3]
    yield "csv", "".join(f"{name},{label}\n" for name, label in zip(images, ("cat", "dog", "cat"))).encode()
    yield "heading_and_quotes", f'path,label\r\n"{images[0]}","a ""cat"""\r\n\r\n'.encode()
    yield "tabs", f"\ufeff{images[0]}\tcat\tand more\n".encode()
    yield "indices", "".join(f"{name} {i}\n" for i, name in enumerate(images)).encode()


def preprocess():
    yield "short", b"resize=256,bicubic,crop=224,mean=127,std=128,rgb"
    yield "imagenet", b"resize=256,bilinear,crop=224,mean=123.675/116.28/103.53,std=58.395/57.12/57.375,rgb"
    yield "exact", b"resize=12x10, nearest, crop=8x9, bgr"
    yield "small", b"resize=6,crop=5,std=1e-3"


TARGETS = {"checkpoint": checkpoint, "image": image, "labels": labels, "npy": npy, "onnx": onnx_seeds.seeds,
           "preprocess": preprocess, "pth": pth, "safetensors": safetensors}


def main():
    root = Path(sys.argv[1])
    for target, seeds in TARGETS.items():
        (root / target).mkdir(parents=True, exist_ok=True)
        for name, content in seeds():
            (root / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
