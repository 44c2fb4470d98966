#!/usr/bin/env python3
"""The cases of the Python package onnx, run through `tl run`: passed, refused by name, or wrong.

usage: onnx_cases.py TL [--group NAME,...] [--out FILE.md] [--verbose]

TL is the program, build/bin/tl. The packages numpy, onnx and onnxruntime are needed. Groups are `simple`,
`pytorch-operator`, `pytorch-converted` and `light`, the folders of onnx/backend/test/data. Each case is a model
with inputs and outputs. Those of `light` are networks whose weights are all equal; they are run a second time with
seeded random weights, against onnxruntime.

A case passes when every output has the expected shape and differs by at most 1e-3 of its size, as the package's own
tests ask. It is refused when tl says what it does not support. Everything else is wrong, and the exit status is 1.
Networks of one input and one output that pass are also written again by `tl export`; onnx.checker must accept the
file, and onnxruntime must give the expected output for it.
"""
import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

GROUPS = ["simple", "pytorch-operator", "pytorch-converted", "light"]
DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"


saved = [0]  # networks written again


def value_of(path):
    tensor = onnx.TensorProto()
    try:
        tensor.ParseFromString(path.read_bytes())
        return numpy_helper.to_array(tensor)
    except Exception:
        return None  # a sequence or an optional value: nothing that tl has


def run_tl(tl, model_path, inputs, outputs, folder):
    """(status, list of arrays or message); inputs and outputs are {name: array} and names."""
    command = [tl, "run", model_path]
    for i, (name, array) in enumerate(inputs.items()):
        path = folder / f"in{i}.npy"
        kind = "<i8" if array.dtype.kind in "iub" else "<f8" if array.dtype == np.float64 else "<f4"
        np.save(path, array.astype(kind))
        command += ["--input", f"{name}={path}"]
    results = [folder / f"out{i}.npy" for i in range(len(outputs))]
    for name, path in zip(outputs, results):
        command += ["--output", f"{name}={path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode == 0:
        return "ran", [np.load(path) for path in results]
    lines = done.stderr.strip().splitlines()
    return ("refused" if done.returncode == 2 and len(lines) >= 1 else f"status {done.returncode}"), " ".join(lines)


def compare(got, want):
    """An empty string, or what differs."""
    for i, (g, w) in enumerate(zip(got, want)):
        if g.shape != w.shape:
            return f"output {i} has shape {g.shape}, expected {w.shape}"
        g, w = g.astype(np.float64), w.astype(np.float64)
        largest = np.abs(w[np.isfinite(w)]).max(initial=0)
        if not np.allclose(g, w, rtol=1e-3, atol=1e-3 * max(largest, 1e-4), equal_nan=True):
            return f"output {i} differs by {np.abs(g - w).max():.3g} of {largest:.3g}"
    return ""


def check_saved(tl, model_path, inputs, want, folder):
    """What is wrong with the file that tl writes of the model; an empty string for nothing."""
    import onnxruntime

    path = folder / "saved.onnx"
    done = subprocess.run([tl, "export", model_path, path], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        return "cannot be written: " + " ".join(done.stderr.split())
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    difference = compare(session.run(None, {given.name: inputs[0].astype(np.float32)}), want)
    return difference and f"as written by tl, in onnxruntime: {difference}"


def judge(tl, model_path, inputs, names, want, folder):
    status, result = run_tl(tl, model_path, inputs, names, folder)
    if status == "ran":
        difference = compare(result, want)
        single = len(inputs) == len(names) == 1 and next(iter(inputs.values())).dtype == np.float32
        if not difference and single:
            saved[0] += 1
            difference = check_saved(tl, model_path, list(inputs.values()), want, folder)
        return ("wrong", difference) if difference else ("passed", "")
    return ("refused", result) if status == "refused" else ("wrong", f"{status}: {result}")


def folder_case(tl, case, folder):
    model = onnx.load(case / "model.onnx")
    initializers = {i.name for i in model.graph.initializer}
    names = [i.name for i in model.graph.input if i.name not in initializers]
    outcome = ("passed", "")
    for data in sorted(case.glob("test_data_set_*")):
        inputs = [value_of(p) for p in sorted(data.glob("input_*.pb"))]
        want = [value_of(p) for p in sorted(data.glob("output_*.pb"))]
        if any(v is None or v.dtype.kind not in "fiub" for v in inputs + want) or len(inputs) != len(names):
            inputs = [np.zeros(1, np.float32)] * len(names)  # sequences and strings: only loading can be judged
            outcome = judge(tl, case / "model.onnx", dict(zip(names, inputs)),
                            [o.name for o in model.graph.output], [], folder)
            return outcome if outcome[0] == "refused" else ("wrong", "ran, though it has no tensors")
        outcome = judge(tl, case / "model.onnx", dict(zip(names, inputs)),
                        [o.name for o in model.graph.output][:len(want)], want, folder)
        if outcome[0] != "passed":
            break
    return outcome


def light_case(tl, path, randomise, folder):
    """A network with equal weights, or random ones in their place."""
    import onnxruntime

    model = onnx.load(path)
    random = np.random.default_rng(7)
    if randomise:
        shapes = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        kept = []
        for node in model.graph.node:
            if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
                kept.append(node)
                continue
            shape = [int(n) for n in shapes[node.input[0]]]
            fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
            scale = (2 / fan_in) ** 0.5 if len(shape) > 1 else 0.1
            values = random.normal(0, scale, shape) if len(shape) > 1 else random.uniform(0.5, 1.5, shape)
            model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
        del model.graph.node[:]
        model.graph.node.extend(kept)
        path = folder / "random.onnx"
        onnx.save(model, path)
    initializers = {i.name for i in model.graph.initializer}
    given = [i for i in model.graph.input if i.name not in initializers]
    inputs = {i.name: random.uniform(-1, 1, [d.dim_value or 1 for d in i.type.tensor_type.shape.dim]).astype(np.float32)
              for i in given}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in model.graph.output]
    return judge(tl, path, inputs, names, session.run(names, inputs), folder)


def reason(message):
    """The operators and features that a refusal names, without the places."""
    text = re.sub(r"\s+", " ", message).replace("|", "/")
    text = re.sub(r"^.*not supported: |^.*?': ", "", text)
    return re.sub(r" \((node|graph|input)[^)]*\)", "", text)[:160]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tl", type=Path)
    parser.add_argument("--group", default=",".join(GROUPS))
    parser.add_argument("--out", type=Path, help="a Markdown table")
    parser.add_argument("--verbose", action="store_true", help="print the cases that pass, too")
    o = parser.parse_args()
    tl = o.tl.resolve()
    table = ["| group | cases | passed | refused by name | wrong |", "|---|---|---|---|---|"]
    refusals, wrong = Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for group in o.group.split(","):
            if group == "light":
                cases = [(f"{path.stem}{' with random weights' if randomise else ''}",
                          lambda path=path, randomise=randomise: light_case(tl, path, randomise, folder))
                         for path in sorted((DATA / group).glob("*.onnx")) for randomise in (False, True)]
            else:
                cases = [(path.name, lambda path=path: folder_case(tl, path, folder))
                         for path in sorted((DATA / group).iterdir())]
            counts = Counter()
            for name, run in cases:
                outcome, message = run()
                counts[outcome] += 1
                if outcome == "refused":
                    refusals[reason(message)] += 1
                if outcome != "passed" or o.verbose:
                    print(f"{outcome}  {group}/{name}  {message}", flush=True)
            wrong += counts["wrong"]
            table.append(f"| {group} | {len(cases)} | {counts['passed']} | {counts['refused']} | {counts['wrong']} |")
    table += ["", f"{saved[0]} networks were written again and run by onnxruntime."]
    table += ["", "| refused for | cases |", "|---|---|"]
    table += [f"| {why} | {count} |" for why, count in refusals.most_common()]
    print("\n" + "\n".join(table))
    if o.out:
        o.out.write_text("\n".join(table) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
