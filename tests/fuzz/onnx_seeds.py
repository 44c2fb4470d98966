"""Small ONNX models, written without the package onnx: seeds of the fuzzer.

A message is a list of fields (number, value); the numbers are those of onnx.proto3. An int becomes a varint, a float four bytes;
bytes, text and lists (inner messages) are preceded by their length.
"""
import math
import struct
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "onnx"
FLOAT, INT64 = 1, 7
LATEST = 17


# ---- Wire format ---------------------------------------------------------------------------------------

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def encode(fields):
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            data = encode(value) if isinstance(value, list) else value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(data):
    """The fields of a message; inner ones stay bytes."""
    at, fields = 0, []

    def take_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = take_varint()
        if key & 7 == 0:
            fields.append((key >> 3, take_varint()))
        else:
            length = {1: 8, 5: 4}.get(key & 7) or take_varint()
            value = data[at:at + length]
            fields.append((key >> 3, struct.unpack("<f", value)[0] if key & 7 == 5 else value))
            at += length
    return fields


# ---- Models --------------------------------------------------------------------------------------------

def tensor(name, shape, values=None):
    """Floats that differ, or the numbers given."""
    if values is None:
        values = [(i % 7 - 2) / 4 for i in range(math.prod(shape))]
    kind = FLOAT if any(isinstance(value, float) for value in values) else INT64
    data = struct.pack(f"<{len(values)}{'f' if kind == FLOAT else 'q'}", *values)
    return [*((1, extent) for extent in shape), (2, kind), (8, name), (9, data)]


def attribute(name, value):
    if isinstance(value, float):
        return [(1, name), (2, value), (20, 1)]
    if isinstance(value, int):
        return [(1, name), (3, value), (20, 2)]
    if isinstance(value, str):
        return [(1, name), (4, value), (20, 3)]
    if isinstance(value, tuple):  # a tensor: (shape, whole numbers)
        return [(1, name), (5, tensor("", *value)), (20, 4)]
    if value and isinstance(value[0], float):
        return [(1, name), (7, struct.pack(f"<{len(value)}f", *value)), (20, 6)]
    return [(1, name), *((8, item) for item in value), (20, 7)]


def node(op, inputs, outputs, **attributes):
    return [*((1, name) for name in inputs), *((2, name) for name in outputs), (3, op.lower()), (4, op),
            *((5, attribute(*item)) for item in attributes.items())]


def declared(name, shape, kind=FLOAT):
    dims = [(1, [(2, extent) if isinstance(extent, str) else (1, extent)]) for extent in shape]
    return [(1, name), (2, [(1, [(1, kind), (2, dims)])])]


def model(nodes, tensors, x, opset=LATEST, outputs=("y",), metadata=()):
    graph = [*((1, n) for n in nodes), (2, "g"), *((5, t) for t in tensors), (11, declared("x", x)),
             *((12, declared(name, ["n"])) for name in outputs)]
    return encode([(1, 8), (2, "seed"), (7, graph), (8, [(1, ""), (2, opset)]),
                   *((14, [(1, key), (2, value)]) for key, value in metadata)])


IMAGE = ["n", 4, 6, 5]

# One node each: operator, inputs behind x (a shape: a weight; a list in a tuple: numbers), attributes.
# `x` is the input's shape, `opset` the operator set, `more` the number of outputs behind the first.
NODES = [
    *((op, [], {}) for op in ("Abs Elu Erf Exp Flatten GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity LeakyRelu "
                              "Log LogSoftmax Neg Relu Selu Sigmoid Softmax Softplus Sqrt Tanh Transpose Dropout").split()),
    *((op, [[4, 1, 1]], {}) for op in ("Add", "Sub", "Mul", "Div", "PRelu", "Sum")),
    ("Mish", [], {"opset": 18}), ("Gelu", [], {"opset": 20, "approximate": "tanh"}),
    ("Add", [[4]], {"opset": 6, "broadcast": 1, "axis": 1}),
    ("Pow", [[]], {}), ("Min", [[]], {}), ("Max", [[]], {}), ("Clip", [[], []], {}), ("Clip", [], {"opset": 6, "min": 0.0}),
    ("Cast", [], {"to": 10}), ("Softmax", [], {"opset": 12, "axis": 1}),
    ("AveragePool", [], {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1], "count_include_pad": 1}),
    ("MaxPool", [], {"kernel_shape": [2, 2], "dilations": [2, 1], "ceil_mode": 1}),
    ("MaxPool", [], {"kernel_shape": [3], "auto_pad": "SAME_UPPER", "x": ["n", 4, 9]}),
    ("Conv", [[6, 4, 3, 3], [6]], {"pads": [1, 1, 1, 1], "strides": [2, 1]}),
    ("Conv", [[4, 1, 3, 3]], {"group": 4, "auto_pad": "SAME_LOWER"}),
    ("Conv", [[3, 4, 3]], {"dilations": [2], "x": ["n", 4, 9]}),
    ("ConvTranspose", [[4, 2, 3, 3], [2]], {"strides": [2, 2], "output_padding": [1, 1], "output_shape": [11, 10]}),
    ("BatchNormalization", [[4]] * 4, {"epsilon": 0.001, "momentum": 0.9}),
    ("InstanceNormalization", [[4], [4]], {}), ("LayerNormalization", [[5], [5]], {"axis": -1}),
    ("GroupNormalization", [[2], [2]], {"opset": 18, "num_groups": 2}), ("LRN", [], {"size": 3}),
    ("Gemm", [[3, 5], [3]], {"transB": 1, "alpha": 0.5, "beta": 2.0, "x": ["n", 5]}),
    ("MatMul", [[5, 3]], {"x": ["n", 5]}), ("MatMul", [[5, 3]], {}),
    ("Concat", [[1, 4, 6, 5]], {"axis": 0}), ("Split", [([2, 2],)], {"axis": 1, "more": 1}),
    ("Slice", [([0, 0],), ([3, -1],), ([2, 3],), ([2, 1],)], {}), ("Slice", [], {"opset": 9, "starts": [1], "ends": [3], "axes": [2]}),
    ("Pad", [([0, 0, 1, 0, 0, 0, 2, 1],)], {"mode": "reflect"}), ("Pad", [([0, 0, 1, 0, 0, 0, -1, 1],), []], {}),
    ("Pad", [], {"opset": 10, "pads": [0, 0, 1, 1, 0, 0, 1, 1], "mode": "edge"}),
    ("Gather", [([0, 2, -1],)], {"axis": 1}), ("Expand", [([1, 1, 6, 5],)], {}), ("Tile", [([1, 2, 1, 1],)], {}),
    ("Squeeze", [([2],)], {"x": ["n", 4, 1]}), ("Unsqueeze", [([1, -1],)], {}), ("Unsqueeze", [], {"opset": 11, "axes": [1]}),
    ("Reshape", [([0, -1],)], {}), ("ReduceMean", [], {"axes": [2, 3], "keepdims": 0}), ("ReduceSum", [([1],)], {}),
    ("Resize", ["", ([1.0, 1.0, 1.5, 2.0],)], {"mode": "cubic", "coordinate_transformation_mode": "align_corners"}),
    ("Resize", ["", "", ([1, 4, 9, 4],)], {"mode": "linear", "exclude_outside": 1, "x": [1, 4, 6, 5]}),
    ("Upsample", [([1.0, 1.0, 2.0, 2.0],)], {"opset": 9, "mode": "nearest"}),
]


def single(op, more_inputs, options):
    options = dict(options)
    x, opset, more = options.pop("x", IMAGE), options.pop("opset", LATEST), options.pop("more", 0)
    names, tensors = ["x"], []
    for i, given in enumerate(more_inputs):
        names.append("" if given == "" else f"w{i}")
        if isinstance(given, tuple):
            tensors.append(tensor(f"w{i}", [len(given[0])], given[0]))
        elif given != "":
            tensors.append(tensor(f"w{i}", given))
    outputs = ["y", *(f"y{i}" for i in range(more))]
    return model([node(op, names, outputs, **options)], tensors, x, opset)


def several():
    """Arithmetic on shapes, a residual block, constants in every form, external data."""
    yield "shapes", model([
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"], axis=0), node("Unsqueeze", ["n", "axes"], ["n1"]),
        node("Concat", ["n1", "rest"], ["target"], axis=0), node("Reshape", ["x", "target"], ["y"]),
    ], [tensor("zero", [], [0]), tensor("axes", [1], [0]), tensor("rest", [1], [-1])], IMAGE)
    yield "numbers", model([
        node("Shape", ["x"], ["s"]), node("Slice", ["s", "one", "four"], ["hw"]), node("Mul", ["hw", "two"], ["a"]),
        node("Div", ["a", "two"], ["b"]), node("Sub", ["b", "one"], ["c"]), node("Add", ["c", "one"], ["d"]),
        node("Mod", ["d", "four"], ["e"]),
        node("Equal", ["e", "one"], ["f"]), node("Not", ["f"], ["g"]), node("Where", ["g", "d", "one"], ["h"]),
        node("ReduceProd", ["h"], ["i"], keepdims=1), node("Cast", ["i"], ["j"], to=7), node("Size", ["x"], ["k"]),
        node("Less", ["one", "two"], ["l"]), node("Greater", ["one", "two"], ["m"]), node("Range", ["z", "p", "q"], ["r"]),
        node("Min", ["h", "two"], ["t"]), node("Neg", ["one"], ["u"]), node("Concat", ["u", "j"], ["v"], axis=0),
        node("Reshape", ["x", "v"], ["y"]),
    ], [tensor("one", [1], [1]), tensor("two", [1], [2]), tensor("four", [1], [4]), tensor("z", [], [0]), tensor("p", [], [5]),
        tensor("q", [], [2])], IMAGE)
    yield "constants", model([
        node("Constant", [], ["a"], value=([2], [3, 4])), node("Constant", [], ["b"], value_float=0.5),
        node("Constant", [], ["c"], value_floats=[1.0, 2.0]), node("Constant", [], ["d"], value_int=3),
        node("Constant", [], ["e"], value_ints=[1, 5]), node("ConstantOfShape", ["e"], ["f"]),
        node("ConstantOfShape", ["e"], ["g"], value=([1], [2])), node("Mul", ["x", "f"], ["h"]), node("Add", ["h", "b"], ["y"]),
    ], [], IMAGE)
    yield "residual", model([
        node("Pad", ["x", "pads"], ["p"]), node("Conv", ["p", "w1"], ["c"], strides=[1, 1]),
        node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"]), node("Relu", ["n"], ["r"]),
        node("Conv", ["r", "w2"], ["c2"], group=4),
        node("Add", ["c2", "x"], ["a"]), node("Relu", ["a"], ["r2"]), node("Sigmoid", ["r2"], ["g"]), node("Mul", ["r2", "g"], ["i"]),
        node("GlobalAveragePool", ["i"], ["q"]), node("Flatten", ["q"], ["f"], axis=1), node("MatMul", ["f", "w3"], ["l"]),
        node("Add", ["l", "bias"], ["y"]),
    ], [tensor("pads", [8], [0, 0, 1, 1, 0, 0, 1, 1]), tensor("w1", [4, 4, 3, 3]), *(tensor(t, [4]) for t in "sbmv"),
        tensor("w2", [4, 1, 1, 1]), tensor("w3", [4, 2]), tensor("bias", [2])], IMAGE,
        metadata=[("tl.labels", "cat\ndog\n"), ("tl.preprocess", "resize=8,crop=6")])
    beside = [(1, 4), (2, FLOAT), (8, "w"), (13, [(1, "location"), (2, "README.md")]), (13, [(1, "offset"), (2, "16")]),
              (13, [(1, "length"), (2, "16")]), (14, 1)]
    yield "external", model([node("Mul", ["x", "w"], ["y"])], [beside], ["n", 4])


# ---- Graphs of exporters -------------------------------------------------------------------------------

def narrowed(extent):
    """Networks with a thirty-second of their channels."""
    return extent // 32 if extent % 32 == 0 else extent // 8 if extent % 8 == 0 else extent


def filled(initializer):
    """A weight whose elements were taken out (tests/fixtures/README.md), narrowed, with elements again."""
    fields = decode(initializer)
    if not any(number == 12 and value.startswith(b"fill:") for number, value in fields):
        return initializer
    dims = []
    for number, value in fields:
        if number == 1:
            dims += [value] if isinstance(value, int) else list(unpacked(value))
    name = next(value for number, value in fields if number == 8)
    return encode(tensor(name, [narrowed(extent) for extent in dims]))


def unpacked(data):
    while data:
        size = next(i for i, byte in enumerate(data) if byte < 0x80) + 1
        yield sum((byte & 0x7F) << (7 * i) for i, byte in enumerate(data[:size]))
        data = data[size:]


def narrowed_export(file):
    parts = []
    for number, value in decode(file.read_bytes()):
        if number == 7:
            value = encode([(n, filled(v) if n == 5 else v) for n, v in decode(value) if n != 13])
        parts.append((number, value))
    return encode(parts)


EXPORTS = ["resnet18_keras_anysize_dynamic", "resnet18_tfkeras_dynamic",
           "resnet18_legacy_preserve_opset7_dynamic", "resnet18_legacy_training_dynamic"]


def seeds():
    """(file name, bytes)..."""
    for i, (op, inputs, options) in enumerate(NODES):
        yield f"{i:02}_{op}", single(op, inputs, options)
    yield from several()
    for name in EXPORTS:
        yield name, narrowed_export(FIXTURES / f"{name}.onnx")
