"""A training step on one minibatch, as the phases that a team of threads goes through."""

from dataclasses import dataclass

import numpy as np

from fastlstm.phases import Alone, ByRows, Phase


@dataclass(slots=True)
class Minibatch:
    """Packed sequences, or chunks of them, and the intermediate results that phases share.

    Targets, weights and losses have one row per packed step if the network's head is applied to every step, else one
    row per sequence.
    """

    starts: np.ndarray  # first packed row of each step
    x: np.ndarray  # flat; the inputs of sequence n begin at x[at[n]], the longest sequence first
    at: np.ndarray
    targets: np.ndarray
    sample_weight: np.ndarray | None  # divided by `expected_weight`; None if the chunk only carries states forward
    loss: object
    dropout_key: tuple = (0, 0, ())  # seed, epoch and indices of the sequences
    number: int = 0  # index of the batch in its epoch
    total_weight: float = 0.0  # sum of the sample weights
    expected_weight: float = 1.0  # its average over batches of the same size, by which losses are divided
    penalty: float = 0.0  # the L2 term of the loss
    scale: float = 1.0  # factor that clips the gradient
    decoder: object = None  # as in `Batch`

    @property
    def rows(self):
        """Number of sequences."""
        return int(self.starts[1])


def train_step(training):
    """Phases of a training step on `training.minibatch`."""
    network = training.network
    if training.minibatch.sample_weight is None:
        yield from network.phases(forward_only=True)
        return
    yield from network.phases()
    yield from update(training)


def update(training):
    """Phases of an update of the weights by the gradient of `training.minibatch`."""
    if training.has_penalty:
        yield Alone(training.add_penalty)
    yield Phase(training.sum_squares)
    yield Alone(training.prepare_update)
    yield Phase(training.update)


def differentiate(network):
    """Phases that compute the weighted losses into `network.values` and the gradient of their sum.

    They work on the batch passed to `network.prepare_batch`. The gradient goes to `network.gradient`.
    """
    last = network.segments[-1]
    yield from _fill(network)
    for segment in network.segments:
        yield from _forward(network, segment, recording=segment is last)
        yield ByRows(network.save_states, segment)
    yield (ByRows if network.is_whole else Phase)(network.begin_backward)
    for segment in reversed(network.segments):
        if segment is not last:
            yield from _forward(network, segment, recording=True)
        if network.per_step:
            yield ByRows(network.gather_outputs)
            yield Phase(network.differentiate_steps, segment)
            yield ByRows(network.scatter_d_outputs)
        if not network.is_whole:
            yield ByRows(network.load_d_states)
        yield from network.run.backward(network.packed, to_start=segment.first > 0)
        yield Phase(network.accumulate_gradients, segment)
    if lookup := network.recurrence.lookup:
        yield Phase(lookup.backward)
        yield Alone(network.recurrence.collect)


def forward_only(network):
    """Phases that only carry the states of a chunk forward to the next one."""
    (segment,) = network.segments
    yield from _fill(network)
    yield from _forward(network, segment, recording=False)
    yield ByRows(network.save_states, segment)


def _fill(network):
    """Pack the weights, and compute the products that are looked up."""
    yield Phase(network.fill)
    if lookup := network.recurrence.lookup:
        yield Phase(lookup.multiply)


def _forward(network, segment, recording):
    """Forward pass through one segment, layer by layer."""
    if not network.is_whole:
        yield Alone(network.start_run, segment, recording)
    yield from network.run.forward(network.packed, network.recurrence.inputs)
