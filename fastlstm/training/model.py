"""The fitted model behind an estimator: computes scores and hidden states of series.

Estimators create a `Model`; inspection, export and streams use one.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from fastlstm import kernels, sequences, threads
from fastlstm.kernels.workspace import Workspace
from fastlstm.phases import Alone, ByRows, Phase
from fastlstm.stacks import Inputs, PackedStack, Stack, StackRun
from fastlstm.training.outputs import ClassificationOutput, RegressionOutput
from fastlstm.training.standardization import Scaling

DTYPES = np.dtype("float32"), np.dtype("float64")


@dataclass(frozen=True)
class Model:
    """Recurrent layers and a linear head with their weights, and how inputs and outputs are transformed.

    Parameters
    ----------
    stack : Stack
        The recurrent layers.
    weights : dict of str to array
        Weights of the layers, with PyTorch's names and shapes, then ``head.weight`` [K S, D H] and ``head.bias`` [K S].
    output : ClassificationOutput or RegressionOutput
        How scores become predictions.
    n_targets : int
        K, the number of targets or classes.
    per_step : bool
        Whether the head is applied to every step instead of the last states of each series.
    masked : bool
        Whether series may contain NaN, which is replaced by the last observed value; each channel then has an indicator
        channel of missing values.
    scaling : Scaling or None
        Standardisation of the channels.
    """

    stack: Stack
    weights: dict
    output: ClassificationOutput | RegressionOutput
    n_targets: int
    per_step: bool = False
    masked: bool = False
    scaling: Scaling | None = None

    @property
    def loss(self):
        """The loss of training."""
        return self.output.loss

    @property
    def target_scaling(self):
        """Standardisation of the targets, or None."""
        return getattr(self.output, "scaling", None)

    @property
    def dtype(self):
        """Floating-point type of the computation."""
        return self.weights["head.bias"].dtype

    @property
    def n_scores(self):
        """Number of outputs of the head."""
        return self.n_targets * self.loss.width

    def check(self):
        """Raise ValueError unless the weights are valid, which kernels do not check."""
        check_weights(self.stack, self.weights, self.n_scores)

    def prepare(self, series, name="X"):
        """Series transformed to the inputs of the layers."""
        return prepared(series, self.scaling, self.masked, self.dtype, name)

    def scores(self, series, backend, n_jobs=None):
        """Scores [rows, K S] of the head: one row per series, or one per step if the head is applied to every step.

        The `Series` are in the original units; this method calls `prepare` itself.
        """
        return self._run(series, backend, n_jobs, self.per_step, with_head=True)

    def states(self, series, backend, n_jobs=None, per_step=False):
        """Hidden states of the last layer, [n, D H] or [steps, D H].

        By default the last state of each series, which for the backward direction is the state at the first step; if
        `per_step`, the states after every step.
        """
        return self._run(series, backend, n_jobs, per_step, with_head=False)

    def _run(self, series, backend, n_jobs, per_step, with_head):
        package = kernels.load(backend)
        return run_over(self.stack, self.prepare(series), self.weights, package, n_jobs, per_step, with_head)


def prepared(series, scaling, masked, dtype, name="X"):
    """Series standardised by `scaling`, as `dtype`, and with indicators of missing values if `masked`."""
    if scaling is not None:
        check_channels(series, len(scaling.mean))
        series = series.with_table(scaling.apply(series.table(copy=False), dtype))
        sequences.check_finite(series, name, "keep")  # finite values may be too large for the dtype
    return sequences.with_mask(series) if masked else series


def check_weights(stack, weights, n_scores):
    """Raise ValueError unless `weights` are valid for the layers of `stack` and a head of `n_scores` outputs."""
    expected = {**stack.shapes, "head.weight": (n_scores, stack.width), "head.bias": (n_scores,)}
    if weights.keys() != expected.keys():
        raise ValueError(f"weights_ has {list(weights)}; expected {list(expected)}.")
    dtypes = Counter(value.dtype for value in weights.values() if isinstance(value, np.ndarray))
    dtype = max(DTYPES, key=dtypes.__getitem__)  # report the array whose type differs from the majority
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
                "it through np.ascontiguousarray."
            )


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


def run_over(stack, series, weights, package, n_jobs=None, per_step=False, with_head=True):
    """Scores of prepared series, or the hidden states of the last layer if not `with_head`.

    One row per series, in the order given, or one per step if `per_step`.
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

    def write_rows(first, last):
        if with_head:
            head.forward(first, last, features, scores)
        out[places[first:last]] = (scores[first:last, :K]) if with_head else features[first:last, :F]

    def write_last(part):
        first, last = run.bounds(part)
        run.last_outputs(slice(first, last), features)
        write_rows(first, last)

    def write_steps(part):
        write_rows(*part.share(len(places)))

    def phases():
        yield Phase(fill)
        for block in blocks:
            yield Alone(prepare, block)
            yield from run.forward(packed, Inputs(series.values, series.at[rows]))
            if per_step:
                yield ByRows(run.outputs, features)
                yield Phase(write_steps)
            else:
                yield ByRows(write_last)

    first = blocks[0].stop
    with team_for(package, stack, dtype, first, int(series.lengths[order[:first]].sum()), n_jobs) as team:
        team.run(phases)
    return out
