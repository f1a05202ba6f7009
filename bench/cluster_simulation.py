"""What training on 2 to 256 machines would cost: a simulation from measured steps and measured collectives.

Run: python bench/cluster_simulation.py [--quick] [--series-per-machine N]
It prints Markdown tables. Training is synchronous and data-parallel: in each step, every machine computes the gradient
of its own batch, the gradients are averaged by a reduce-scatter and an allgather, and the slowest machine sets the
pace. Gradients are complete only at the end of backpropagation, so computing and communicating do not overlap; reading
is prefetched and does. Steps are measured on this machine, on one thread; the rest is stated at the top of this file.
"""

import argparse
import math
import time
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from fastlstm import LSTMRegressor

#: Measured seconds of an allreduce between two processes on one machine, by the bytes of the gradient.
COLLECTIVES = {
    "Dask": {17e3: 0.87e-3, 300e3: 1.79e-3, 6e6: 18.9e-3, 25e6: 45e-3},
    "MPI": {17e3: 0.1e-3, 300e3: 0.5e-3, 6e6: 6.3e-3, 25e6: 21.7e-3},
}
#: Latency of a message, in seconds, and bytes per second: what the network adds to the costs above.
NETWORKS = {
    "1 Gbit/s": (50e-6, 0.125e9),
    "10 Gbit/s": (50e-6, 1.25e9),
    "25 Gbit/s": (50e-6, 3.125e9),
    "100 Gbit/s fabric": (5e-6, 12.5e9),
}
SETTINGS = [("Dask", "1 Gbit/s"), ("Dask", "10 Gbit/s"), ("MPI", "25 Gbit/s"), ("MPI", "100 Gbit/s fabric")]
MODELS = {"1 x 32": (1, 32), "1 x 128": (1, 128), "2 x 512": (2, 512), "3 x 1024": (3, 1024)}  # layers x units
STEPS, CHANNELS = 24, 1  # of each series
ALL_SERIES = 1e9  # of an epoch
MACHINES = [2**k for k in range(9)]
GOAL = 0.8  # efficiency
ROUND, RESTART = 10, 30  # seconds: work redone after a failure, and until all machines go on
CRITICAL_BATCH = 8192  # series; an assumption, as it depends on the data


@dataclass(frozen=True)
class Cluster:
    """Properties of the machines besides the cost of the collective."""

    spread: float = 0.05  # standard deviation of the logarithm of a machine's time for a step
    pauses: float = 1e-3  # probability that a machine takes twice as long for a step
    mtbf: float = 30 * 86400.0  # seconds between failures of one machine
    disk: float = 500e6  # bytes per second that each machine reads from its own disk
    shared: float = math.inf  # bytes per second that all machines together read from shared storage
    reads: float = math.inf  # single series per second that shared storage delivers in random order
    critical_batch: float = math.inf  # series; see `learning_cost`


USUAL, IDEAL = Cluster(), Cluster(spread=0, pauses=0, mtbf=math.inf, disk=math.inf)


def message_seconds(library, network):
    """Function from the bytes of a message to its seconds.

    Between two machines, reduce-scatter and allgather are one message each, of half the gradient.
    """
    latency, bandwidth = NETWORKS[network]
    sizes, seconds = np.array(sorted(COLLECTIVES[library].items())).T / 2
    slope = (seconds[-1] - seconds[-2]) / (sizes[-1] - sizes[-2])
    return lambda size: latency + size / bandwidth + np.interp(size, sizes, seconds) + slope * max(0, size - sizes[-1])


def ring(message, P, size):
    """Seconds of reduce-scatter and allgather in a ring: 2 (P - 1) messages of a P-th (Thakur et al. 2005).

    With a + b x seconds for a message of x bytes, this is 2 (P - 1) a + 2 (P - 1) / P b size.

    Thakur, R., Rabenseifner, R., Gropp, W. (2005). Optimization of collective communication operations in MPICH.
    International Journal of High Performance Computing Applications 19(1), 49-66.
    """
    return 2 * (P - 1) * message(size / P)


def tree(message, P, size):
    """Seconds of recursive halving and doubling (Rabenseifner's algorithm; Thakur et al. 2005), P a power of two.

    The k-th of log2 P messages has a 2^k-th of the gradient, twice: 2 log2 P a + 2 (P - 1) / P b size seconds.
    """
    return 2 * sum(message(size / 2**k) for k in range(1, P.bit_length()))


def allreduce(message, P, size):
    """Seconds of the faster of both."""
    return min(ring(message, P, size), tree(message, P, size))


@dataclass(frozen=True)
class Job:
    """A model with N series per machine: measured seconds of a step on one machine, and bytes."""

    N: int
    step: float
    gradient: int  # bytes
    series: int = 4 * STEPS * CHANNELS  # bytes of one


@cache
def slowest(P, cluster, n_steps=2000, seed=0):
    """Times of the slowest of P machines in each step, where the mean of one machine without pauses is 1."""
    rng = np.random.default_rng(seed)
    times = np.exp(rng.normal(-(cluster.spread**2) / 2, cluster.spread, (n_steps, P)))
    return (times * np.where(rng.random((n_steps, P)) < cluster.pauses, 2, 1)).max(axis=1)


def learning_cost(P, N, critical_batch):
    """How many times more series training needs with the batch of P machines than with that of one.

    With a batch of B series, it is 1 + B / critical_batch times the fewest possible (McCandlish, S., Kaplan, J.,
    Amodei, D. (2018). An empirical model of large-batch training. arXiv:1812.06162).
    """
    return (1 + N * P / critical_batch) / (1 + N / critical_batch)


def step_seconds(P, job, cluster, collective):
    """Mean seconds of a step on P machines; `collective` is a function of P and bytes."""
    reading = max(job.N * job.series / cluster.disk, P * job.N * job.series / cluster.shared, P * job.N / cluster.reads)
    seconds = np.maximum(job.step * slowest(P, cluster), reading).mean() + collective(P, job.gradient)
    return seconds * (1 + P / cluster.mtbf * (ROUND + RESTART)) * learning_cost(P, job.N, cluster.critical_batch)


def efficiency(P, job, cluster, collective):
    """Speed-up over one machine, divided by P; each machine has N series a step, however many machines there are."""
    return step_seconds(1, job, cluster, collective) / step_seconds(P, job, cluster, collective)


def break_even(job, cluster, collective):
    """Seconds that a step must take on one machine for two machines, with a batch of that size each, to be faster."""
    return collective(2, job.gradient) / (2 - slowest(2, cluster).mean())


def local_steps(P, job, cluster, collective):
    """Fewest steps between two averages with which the efficiency reaches GOAL, or None."""
    left = job.step * (slowest(1, cluster).mean() / GOAL - slowest(P, cluster).mean())
    return max(1, math.ceil(collective(P, job.gradient) / left)) if left > 0 else None


def compression(P, job, cluster, collective):
    """Least power of two by which to compress gradients for an efficiency of GOAL, or None if even 1024 is too little.

    The time to compress and to expand does not count.
    """
    ratios = [2**k for k in range(11)]
    jobs = [replace(job, gradient=job.gradient / ratio) for ratio in ratios]
    return next((r for r, of in zip(ratios, jobs, strict=True) if efficiency(P, of, cluster, collective) >= GOAL), None)


def measure(layers, H, N):
    """Measured job of a model on one thread: the fastest of several epochs, as others may use the machine."""
    X = np.random.default_rng(0).normal(size=(32 * N, STEPS, CHANNELS)).astype("float32")
    model = LSTMRegressor(H, num_layers=layers, batch_size=N, n_jobs=1, random_state=0).partial_fit(X[:N], X[:N, 0, 0])

    def step(batches):
        start = time.perf_counter()
        model.partial_fit(X[: batches * N], X[: batches * N, 0, 0])
        return (time.perf_counter() - start) / batches

    batches = min(32, math.ceil(1 / step(1)))  # about a second, if a step is not longer
    fastest = min(step(batches) for _ in range(5))
    return Job(N, fastest, sum(weights.nbytes for weights in model.weights_.values()))


def digits(number):
    return f"{float(f'{number:.3g}'):,g}"


def table(title, header, rows):
    print(f"\n{title}\n\n| {' | '.join(header)} |\n|{' --- |' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")


def print_steps(jobs, collectives):
    rows = []
    for name, job in jobs.items():
        least = [f"{digits(1e3 * break_even(job, USUAL, collective))} ms" for collective in collectives.values()]
        rows.append([name, f"{digits(job.gradient / 1e6)} MB", f"{digits(1e3 * job.step)} ms", *least])
    title = "Steps as measured on one machine, and from which step time on two machines are faster than one"
    table(title, ["model", "gradient", "measured", *collectives], rows)


def print_epochs(jobs, name, collective):
    def cell(P, job):
        hours = step_seconds(P, job, USUAL, collective) * ALL_SERIES / (job.N * P) / 3600
        return f"{digits(hours)} h, {efficiency(P, job, USUAL, collective):.0%}"

    rows = [[P, *(cell(P, job) for job in jobs.values())] for P in MACHINES]
    table(f"{name}: hours of an epoch of {ALL_SERIES:,.0f} series, and efficiency", ["machines", *jobs], rows)


def print_remedies(jobs, collectives, P):
    rows = []
    for name, job in jobs.items():
        pairs = [[solve(P, job, USUAL, one) for solve in (local_steps, compression)] for one in collectives.values()]
        rows.append([name, *(f"{k or '-'}, {f'1/{ratio}' if ratio else '-'}" for k, ratio in pairs)])
    title = f"For {GOAL:.0%} on {P} machines: steps from one average to the next, or size of compressed gradients"
    table(title, ["model", *collectives], rows)


def causes(message):
    """Clusters and collectives with one flaw each."""
    free = partial(allreduce, lambda size: 0)
    return {
        "messages": (IDEAL, lambda P, size: allreduce(message, P, 0)),
        "bytes": (IDEAL, partial(allreduce, lambda size: message(size) - message(0))),
        "stragglers": (replace(IDEAL, spread=USUAL.spread, pauses=USUAL.pauses), free),
        "failures, one a machine in 30 days": (replace(IDEAL, mtbf=USUAL.mtbf), free),
        "failures, one a machine in 4 hours": (replace(IDEAL, mtbf=4 * 3600), free),
        "reading from shared storage, 1 GB/s": (replace(IDEAL, shared=1e9), free),
        "reading shuffled series one by one, 100,000/s": (replace(IDEAL, reads=1e5), free),
        f"critical batch of {CRITICAL_BATCH:,} series": (replace(IDEAL, critical_batch=CRITICAL_BATCH), free),
    }


def print_causes(jobs, name, message):
    rows = []
    for cause, flawed in causes(message).items():
        below = ([P for P in MACHINES if efficiency(P, job, *flawed) < GOAL] for job in jobs.values())
        rows.append([cause, *(few[0] if few else "-" for few in below)])
    title = f"{name}: fewest machines on which the efficiency is below {GOAL:.0%} for one cause alone"
    table(title, ["cause", *jobs], rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="the two small models only")
    parser.add_argument("--series-per-machine", type=int, default=64, metavar="N", help="series of a step (64)")
    options = parser.parse_args()
    names = list(MODELS)[: 2 if options.quick else None]
    jobs = {name: measure(*MODELS[name], options.series_per_machine) for name in names}
    messages = {", ".join(setting): message_seconds(*setting) for setting in SETTINGS}
    collectives = {name: partial(allreduce, message) for name, message in messages.items()}
    print(f"{options.series_per_machine} series of {STEPS} steps and {CHANNELS} channel per machine and step")
    print_steps(jobs, collectives)
    for name, collective in collectives.items():
        print_epochs(jobs, name, collective)
    for machines in (16, 64):
        print_remedies(jobs, collectives, machines)
    for name, message in messages.items():
        print_causes(jobs, name, message)


if __name__ == "__main__":
    main()
