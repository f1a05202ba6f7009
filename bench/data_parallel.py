"""What adding up gradients costs, and what a second process gains: Dask, MPI and one process, one thread each.

python bench/data_parallel.py [--quick]
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from fastlstm import LSTMRegressor
from fastlstm.distributed import Dask, Local, Mpi, fit
from fastlstm.training.collective import Node, layout

SIZES = (17_000, 300_000, 6_000_000, 25_000_000)  # bytes of a gradient
V, N, T, C, H = 8, 64, 100, 8, 128
SERIES = 4096


def toy(number, count=8):
    """A part of the series, and their targets."""
    X = np.random.default_rng(number).normal(size=(SERIES // count, T, C)).astype("float32")
    return X, X[:, -10:, 0].mean(axis=1)


def times_of_reduce(collective):
    """Median seconds of a sum by size; the processes do nothing else."""
    places, medians = layout(V, collective.size), {}
    for nbytes in SIZES:
        gradient, times = np.ones(nbytes // 4, "float32"), []
        for _ in range(max(7, min(200, int(2e7 / nbytes)))):
            nodes = [Node(*place, gradient, np.ones(4)) for place in places[collective.rank]]
            collective.broadcast(None)
            begin = time.perf_counter()
            collective.reduce(nodes, places)
            times.append(time.perf_counter() - begin)
        medians[nbytes] = float(np.median(times))
    return medians


def seconds_of_epoch(train, epochs):
    """Seconds of an epoch of ``train(n_epochs)``, without those of setting up; the first call warms up."""
    seconds = []
    for n in (1, 1, 1 + epochs):
        begin = time.perf_counter()
        train(n)
        seconds.append(time.perf_counter() - begin)
    return (seconds[2] - seconds[1]) / epochs


def model(batch_size, n_epochs):
    return LSTMRegressor(H, batch_size=batch_size, max_iter=n_epochs, random_state=0, n_jobs=1)


def of_plain_fit(batch_size, epochs):
    X, y = (np.concatenate(of) for of in zip(*map(toy, range(8)), strict=True))
    return seconds_of_epoch(lambda n: model(batch_size, n).fit(X, y), epochs)


def of_fit(engine, batch_size, epochs, rank=0, size=1):
    """The same by an engine; a process of several loads its share."""
    data = range(8 * rank // size, 8 * (rank + 1) // size)

    def train(n_epochs):
        fit(model(batch_size, n_epochs), list(data), load=toy, engine=engine, n_partitions=V)

    return seconds_of_epoch(train, epochs)


def report(name, reduced, epoch, batch_size):
    sums = " | ".join(f"{1e3 * seconds:.2f}" for seconds in reduced.values()) if reduced else " | ".join("-" * 4)
    print(f"| {name} | {sums} | {batch_size} | {epoch:.2f} |", flush=True)


def of_dask(processes, epochs):
    from distributed import Client, LocalCluster

    from fastlstm.distributed import dask_client
    from fastlstm.distributed.given import Given, Options

    with (
        LocalCluster(
            n_workers=processes, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        Client(cluster) as client,
    ):
        options = Options(n_partitions=processes)
        reduced = dask_client.together(client, _reduce, Given([None], load=_nothing), options)
        report(f"Dask, {processes}", reduced, of_fit(Dask(client), processes * N, epochs), processes * N)


def _nothing(member):
    return (member,)


def _reduce(collective, chunks):
    return times_of_reduce(collective)


def of_mpi(epochs):
    from mpi4py import MPI

    from fastlstm.distributed.mpi import MpiCollective

    collective = MpiCollective(MPI.COMM_WORLD)
    reduced = times_of_reduce(collective)
    epoch = of_fit(Mpi(), collective.size * N, epochs, collective.rank, collective.size)
    if collective.rank == 0:
        report(f"MPI, {collective.size}", reduced, epoch, collective.size * N)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--mpi", action="store_true", help="as one process of MPI")
    given = parser.parse_args()
    epochs = 2 if given.quick else 6
    if given.mpi:
        return of_mpi(epochs)
    print("| processes | 17 KB, ms | 300 KB | 6 MB | 25 MB | batch size | epoch, s |\n|---|---|---|---|---|---|---|")
    for batch_size in (N, 2 * N):
        report("one, without partitions", None, of_plain_fit(batch_size, epochs), batch_size)
        report("one, 8 partitions", None, of_fit(Local(1), batch_size, epochs), batch_size)
    for processes in (1, 2):
        of_dask(processes, epochs)
    mpiexec = Path(sys.executable).with_name("mpiexec")
    for processes in (1, 2):
        command = [mpiexec, "-n", str(processes), sys.executable, "-m", "mpi4py", __file__, "--mpi"]
        subprocess.run([*command, *["--quick"] * given.quick], check=True)
    return None


if __name__ == "__main__":
    main()
