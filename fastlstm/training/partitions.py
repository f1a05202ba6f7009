"""Training on partitions of the data, which may be divided among several processes.

A minibatch takes series from every partition in proportion to its size, each partition in an order of its own. The
gradients of the partitions are added in one fixed order, see ``collective.py``, so that the weights after an update
are the same bits for any number of processes.
"""

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from fastlstm.phases import Alone, Phase
from fastlstm.training import minibatch
from fastlstm.training.collective import ALONE, Node, push
from fastlstm.training.loop import Training

SAMPLED_ROWS = 4000  # targets of all partitions together by which a finished training is judged


class Partitions:
    """Examples in V partitions, of which this process has some.

    Parameters
    ----------
    share : Share
    parts : list of Examples or None
        The partitions of this process; None where one is empty.

    Attributes
    ----------
    sizes : list of int
        Number of series of each of the V partitions.
    channels, longest, n_steps, mean_weight
        As of `Examples`, over all partitions.
    targets, weights : arrays
        Some rows of those of all partitions, if they have any.
    """

    def __init__(self, share, parts):
        self.share, self.parts = share, dict(zip(share.mine, parts, strict=True))
        facts = share.gather([None if part is None else _facts(part, share.n_partitions) for part in parts])
        there = [of for of in facts if of is not None]
        self.sizes = [0 if of is None else of["size"] for of in facts]
        self.channels, self.longest = there[0]["channels"], max(of["longest"] for of in there)
        self.n_steps = sum(of["n_steps"] for of in there)
        self.mean_weight = sum(of["total_weight"] for of in there) / sum(of["n_weighted"] for of in there)
        if there[0]["targets"] is not None:
            self.targets, self.weights = (np.concatenate([of[name] for of in there]) for name in ("targets", "weights"))
        self.before = [0, *accumulate(self.sizes)]  # number of the first series of each partition among all
        for part in parts:
            if part is not None:
                part.mean_weight = self.mean_weight

    def __len__(self):
        return self.before[-1]

    def batches(self, n_batches, key, steps=None):
        """The batches of an epoch, each a list of (partition, rows) of this process."""
        drawn = [[] for _ in range(n_batches)]
        for v, part in self.parts.items():
            if part is not None:
                ends = [self.sizes[v] * (number + 1) // n_batches for number in range(n_batches)]
                for number, rows in part.batches(ends, key and (*key, v), steps):
                    drawn[number].append((v, rows))
        return drawn

    @contextmanager
    def reading(self, drawn, steps=None):
        """Context of an epoch; see ``Examples.reading``."""
        of_parts = {v: [] for v, part in self.parts.items() if part is not None}
        for number, pieces in enumerate(drawn):
            for v, rows in pieces:
                of_parts[v].append((number, rows))
        with ExitStack() as stack:
            for v, of_part in of_parts.items():
                stack.enter_context(self.parts[v].reading(of_part, steps))
            yield


def _facts(part, n_partitions):
    sampled = {"targets": None, "weights": None}
    if hasattr(part, "targets"):
        rows = np.arange(0, len(part.targets), max(1, len(part.targets) * n_partitions // SAMPLED_ROWS))
        sampled = {"targets": part.targets[rows], "weights": part.weights[rows]}
    return {
        "size": len(part),
        **sampled,
        **{name: getattr(part, name) for name in ("channels", "longest", "n_steps", "total_weight", "n_weighted")},
    }


@dataclass(slots=True)
class Update:
    """A minibatch when its parts have been added up; otherwise as in `Minibatch`."""

    number: int
    loss: float  # sum of the weighted losses
    total_weight: float
    expected_weight: float
    penalty: float = 0.0
    scale: float = 1.0


class PartitionedTraining(Training):
    """Training on `Partitions`; all processes have the same network, and go through the same epochs."""

    def __init__(self, network, settings, examples, **others):
        super().__init__(network, settings, examples, **others)
        self._share, self._nodes, self._free, self._carried = examples.share, [], [], {}

    def _draw(self, key):
        examples, steps = self.examples, self.settings.bptt_steps
        drawn = examples.batches(self.n_batches, key, steps)
        pieces = [(examples.parts[v], rows) for batch in drawn for v, rows in batch]
        most = max((len(rows) for _, rows in pieces), default=1)
        return drawn, most, max((part.steps_of(rows, steps) for part, rows in pieces), default=1)

    def _phases(self, drawn, size):
        """Phases of an epoch: of each minibatch, those of its parts one after another, then an update.

        With `bptt_steps` and targets per step, each chunk of a minibatch is followed by an update. Otherwise only the
        last chunk has a gradient.
        """
        steps = self.settings.bptt_steps
        for number, pieces in enumerate(drawn):
            chunks = {v: range(self.examples.parts[v].n_chunks(rows, steps)) for v, rows in pieces}
            together = steps is not None and self.network.per_step
            first, more = 0, True
            while more:
                for v, rows in pieces:
                    for chunk in chunks[v][first : first + 1] if together else chunks[v]:
                        yield Alone(self._prepare_part, v, number, rows, chunk, size)
                        yield from self._cached_phases or self._step()
                        yield Alone(self._add, v)
                first += 1
                yield Alone(self._reduce, number, together and any(len(of) > first for of in chunks.values()))
                # read by all threads before any of them can be beyond the next barrier, where they may change
                has_weight, more = self.minibatch.total_weight > 0, self._more
                yield from minibatch.update(self) if has_weight else (Phase(_nothing),)

    def _step(self):
        return self.network.phases(forward_only=self.minibatch.sample_weight is None)

    def _prepare_part(self, v, number, rows, chunk, size):
        if chunk:
            self.network.carried = self._carried[v]
        examples = self.examples
        number = number * examples.share.n_partitions + v  # that of no other part of this epoch
        self.prepare_batch(examples.parts[v], number, rows, chunk, size, examples.before[v])

    def _add(self, v):
        """Add the gradient of a part of the minibatch."""
        batch = self.minibatch
        if self.settings.bptt_steps is not None:
            self._carried[v] = self.network.carried
        if batch.sample_weight is None:
            return
        count = batch.expected_weight / self.examples.mean_weight
        gradient = self._room()
        np.multiply(self.network.gradient, count, out=gradient, casting="same_kind")
        self._push(v, gradient, [super()._batch_loss(), batch.total_weight, count, 0.0])

    def _room(self):
        return self._free.pop() if self._free else np.empty_like(self.network.gradient)

    def _push(self, v, gradient, sums):
        """Add a node, after empty ones for the partitions before that have no series in this minibatch."""
        last = self._nodes[-1].first + self._nodes[-1].width if self._nodes else self._share.mine.start
        for number in range(last, v):
            nothing = self._room()
            nothing[:] = 0
            self._free += push(self._nodes, Node(number, 1, nothing, np.zeros(4)))
        if gradient is not None:
            self._free += push(self._nodes, Node(v, 1, gradient, np.array(sums)))

    def _reduce(self, number, more):
        """Add up the parts of the minibatch of all processes."""
        self._push(self._share.mine.stop, None, None)
        if self._nodes:
            self._nodes[0].sums[3] += more
        nodes, self._nodes = self._nodes, []
        gradient, (loss, weight, count, more) = self._share.collective.reduce(nodes, self._share.layout)
        if weight:
            np.divide(gradient, count, out=self.network.gradient, casting="same_kind")
        self._free += [node.gradient for node in nodes]
        self._more = bool(more)
        self.minibatch = Update(number, float(loss), float(weight), float(self.examples.mean_weight * count))

    def _agree(self):
        self.progress.stopped = self._share.collective.broadcast(self.progress.stopped)

    def _batch_loss(self):
        return self.minibatch.loss


def training_on(parts, share, network, settings, **others):
    """The training on partitions of the data, or on the only one of a process that is alone."""
    if share is ALONE:
        return Training(network, settings, parts[0], **others)
    return PartitionedTraining(network, settings, Partitions(share, parts), **others)


def _nothing(part):
    """A phase that is only a barrier."""
