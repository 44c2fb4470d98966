#!/usr/bin/env python3
"""What a second process brings to fine-tuning, and what more machines would by bandwidth and size of gradients.

usage: efficiency.py FOLDER [--pairs N] [--tl PROGRAM]

FOLDER holds one folder of photos a class. One process of one thread and two of one thread each train the network that
comes with tl in turn, with the same batches of 32; of each run the fastest epoch counts. The efficiency is the time of
one process over twice that of two. Beside it stands what the machine allows: two processes at once that know nothing of
each other, with batches of 16 each. The first table is measured; the second one is computed from its times.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BATCH = 32
EPOCHS = 8  # after which each process has decoded nearly every photo
# What is trained: name and options.
TRAININGS = [
    ("every layer, 64 px", ["--method", "full", "--size", "64"]),
    ("every layer, 96 px", ["--method", "full", "--size", "96"]),
    ("from scratch, 64 px, statistics shared", ["--method", "full", "--size", "64", "--from-scratch"]),
    ("from scratch, 64 px, own statistics", ["--method", "full", "--size", "64", "--from-scratch", "--local-norm"]),
]
GIGABITS = [1, 10, 25]
MACHINES = [8, 16, 32, 64]
LATENCY = 50e-6  # of a message between machines, in seconds
BACKWARD = 2 / 3  # of a step, during which gradients travel


def finetune(tl, folder, options, batch, work, start=()):
    """Begins a training; one that mpirun starts binds its processes to cores itself."""
    own = {"OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    work.mkdir(parents=True)
    return subprocess.Popen([*start, tl, "finetune", folder, *options, "--epochs", str(EPOCHS), "--batch", str(batch),
                             "--augment", "none", "--last-epoch", "--out", work / "out.onnx",
                             "--json-out", work / "figures.json"],
                            env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rate(process, work):
    """Waits for a training; images a second in its fastest epoch, and all its figures."""
    said, _ = process.communicate()
    if process.returncode != 0:
        sys.exit(f"status {process.returncode}\n{said}")
    told = json.loads((work / "figures.json").read_text())
    return told["train_images"] / min(epoch["seconds"] for epoch in told["epochs"]), told


def one(tl, folder, options, work):
    cores = sorted(os.sched_getaffinity(0))[:1]
    return rate(finetune(tl, folder, options, BATCH, work / "one", bound_to(cores[0])), work / "one")


def two(tl, folder, options, work):
    return rate(finetune(tl, folder, options, BATCH, work / "two", ["mpirun", "-n", "2", "--bind-to", "core"]), work / "two")


def two_strangers(tl, folder, options, work):
    """Two that know nothing of each other; images a second of both."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    places = [work / f"stranger{i}" for i in range(2)]
    running = [finetune(tl, folder, options, BATCH // 2, place, bound_to(core)) for place, core in zip(places, cores)]
    done = [rate(process, place) for process, place in zip(running, places)]
    return sum(images for images, _ in done), done[0][1]


def bound_to(core):
    return ["taskset", "-c", str(core)]


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def predicted(step, gradient_bytes, machines, gigabits):
    """The efficiency of machines that each have a whole batch: rings of messages (Patarasuk and Yuan 2009), hidden
    behind the backward pass as far as that lasts."""
    travel = 2 * (machines - 1) / machines * gradient_bytes / (gigabits * 1e9 / 8) + 2 * (machines - 1) * LATENCY
    return step / (step + max(0, travel - BACKWARD * step))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     usage=argparse.SUPPRESS)
    parser.add_argument("folder")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--tl", default=ROOT / "build" / "bin" / "tl")
    o = parser.parse_args()
    print("| training | one process, images a second | two, images a second | efficiency (middle half) | two strangers |")
    print("|---|---|---|---|---|")
    for_prediction = []
    for name, options in TRAININGS:
        alone = [option for option in options if option != "--local-norm"]
        rates = {one: [], two: [], two_strangers: []}
        for turn in range(o.pairs):
            for way in list(rates)[::(1, -1)[turn % 2]]:
                with tempfile.TemporaryDirectory() as work:
                    images, told = way(o.tl, o.folder, options if way is two else alone, Path(work))
                rates[way].append(images)
        first, second = (statistics.median(rates[way]) for way in (one, two))
        low, middle, high = quartiles([b / (2 * a) for a, b in zip(rates[one], rates[two])])
        strangers = statistics.median(b / (2 * a) for a, b in zip(rates[one], rates[two_strangers]))
        print(f"| {name} | {first:.0f} | {second:.0f} | {middle:.2f} ({low:.2f} to {high:.2f}) | {strangers:.2f} |", flush=True)
        for_prediction.append((name, BATCH / first, 4 * told["trained_parameters"]))
    print(f"\ncomputed, for batches of {BATCH} a machine at the speed of one process\n")
    print("| training | gradient | network | " + " | ".join(f"{n} machines" for n in MACHINES) + " |")
    print("|---|---|---|" + "---|" * len(MACHINES))
    for name, step, gradient_bytes in for_prediction[:2]:
        for gigabits in GIGABITS:
            cells = " | ".join(f"{predicted(step, gradient_bytes, n, gigabits):.2f}" for n in MACHINES)
            print(f"| {name} | {gradient_bytes / 1e6:.1f} MB | {gigabits} Gbit/s | {cells} |")


if __name__ == "__main__":
    main()
