#!/usr/bin/env python3
"""What a second process brings to fine-tuning, and what more machines would by bandwidth and size of gradients.

usage: efficiency.py FOLDER [--pairs N] [--tl PROGRAM]

FOLDER holds one folder of photos a class. One process of one thread and two of one thread each train the network that
comes with tl in turn, with the same batches of 32; of each run the fastest epoch counts. The efficiency is the time of
one process over twice that of two. The first table is measured; the second one is computed from its times.
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
# What is trained: name, options, and for how many epochs.
TRAININGS = [
    ("every layer, 64 px", ["--method", "full", "--size", "64"], 3),
    ("every layer, 96 px", ["--method", "full", "--size", "96"], 2),
    ("from scratch, 64 px, statistics shared", ["--method", "full", "--size", "64", "--from-scratch"], 3),
    ("from scratch, 64 px, own statistics", ["--method", "full", "--size", "64", "--from-scratch", "--local-norm"], 3),
]
GIGABITS = [1, 10, 25]
MACHINES = [8, 16, 32, 64]
LATENCY = 50e-6  # of a message between machines, in seconds
BACKWARD = 2 / 3  # of a step, during which gradients travel


def seconds_of_epoch(tl, folder, processes, options, epochs):
    """The fastest epoch, and the figures of the run."""
    if processes == 1:
        options = [option for option in options if option != "--local-norm"]
    with tempfile.TemporaryDirectory() as work:
        figures = Path(work) / "figures.json"
        own = {"OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        start = [] if processes == 1 else ["mpirun", "-n", str(processes), "--bind-to", "core"]
        run = subprocess.run([*start, tl, "finetune", folder, *options, "--epochs", str(epochs), "--batch", str(BATCH),
                              "--augment", "none", "--last-epoch", "--out", Path(work) / "out.onnx", "--json-out", figures],
                             env={**os.environ, **own}, capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"{processes} processes: status {run.returncode}\n{run.stdout}{run.stderr}")
        told = json.loads(figures.read_text())
    return min(epoch["seconds"] for epoch in told["epochs"]), told


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
    print("| training | one process, images a second | two, images a second | efficiency (middle half) |")
    print("|---|---|---|---|")
    for_prediction = []
    for name, options, epochs in TRAININGS:
        ratios, rates = [], {1: [], 2: []}
        for pair in range(o.pairs):
            seconds = {}
            for processes in ((1, 2), (2, 1))[pair % 2]:
                seconds[processes], told = seconds_of_epoch(o.tl, o.folder, processes, options, epochs)
                rates[processes].append(told["train_images"] / seconds[processes])
            ratios.append(seconds[1] / (2 * seconds[2]))
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        one, two = (statistics.median(rates[processes]) for processes in (1, 2))
        print(f"| {name} | {one:.0f} | {two:.0f} | {middle:.2f} ({low:.2f} to {high:.2f}) |", flush=True)
        for_prediction.append((name, BATCH / one, 4 * told["trained_parameters"]))
    print(f"\ncomputed, for batches of {BATCH} a machine at the speed of one process\n")
    print("| training | gradient | network | " + " | ".join(f"{n} machines" for n in MACHINES) + " |")
    print("|---|---|---|" + "---|" * len(MACHINES))
    for name, step, gradient_bytes in for_prediction[:2]:
        for gigabits in GIGABITS:
            cells = " | ".join(f"{predicted(step, gradient_bytes, n, gigabits):.2f}" for n in MACHINES)
            print(f"| {name} | {gradient_bytes / 1e6:.1f} MB | {gigabits} Gbit/s | {cells} |")


if __name__ == "__main__":
    main()
