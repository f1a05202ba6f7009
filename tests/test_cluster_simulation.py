"""The formulas of bench/cluster_simulation.py."""

import math
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import cluster_simulation as simulation

JOB = simulation.Job(N=64, step=0.01, gradient=300_000)
ALPHA, BETA = 1e-3, 1e-9  # seconds per message and per byte


def message(size):
    return ALPHA + BETA * size


@pytest.fixture
def collective():
    return partial(simulation.allreduce, simulation.message_seconds("Dask", "10 Gbit/s"))


@pytest.mark.parametrize("algorithm", [simulation.ring, simulation.tree])
def test_one_machine_communicates_nothing(algorithm):
    assert algorithm(message, 1, 1e6) == 0


@pytest.mark.parametrize("P", [2, 8, 256])
def test_ring_and_tree_send_the_same_bytes_in_their_numbers_of_messages(P):
    of_bytes = 2 * (P - 1) / P * BETA * 1e6
    assert simulation.ring(message, P, 1e6) == pytest.approx(2 * (P - 1) * ALPHA + of_bytes)
    assert simulation.tree(message, P, 1e6) == pytest.approx(2 * math.log2(P) * ALPHA + of_bytes)


@pytest.mark.parametrize("size", simulation.COLLECTIVES["Dask"])
def test_two_machines_take_the_measured_time_and_that_of_the_network(size, collective):
    latency, bandwidth = simulation.NETWORKS["10 Gbit/s"]
    expected = simulation.COLLECTIVES["Dask"][size] + 2 * latency + size / bandwidth
    assert collective(2, size) == pytest.approx(expected)


def test_messages_longer_than_all_measured_cost_as_the_longest_per_byte():
    of = simulation.message_seconds("MPI", "100 Gbit/s fabric")
    assert of(80e6) - of(60e6) == pytest.approx(of(60e6) - of(40e6))
    assert of(60e6) - of(40e6) > of(12e6) - of(1e6)


@pytest.mark.parametrize("P", [1, 16])
def test_without_noise_a_step_is_computing_and_communicating(P, collective):
    seconds = simulation.step_seconds(P, JOB, simulation.IDEAL, collective)
    assert seconds == pytest.approx(JOB.step + collective(P, JOB.gradient))


def test_the_slowest_of_two_is_as_expected():
    """The mean of the larger of two normal numbers is 1 / sqrt(pi) standard deviations above their mean."""
    cluster = replace(simulation.IDEAL, spread=0.05)
    assert simulation.slowest(2, cluster).mean() == pytest.approx(1 + 0.05 / math.sqrt(math.pi), abs=0.003)


def test_efficiency_falls_with_the_number_of_machines(collective):
    values = [simulation.efficiency(P, JOB, simulation.USUAL, collective) for P in simulation.MACHINES]
    assert values[0] == 1
    assert values == sorted(set(values), reverse=True)


@pytest.mark.parametrize("name", ["messages", "bytes", "stragglers"])
def test_a_single_flaw_costs_less_than_all(name, collective):
    of_one = simulation.causes(simulation.message_seconds("Dask", "10 Gbit/s"))[name]
    of_all = simulation.efficiency(8, JOB, simulation.USUAL, collective)
    assert of_all < simulation.efficiency(8, JOB, *of_one) < 1


def test_two_machines_are_as_fast_as_one_where_a_step_takes_the_break_even(collective):
    step = simulation.break_even(JOB, simulation.USUAL, collective)
    at_break_even = simulation.efficiency(2, replace(JOB, step=step), simulation.USUAL, collective)
    assert at_break_even == pytest.approx(0.5, rel=1e-3)  # its disk and failures cost next to nothing


def test_the_remedies_reach_the_goal_and_none_weaker_does(collective):
    slow = replace(JOB, step=0.1, gradient=12_000_000)
    k = simulation.local_steps(16, slow, simulation.USUAL, collective)

    def over(steps):
        return simulation.efficiency(16, slow, simulation.USUAL, lambda P, size: collective(P, size) / steps)

    assert over(k) >= 0.999 * simulation.GOAL
    assert over(k - 1) < simulation.GOAL
    ratio = simulation.compression(16, slow, simulation.USUAL, collective)

    def with_gradient(size):
        return simulation.efficiency(16, replace(slow, gradient=size), simulation.USUAL, collective)

    assert with_gradient(slow.gradient / ratio) >= simulation.GOAL > with_gradient(2 * slow.gradient / ratio)


def test_a_batch_of_the_critical_size_needs_twice_the_fewest_series():
    assert simulation.learning_cost(1024, N=8, critical_batch=8192) == pytest.approx(2 / (1 + 8 / 8192))


def test_a_step_is_measured_and_the_gradient_counted():
    job = simulation.measure(1, 4, N=8)
    assert 0 < job.step < 1
    assert job.gradient == 4 * (4 * 4 * (1 + 4 + 2) + 4 + 1)  # two biases, as in PyTorch
