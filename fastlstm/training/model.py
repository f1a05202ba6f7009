"""The fitted model behind an estimator: computes scores and hidden states of series.

Estimators create a `Model`; inspection, export and streams use one.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from fastlstm import kernels, sequences
from fastlstm.stacks import Stack
from fastlstm.training.embedding import Embedding
from fastlstm.training.inference import check_channels, run_over
from fastlstm.training.outputs import ClassificationOutput, RegressionOutput
from fastlstm.training.recording import Recording
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
    embedding : Embedding or None
        How codes among the channels become channels of the stack; its weights are among `weights`.
    """

    stack: Stack
    weights: dict
    output: ClassificationOutput | RegressionOutput
    n_targets: int
    per_step: bool = False
    masked: bool = False
    scaling: Scaling | None = None
    embedding: Embedding | None = None

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

    @property
    def shapes(self):
        """Names and shapes of all weights."""
        head = {"head.weight": (self.n_scores, self.stack.width), "head.bias": (self.n_scores,)}
        return {**(self.embedding.shapes if self.embedding else {}), **self.stack.shapes, **head}

    def check(self):
        """Raise ValueError or TypeError unless the weights are valid, which kernels do not check."""
        check_weights(self.weights, self.shapes)

    def prepare(self, series, precision="float32"):
        """Series transformed to the inputs of layers whose products are of this precision."""
        return prepared(series, self.scaling, self.masked, self.dtype, "X", precision)

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

    def record(self, series, backend, n_jobs=None):
        """The forward pass of `states`, as a `Recording` of the gates and states of all layers."""
        return self.record_prepared(self.prepare(series, kernels.precision_of(backend)), backend, n_jobs)

    def record_prepared(self, series, backend, n_jobs=None):
        """The same for series that `prepare` has returned."""
        return Recording(self.stack, series, self.weights, kernels.load(backend), n_jobs, self.embedding)

    def _run(self, series, backend, n_jobs, per_step, with_head):
        package = kernels.load(backend)
        series = self.prepare(series, kernels.precision_of(backend))
        return run_over(self.stack, series, self.weights, package, n_jobs, per_step, with_head, self.embedding)


def prepared(series, scaling, masked, dtype, name, precision):
    """Series standardised by `scaling`, as `dtype`, and with indicators of missing values if `masked`.

    Raises ValueError, naming `name`, if a value is infinite in products of this precision.
    """
    if scaling is not None:
        check_channels(series, len(scaling.mean))
    prepare = partial(_prepared, scaling=scaling, masked=masked, dtype=dtype, name=name, precision=precision)
    return series.prepared_by(prepare, series.channels * (2 if masked else 1), dtype, masked)


def _prepared(series, scaling, masked, dtype, name, precision):
    if scaling is not None:
        table = series.table(copy=False)
        out = table if series.is_scratch and table.dtype == dtype else None
        series = series.with_table(scaling.apply(table, dtype, out))
    elif series.values.dtype != dtype:  # kernels would read the numbers as those of another type
        series = series.with_table(series.table(copy=False).astype(dtype))
    # finite values may be too large for the dtype, and a file may have changed since it was checked
    if scaling is not None or series.origin is not None or precision in kernels.LIMITS:
        sequences.check_finite(series, name, "keep" if masked else "error", precision=precision)
    return sequences.with_mask(series) if masked else series


def check_weights(weights, expected):
    """Raise ValueError or TypeError unless `weights` are arrays of the shapes in `expected` that kernels can read."""
    if not isinstance(weights, Mapping):
        raise TypeError(f"weights_ is of type {type(weights).__name__}; expected a dict of {list(expected)} to arrays.")
    if weights.keys() != expected.keys():
        raise ValueError(
            f"weights_ has {list(weights)}; expected {list(expected)}. load_state_dict also takes names with prefixes."
        )
    name = _invalid(weights, expected, getattr(weights["head.bias"], "dtype", None))
    if name is None:
        return
    dtypes = Counter(value.dtype for value in weights.values() if isinstance(value, np.ndarray))
    dtype = max(DTYPES, key=dtypes.__getitem__)  # report the array whose type differs from the majority
    name = _invalid(weights, expected, dtype)
    shape = expected[name]
    value = weights[name]
    if isinstance(value, np.ndarray) and value.shape == shape and value.dtype == dtype:
        raise ValueError(
            f"weights_[{name!r}] has strides {value.strides}; expected an array of shape {shape} in C order: pass it "
            "through np.ascontiguousarray."
        )
    given = type(value).__name__
    if isinstance(value, np.ndarray):
        given = f"of shape {value.shape} and type {value.dtype}"
    raise ValueError(f"weights_[{name!r}] is {given}; expected an array of shape {shape}, all float32 or all float64.")


def _invalid(weights, shapes, dtype):
    """Name of the first weight that is not an array of its shape and this dtype which kernels can read, or None."""
    if dtype not in DTYPES:
        return next(iter(shapes))
    for name, shape in shapes.items():
        value = weights[name]
        if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != dtype:
            return name
        flags = value.flags
        if not (flags.c_contiguous and flags.aligned):
            return name
    return None
