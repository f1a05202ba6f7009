"""A minibatch from end to end: what it is, and the phases that a team goes through to learn from it."""

from dataclasses import dataclass

import numpy as np

from fastlstm.phases import Alone, ByRows, Phase


@dataclass(slots=True)
class Minibatch:
    """Packed sequences, or pieces of them, and what some phases leave to others.

    Where the network's head is on every step, targets, shares and losses are of each row of the packed batch;
    otherwise of each sequence.
    """

    starts: np.ndarray  # where each step's rows start
    x: np.ndarray  # flat: the inputs of sequence n begin at x[at[n]], the longest sequence first
    at: np.ndarray
    targets: np.ndarray
    shares: np.ndarray | None  # of each loss in the sum; None: only the states that it leaves to the next piece count
    loss: object
    draw: tuple = (0, 0, ())  # seed, epoch and the sequences' numbers, on which dropout depends
    number: int = 0  # of the batch in its epoch
    weight: float = 0.0  # sum of sample weights
    expected: float = 1.0  # what that is on average, by which losses are divided
    penalty: float = 0.0  # part of the loss
    scale: float = 1.0  # factor by which clipping scales the gradient

    @property
    def rows(self):
        """Number of sequences."""
        return int(self.starts[1])


def learn(training):
    """The phases of the training's minibatch, which it has laid out."""
    network = training.network
    if training.minibatch.shares is None:
        yield from read(network)
        return
    yield from differentiate(network)
    if training.penalised:
        yield Alone(training.penalise)
    yield Phase(training.sum_squares)
    yield Alone(training.judge_minibatch)
    yield Phase(training.update)


def differentiate(network):
    """The losses, each times its share, into `network.values`; the gradient of their sum into `network.gradient`.

    Of the batch that `network.lay_out` was given, as of `read`.
    """
    last = network.segments[-1]
    yield Phase(network.fill)
    for segment in network.segments:
        yield from _forward(network, segment, recording=segment is last)
        yield ByRows(network.keep_states, segment)
    yield (ByRows if network.is_whole else Phase)(network.begin_backward)
    for segment in reversed(network.segments):
        if segment is not last:
            yield from _forward(network, segment, recording=True)
        if network.per_step:
            yield ByRows(network.gather_outputs)
            yield Phase(network.differentiate_steps, segment)
            yield ByRows(network.scatter_d_outputs)
        if not network.is_whole:
            yield ByRows(network.take_d_states)
        yield from network.run.backward(network.packed, to_start=segment.first > 0)
        yield Phase(network.collect_gradients, segment)


def read(network):
    """Run forward alone, for the states that the batch leaves to its next piece."""
    (whole,) = network.segments
    yield Phase(network.fill)
    yield from _forward(network, whole, recording=False)
    yield ByRows(network.keep_states, whole)


def _forward(network, segment, recording):
    """Through one of the network's segments: layer after layer, the inputs and then all steps."""
    if not network.is_whole:
        yield Alone(network.start_run, segment, recording)
    yield from network.run.forward(network.packed, network.inputs)
