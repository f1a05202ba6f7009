"""The forward pass of a model over prepared series: recurrent layers, then the linear head."""

from contextlib import closing

import numpy as np

from fastlstm import sequences, threads
from fastlstm.kernels.workspace import Workspace
from fastlstm.lookup import Lookup
from fastlstm.phases import ByRows, Phase
from fastlstm.pool import Pool
from fastlstm.stacks import Inputs, PackedStack, StackRun

#: Maximum size of a forward pass whose buffers are kept for the next call, in bytes; enough for 250 series of 24 steps
#: with 128 units. Larger ones take so long that preparing them again does not matter.
KEPT_BYTES = 1 << 22
#: Maximum number of forward passes to keep, of all models and layouts together; at most about 32 MiB, or
#: several times as much on the NumPy backend, which is for reference only.
KEPT = 8

_idle = Pool(KEPT)


def check_channels(series, expected):
    """Raise ValueError unless series have the expected channels; otherwise kernels would read out of bounds."""
    if series.channels != expected:
        raise ValueError(
            f"X has {series.channels} channels, but the weights expect {expected}: an attribute of the fitted "
            "estimator was changed. Fit it again."
        )


def team_for(package, stack, dtype, rows, steps, n_jobs, passes=1):
    """Team of threads for `rows` sequences of `steps` steps in total; `passes` is 1 for inference, 3 for training."""
    size = threads.worthwhile(n_jobs, passes * stack.flops(steps), rows, stack.largest * dtype.itemsize)
    return threads.team(*size, package)


def run_over(stack, series, weights, package, n_jobs=None, per_step=False, with_head=True, embedding=None):
    """Scores of prepared series, or the hidden states of the last layer if not `with_head`.

    One row per series, in the order given, or one per step if `per_step`.
    """
    check_channels(series, embedding.channels if embedding else stack.input_size)
    n, (K, F), dtype = len(series), weights["head.weight"].shape, weights["head.weight"].dtype
    order, longest = series.order, int(series.lengths[series.order[0]])
    blocks = sequences.blocks(n, longest, stack.widest)
    first = blocks[0].stop
    steps = series.steps if first == n else int(series.lengths[order[:first]].sum())
    out = np.empty((series.steps if per_step else n, K if with_head else F), dtype)
    with team_for(package, stack, dtype, first, steps, n_jobs) as team:
        key = first, longest, per_step, with_head, team.size, K, dtype, package, stack, embedding
        forward = _idle.take(lambda idle: idle.key == key) or Forward(key)
        forward.run(team, series, [order[block] for block in blocks], weights, out)
    if forward.bytes <= KEPT_BYTES:
        _idle.leave(forward)
    return out


def _packed(series, rows):
    """`rows` sorted by decreasing length, the first packed row of each step, and the inputs."""
    rows, starts = series.pack(rows)
    return rows, starts, *series.inputs(rows, series.at[rows], starts)


class Forward:
    """Forward passes of a stack and a head, one at a time: their buffers, and the run last prepared.

    `key` is what the buffers depend on. They fit any series, but only those of the same number and length need no
    preparation.

    # Design: nothing here belongs to a model, so that models of the same sizes share, and the pool bounds the memory
    # however many models there are. Weights are packed in every call, because users may change them in place.
    """

    def __init__(self, key):
        n, T, self._per_step, self._with_head, self._threads, K, self._dtype, self._package, stack, embedding = key
        self.key, self._K, self._F, self._lookup = key, K, stack.width, None
        if embedding:
            self._lookup = Lookup(embedding, stack, self._package, self._dtype)
            stack = self._lookup.stack
        self._stack = stack
        self._workspaces, self._workspace = [Workspace() for _ in stack.places], Workspace()
        self._packed = PackedStack(stack, self._package, self._dtype, self._workspaces)
        self._head = self._package.head.Head(K, self._F, self._dtype, self._workspace)
        self._inputs, self._starts, self._places = Inputs(), None, None
        weights, rows = stack.multiplications + self._F * K, n * T if self._per_step else n
        of_steps = n * T * sum(C + H for _, C, H in stack.places)
        self._bytes = (weights + of_steps + rows * (self._F + K)) * self._dtype.itemsize

    @property
    def bytes(self):
        """Approximate size of the buffers."""
        return self._bytes + (self._lookup.bytes if self._lookup else 0)

    def run(self, team, series, blocks, weights, out):
        """Write the results of all series to `out`; each block is a part of the series, longest first."""
        recurrent, lookup = [weights[name] for name in self._stack.shapes], self._lookup
        head = weights["head.weight"].copy(), weights["head.bias"].copy()  # the head may keep what it is given
        if lookup:
            recurrent = lookup.recurrent(weights)
            lookup.find(lookup.codes(series.table(copy=False)))
            lookup.fill(weights)
        phases = [Phase(self._fill, recurrent, head)]
        if lookup:
            phases.append(Phase(lookup.multiply))
        with closing(series.each(_packed, ((series, rows) for rows in blocks))) as packed:
            for block in packed:
                self._prepare(series, *block)
                phases += self._recurrence
                if self._per_step:
                    phases += ByRows(self._run.outputs, self._features), Phase(self._write_steps, out)
                else:
                    phases.append(ByRows(self._write_last, out))
                team.run(phases.__iter__)
                phases = []
        self._inputs.x = None  # it belongs to the caller

    def _fill(self, part, recurrent, head):
        self._packed.fill(part, recurrent)
        if part.rank == 0:
            self._head.fill(*head)

    def _prepare(self, series, rows, starts, x, at):
        """Set the inputs, and prepare the run unless the last one had the same layout."""
        self._inputs.x, self._inputs.at = x, at
        self._places = series.step_rows(rows, starts) if self._per_step else rows
        if starts is not self._starts:  # the same object for the same equal lengths
            self._make_run(starts)
        if self._lookup:
            taken = self._lookup.take(x, at, starts, found=True)
            self._inputs.x, self._inputs.at, which = taken
            self._run.look_up(self._lookup.known, which)

    def _make_run(self, starts):
        self._run = StackRun(self._stack, self._package, starts, self._dtype, self._workspaces, threads=self._threads)
        self._recurrence = list(self._run.forward(self._packed, self._inputs))
        self._features = self._head.room("features", len(self._places))
        self._scores = self._workspace.empty("scores", (len(self._places), self._head.columns), self._dtype)
        self._starts = starts

    def _write_last(self, part, out):
        first, last = self._run.bounds(part)
        self._run.last_outputs(slice(first, last), self._features)
        self._write(first, last, out)

    def _write_steps(self, part, out):
        self._write(*part.share(len(self._places)), out)

    def _write(self, first, last, out):
        rows, columns = self._features, self._F
        if self._with_head:
            self._head.forward(first, last, self._features, self._scores)
            rows, columns = self._scores, self._K
        out[self._places[first:last]] = rows[first:last, :columns]
