"""A trained network as a thing of its own: from series to scores, to states, and step by step.

Estimators make one and keep it; what shows, moves or serves a trained network takes one.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from fastlstm import kernels, sequences, threads
from fastlstm.kernels.workspace import Workspace
from fastlstm.phases import Alone, ByRows, Phase
from fastlstm.stacks import Inputs, PackedStack, Stack, StackRun
from fastlstm.training.answers import Labels, Numbers
from fastlstm.training.standardization import Scaling

DTYPES = np.dtype("float32"), np.dtype("float64")


@dataclass(frozen=True)
class Model:
    """Recurrent layers and a linear head, with their weights, what goes in and what comes out.

    Parameters
    ----------
    stack : Stack
        The recurrent layers.
    weights : dict of str to array
        PyTorch's names and shapes for the layers, then ``head.weight`` [K S, D H] and ``head.bias`` [K S].
    answers : Labels or Numbers
        What the head's scores stand for.
    n_targets : int
        K: numbers to predict, or classes.
    per_step : bool
        Whether the head is on every step, not on each series's last states.
    masked : bool
        Whether series may have NaN, which becomes the last value seen, with a channel more that says so.
    scaling : Scaling or None
        What is removed from the channels first.
    """

    stack: Stack
    weights: dict
    answers: Labels | Numbers
    n_targets: int
    per_step: bool = False
    masked: bool = False
    scaling: Scaling | None = None

    @property
    def loss(self):
        """What was trained by."""
        return self.answers.loss

    @property
    def target_scaling(self):
        """How targets were standardised; None if they were not."""
        return getattr(self.answers, "scaling", None)

    @property
    def dtype(self):
        """The type that it computes in."""
        return self.weights["head.bias"].dtype

    @property
    def n_scores(self):
        """Outputs of the head."""
        return self.n_targets * self.loss.width

    def check(self):
        """Raise ValueError unless kernels can take the weights: they do not look at them themselves."""
        check_weights(self.stack, self.weights, self.n_scores)

    def prepare(self, series, name="X"):
        """Series as the layers read them."""
        return prepared(series, self.scaling, self.masked, self.dtype, name)

    def scores(self, series, backend, n_jobs=None):
        """The head's scores [rows, K S]: a row for each series, or where the head is on every step for each step.

        The `Series` are as they came: this method and the others `prepare` them.
        """
        return self._run(series, backend, n_jobs, self.per_step, with_head=True)

    def states(self, series, backend, n_jobs=None, per_step=False):
        """The last layer's states: the last [n, D H], of the backward direction those at the first step; or all."""
        return self._run(series, backend, n_jobs, per_step, with_head=False)

    def _run(self, series, backend, n_jobs, per_step, with_head):
        package = kernels.load(backend)
        return run_over(self.stack, self.prepare(series), self.weights, package, n_jobs, per_step, with_head)


def prepared(series, scaling, masked, dtype, name="X"):
    """Series standardised, of `dtype`, and with a mask where they may have gaps."""
    if scaling is not None:
        check_channels(series, len(scaling.mean))
        series = series.with_table(scaling.apply(series.table(copy=False), dtype))
        sequences.check_finite(series, name, "keep")  # what was finite may be too large for the dtype
    return sequences.with_mask(series) if masked else series


def check_weights(stack, weights, n_scores):
    """Raise ValueError unless these are the weights of such layers and of a head of so many outputs."""
    expected = {**stack.shapes, "head.weight": (n_scores, stack.width), "head.bias": (n_scores,)}
    if weights.keys() != expected.keys():
        raise ValueError(f"weights_ has {list(weights)}; expected {list(expected)}.")
    dtypes = Counter(value.dtype for value in weights.values() if isinstance(value, np.ndarray))
    dtype = max(DTYPES, key=dtypes.__getitem__)  # one array of another type than the rest is the wrong one
    for name, shape in expected.items():
        value = weights[name]
        if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != dtype:
            given = type(value).__name__
            if isinstance(value, np.ndarray):
                given = f"of shape {value.shape} and type {value.dtype}"
            raise ValueError(
                f"weights_[{name!r}] is {given}; expected an array of shape {shape}, all float32 or all float64."
            )
        if not (value.flags.c_contiguous and value.flags.aligned):
            raise ValueError(
                f"weights_[{name!r}] has strides {value.strides}; expected an array of shape {shape} in C order: pass "
                "np.ascontiguousarray of it."
            )


def check_channels(series, expected):
    """Raise ValueError unless series have the channels that kernels read of them: they would read others' values."""
    if series.channels != expected:
        raise ValueError(
            f"X has series of {series.channels} channels, but the weights are for {expected}: an attribute of "
            "the fitted estimator was changed. Fit it anew."
        )


def team_for(package, stack, dtype, rows, steps, n_jobs, passes=1):
    """A team for a run over `steps` steps of `rows` sequences, forward or, with 3 passes, for training."""
    size = threads.worthwhile(n_jobs, passes * stack.flops(steps), rows, stack.largest * dtype.itemsize)
    return threads.team(*size, package)


def run_over(stack, series, weights, package, n_jobs=None, per_step=False, with_head=True):
    """What a network makes of prepared series: scores, or without head the last layer's states.

    One row for each series, in order: of its last states; or `per_step`, a row for each of its steps.
    """
    check_channels(series, stack.input_size)
    workspaces, workspace = [Workspace() for _ in stack.places], Workspace()
    dtype, order = weights["head.weight"].dtype, np.argsort(-series.lengths, kind="stable")
    recurrent = [weights[name] for name in stack.shapes]
    F, K = stack.width, len(weights["head.bias"])
    out = np.empty((series.steps if per_step else len(series), K if with_head else F), dtype)
    packed, head = PackedStack(stack, package, dtype), package.head.Head(K, F, dtype, workspace)
    widest = max(C + H for _, C, H in stack.places) * stack.directions
    blocks = sequences.blocks(len(order), int(series.lengths.max()), widest)
    run = rows = places = features = scores = None

    def prepare(block):
        nonlocal run, rows, places, features, scores
        rows, starts = series.pack(order[block])
        run = StackRun(stack, package, starts, dtype, workspaces, threads=team.size)
        places = series.step_rows(rows, starts) if per_step else rows
        features = head.room("features", len(places))
        scores = workspace.empty("scores", (len(places), head.columns), dtype)

    def fill(part):
        packed.fill(part, recurrent)
        if part.rank == 0:
            head.fill(weights["head.weight"], weights["head.bias"])

    def answer(first, last):
        if with_head:
            head.forward(first, last, features, scores)
        out[places[first:last]] = (scores[first:last, :K]) if with_head else features[first:last, :F]

    def answer_last(part):
        first, last = run.bounds(part)
        run.last_outputs(slice(first, last), features)
        answer(first, last)

    def answer_steps(part):
        answer(*part.share(len(places)))

    def phases():
        yield Phase(fill)
        for block in blocks:
            yield Alone(prepare, block)
            yield from run.forward(packed, Inputs(series.values, series.at[rows]))
            if per_step:
                yield ByRows(run.outputs, features)
                yield Phase(answer_steps)
            else:
                yield ByRows(answer_last)

    first = blocks[0].stop
    with team_for(package, stack, dtype, first, int(series.lengths[order[:first]].sum()), n_jobs) as team:
        team.run(phases)
    return out
