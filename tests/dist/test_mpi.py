#!/usr/bin/env python3
"""Ten steps by 1, 2 and 4 processes over MPI, with the same batches: what they end with agrees to 1e-8.

usage: test_mpi.py PROGRAM      the program made of mpi_steps.cpp
"""
import collections
import os
import shutil
import subprocess
import sys

LIMIT = 1e-8


def states(program, processes):
    """By kind of batch normalisation: one list of values a process."""
    own = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    run = subprocess.run(["mpirun", "-n", str(processes), "--oversubscribe", program], capture_output=True, text=True,
                         env={**os.environ, **own}, timeout=300)
    if run.returncode != 0:
        sys.exit(f"{processes} processes: status {run.returncode}\n{run.stdout}{run.stderr}")
    values = collections.defaultdict(list)
    for line in run.stdout.splitlines():
        kind, value = line.split()
        values[kind].append(float(value))
    of_process = {kind: len(all_) // processes for kind, all_ in values.items()}
    return {kind: [all_[i:i + of_process[kind]] for i in range(0, len(all_), of_process[kind])]
            for kind, all_ in values.items()}


def difference(a, b):
    if len(a) != len(b) or not a:
        sys.exit(f"expected as many values, got {len(a)} and {len(b)}")
    return max(abs(x - y) for x, y in zip(a, b))


def main(program):
    if shutil.which("mpirun") is None:
        print("skipped: training over MPI (there is no mpirun)")
        return
    alone = states(program, 1)
    if sorted(alone) != ["frozen", "local", "shared"]:
        sys.exit(f"expected three kinds of batch normalisation, got {sorted(alone)}")
    bad = []
    for processes in (2, 4):
        together = states(program, processes)
        for kind, each in together.items():
            apart = max(difference(state, each[0]) for state in each)
            far = difference(each[0], alone[kind][0])
            print(f"{processes} processes, batch normalisation {kind}: {far:.2g} from one process, {apart:.2g} apart")
            if apart != 0 or (far > LIMIT) != (kind == "local"):
                bad.append(f"{processes} processes, {kind}")
    if bad:
        sys.exit("wrong: " + ", ".join(bad))


if __name__ == "__main__":
    main(*sys.argv[1:])
