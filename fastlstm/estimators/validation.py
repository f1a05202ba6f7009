"""Validation of parameters: each on its own, against each other, and against the fitted model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.base import _fit_context

from fastlstm import containers, kernels
from fastlstm.estimators import symbolic
from fastlstm.estimators.inputs import resolve_layout
from fastlstm.layers.checks import check_sizes

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Method = TypeVar("Method", bound=Callable[..., Any])


def validates_parameters(method: Method) -> Method:
    """Decorator of fit methods: scikit-learn's, with type hints that preserve the signature of the method."""
    return _fit_context(prefer_skip_nested_validation=True)(method)


def check_network_parameters(estimator):
    """Raise if parameters of the network are incompatible with each other."""
    if estimator.precision == "int8":  # before other errors, which may suggest a backend that has it
        raise ValueError(kernels.NO_GRADIENT)
    estimator._kernels_for(estimator.dtype)
    check_sizes(estimator.hidden_size, estimator.num_layers)
    gated = [name for name, cell in kernels.CELLS.items() if cell.forget_gate]
    *others, last = map(repr, gated)
    choice = f"cell={', '.join(others)} or {last}"
    if estimator.init == "chrono" and estimator.cell not in gated:
        raise ValueError(
            f"init='chrono' is not supported with cell={estimator.cell!r}, which has no gates: use init='standard' or "
            f"'auto', or {choice}."
        )
    if estimator.longest_lag is not None and (estimator.init == "standard" or estimator.cell not in gated):
        other = "init='standard'" if estimator.init == "standard" else f"cell={estimator.cell!r}"
        raise ValueError(
            f"longest_lag={estimator.longest_lag} has no effect with {other}: set it to None, or use init='chrono' "
            f"with {choice}."
        )


def check_resume(estimator):
    """Raise if there is no file to resume from."""
    if estimator.resume and estimator.checkpoint_path is None:
        raise ValueError("resume=True requires checkpoint_path, the file to resume from.")


def check_parameters(estimator):
    """Raise if parameters are incompatible with each other."""
    check_network_parameters(estimator)
    symbolic.check_parameters(estimator)
    if estimator.bidirectional and estimator.bptt_checkpoint not in (None, "auto"):
        raise ValueError(
            f"bptt_checkpoint={estimator.bptt_checkpoint} is not supported with bidirectional=True, which stores all "
            "steps because the backward direction starts at the last: set bptt_checkpoint='auto'."
        )
    if estimator.bidirectional and estimator.bptt_steps is not None:
        raise ValueError(
            f"bptt_steps={estimator.bptt_steps} is not supported with bidirectional=True, because the backward "
            "direction starts at the last step: set bptt_steps=None."
        )
    check_resume(estimator)
    if estimator.resume and estimator.warm_start:
        raise ValueError(
            "resume=True and warm_start=True are mutually exclusive: one continues from a file, the other from the "
            "fitted weights. Set one of them to False."
        )


def check_partial_fit(estimator):
    """Raise if parameters are incompatible with `partial_fit`."""
    if estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True, since it holds out no validation data.")
    if estimator.learning_rate == "cosine":
        raise ValueError("partial_fit does not support learning_rate='cosine', which needs a fixed number of epochs.")
    if estimator.checkpoint_path is not None:
        raise ValueError(
            "partial_fit does not support checkpoint_path, which saves the state of a fit: pickle the estimator "
            "between calls instead."
        )


def check_compatible(estimator):
    """Raise if parameters that define the fitted model have changed."""
    model = estimator._model
    stack = model.stack
    model.check()
    for name, value, fitted in [
        ("hidden_size", check_sizes(estimator.hidden_size, estimator.num_layers), stack.hidden_sizes),
        ("cell", estimator.cell, stack.cell),
        ("bidirectional", bool(estimator.bidirectional), stack.bidirectional),
        ("return_sequences", bool(estimator.return_sequences), model.per_step),
        ("embedding_size", estimator.embedding_size, _embedding_size(model)),
        ("missing", estimator.missing, "mask" if model.masked else "error"),
        ("standardize", bool(estimator.standardize), estimator._standardised),
        *estimator._fixed_parameters(),
    ]:
        if value != fitted:
            value, fitted = (v[0] if isinstance(v, tuple) and len(v) == 1 else v for v in (value, fitted))
            raise ValueError(
                f"{name}={value!r}, but the fitted model has {name}={fitted!r}: restore that value, or fit "
                "again with warm_start=False."
            )
    names = getattr(estimator, "feature_names_in_", None) if estimator._columns is not None else None
    if resolve_layout(estimator, estimator._columns, names) != estimator._plan:
        raise ValueError(
            f"layout={containers.brief(estimator.layout)} and time_order={estimator.time_order!r} differ from those of "
            "the fitted model: restore their values, or fit again with warm_start=False."
        )


def _embedding_size(model):
    """The parameter with which a model was fitted."""
    return model.embedding and (model.embedding.width or "onehot")
