"""One run of `tl finetune`, what it took, and the file that keeps finished runs.

A run is a cell: (method, photos a class, seed, rate). results.csv has a line a finished cell, and settings.json beside it
tells what all of them have in common; a line that a killed run left half written is cut off.
"""
import csv
import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

METHODS = {"scratch": "from scratch", "head": "head alone", "last": "last stage", "full": "full",
           "softmax": "features, softmax", "svm": "features, svm", "ridge": "features, ridge", "knn": "features, knn"}
CALIBRATION = "calibration"  # two epochs from scratch, for how long one takes; in results.csv, in no table


@dataclass(frozen=True)
class Cell:
    method: str
    count: str  # photos a class, or "all"
    seed: int
    rate: str = ""  # "": tl's own


@dataclass
class Figures:
    epochs: int
    train_images: int
    valid_images: int
    accuracy: float
    seconds: float  # of the whole process, by the clock
    cpu_seconds: float
    last_epoch_seconds: float  # 0 where there are no epochs
    peak_mib: float  # of resident memory


class RunFailed(Exception):
    pass


def run(command):
    """(output, seconds, processor seconds, peak MiB) of a program that ends well.

    Linux counts for a child the peak of the process that started it, too: about 20 MiB here, less than any run of tl.
    """
    with tempfile.TemporaryFile("w+") as output:
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode != 0:
        last = (text.strip().splitlines() or ["it said nothing"])[-1]
        raise RunFailed(f"tl ended with status {process.returncode}: {last}\n  {' '.join(map(str, command))}")
    return text, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def layers_of(tl, weights):
    """The layers with weights, as `tl inspect` tells of them."""
    layers = json.loads(run([tl, "inspect", weights, "--json"])[0])["layers"]
    return [layer for layer in layers if layer["parameters"] and layer["operation"] in ("conv2d", "linear", "matmul")]


def last_stage(tl, weights):
    """How many layers the last stage has: those after the image was last made smaller, the head among them."""
    sides = [layer["output"][2:] for layer in layers_of(tl, weights)]
    maps = [side for side in sides if side and side != [1, 1]]
    if not maps:
        raise RunFailed(f"'{weights}' has no convolutions to tell its last stage by: give --last N")
    return len(sides) - sides.index(maps[-1])


def method_arguments(cell, epochs, last, lr):
    if cell.method in ("softmax", "svm", "ridge"):
        return ["--method", "features", "--classifier", cell.method]
    if cell.method == "knn":
        return ["--method", "head", "--epochs", "1"]
    if cell.method in ("scratch", CALIBRATION):
        return ["--method", "full", "--from-scratch", "--lr", cell.rate, "--epochs", str(epochs)]
    return ["--method", f"last:{last}" if cell.method == "last" else cell.method, "--epochs", str(epochs),
            *(["--lr", str(lr)] if lr and cell.method != "head" else [])]


def tl_options(o, weights):
    """What all runs with a network have in common, from the command line of the suite."""
    options = ["--weights", weights, "--size", str(o.size)]
    for name, value in (("--preprocess", o.preprocess), ("--threads", o.threads)):
        options += [name, str(value)] if value else []
    return options


def finetune(tl, options, cell, photos, epochs, last=None, lr=None):
    """The Figures of one run; `options` go to tl as they are, `last` is the number of layers of the last stage."""
    with tempfile.TemporaryDirectory() as folder:
        json_out = Path(folder) / "figures.json"
        text, seconds, cpu, peak = run([tl, "finetune", photos, *options, *method_arguments(cell, epochs, last, lr),
                                        "--seed", str(cell.seed), "--out", Path(folder) / "out.onnx", "--json-out", json_out])
        figures = json.loads(json_out.read_text())
    accuracy = figures["valid_accuracy"]
    if cell.method == "knn":
        accuracy = probed_knn(text, figures["valid_images"])
    history = figures["epochs"]
    return Figures(len(history), figures["train_images"], figures["valid_images"], accuracy, seconds, cpu,
                   history[-1]["seconds"] if history else 0.0, peak)


def probed_knn(text, images):
    """The accuracy of nearest neighbours, which no file can hold, from the line that tl prints of it.

    It has one decimal of a percent; below a thousand images that is one number of images.
    """
    found = re.search(r"linear probe: .*kNN ([\d.]+) %", text)
    if not found:
        raise RunFailed("tl printed no linear probe (too many photos for it?): leave knn out with --methods")
    percent = float(found[1])
    return round(percent * images / 100) / images if images < 1000 else percent / 100


def check_settings(file, settings):
    """Writes the settings, or throws ValueError where the file holds others."""
    if file.exists():
        before = json.loads(file.read_text())
        changed = [f"{name}: {before.get(name)!r}, now {settings.get(name)!r}" for name in {**before, **settings}
                   if before.get(name) != settings.get(name)]
        if changed:
            raise ValueError(f"'{file.parent}' holds figures of other settings ({'; '.join(changed)}): choose another folder "
                             "with --out, or delete that one")
    write_whole(file, json.dumps(settings, indent=2) + "\n")


def write_whole(file, text):
    part = file.with_name(file.name + ".tmp")
    part.write_text(text)
    os.replace(part, file)


class Results:
    """The finished cells, in a CSV file; `add` is on the disk when it returns."""
    COLUMNS = [field.name for kind in (Cell, Figures) for field in fields(kind)]

    def __init__(self, file):
        self.file, self.rows = file, {}
        content = file.read_bytes() if file.exists() else b""
        whole = content[:content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(file, len(whole))
        for line in csv.DictReader(whole.decode().splitlines()):
            cell, figures = ({field.name: field.type(line[field.name]) for field in fields(kind)} for kind in (Cell, Figures))
            self.rows[Cell(**cell)] = Figures(**figures)
        if not whole:
            self._append(self.COLUMNS)

    def add(self, cell, figures):
        self.rows[cell] = figures
        self._append({**asdict(cell), **asdict(figures)}.values())

    def _append(self, values):
        with open(self.file, "a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(values)
            file.flush()
            os.fsync(file.fileno())
