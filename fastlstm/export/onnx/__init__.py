"""Fitted estimators as ONNX models, which other runtimes and languages execute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fastlstm._version import __version__
from fastlstm.estimators.atomic import snapshot
from fastlstm.estimators.inputs import check_levels
from fastlstm.estimators.regressor import LSTMRegressor
from fastlstm.export.files import write_atomically
from fastlstm.export.onnx import estimators, forecaster, language, pipelines
from fastlstm.export.onnx.graph import IR_VERSION, OPSETS, Graph
from fastlstm.export.onnx.pipelines import register_onnx_converters
from fastlstm.forecasting.forecaster import LSTMForecaster
from fastlstm.language.language_model import LSTMLanguageModel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from typing import Any

__all__ = ["register_onnx_converters", "to_onnx"]

LARGEST = 2**31 - 1  # bytes of a model in protobuf's format
DTYPES = ("float32", "float64")


def to_onnx(
    estimator: Any,
    path: str | PathLike[str] | None = None,
    *,
    lengths: bool = False,
    quantiles: float | Sequence[float] | None = None,
    dtype: str = "float32",
) -> Any:
    """Export a fitted estimator to ONNX.

    The model computes what `predict` does, from X in the original units to predictions in those of y. Its inputs and
    outputs have batch and time axes of any size. It does not validate its inputs: of NaN, unless the estimator was
    fitted with ``missing="mask"``, it makes NaN, or arbitrary labels.

    Parameters
    ----------
    estimator : LSTMClassifier, LSTMRegressor, SequenceEncoder, SequenceScaler, LSTMForecaster, LSTMLanguageModel or \
Pipeline
        Fitted estimator. The steps of a Pipeline may be these, or others that skl2onnx converts. A forecaster must have
        ``strategy="direct"`` and no features of the calendar, trend, or categories in X.
    path : path-like or None, default=None
        File to write, conventionally with the suffix ".onnx". It is written as a whole or not at all.
    lengths : bool, default=False
        Whether the model has an input `lengths` for series of unequal lengths. What is behind the end of a series, then
        has no effect on its predictions; with ``return_sequences=True``, predictions there are NaN, and labels
        arbitrary.
    quantiles : float, sequence of L floats, or None, default=None
        Levels in (0, 1) of quantiles that the model predicts, too: of an LSTMRegressor that was fitted with
        ``loss="quantile"`` or "gaussian_nll".
    dtype : {"float32", "float64"}, default="float32"
        Type of the input X and of numeric predictions. Probabilities are float32. "float64" is for values
        that are large compared to their changes, such as time stamps; the model first subtracts their means.

    Returns
    -------
    onnx.ModelProto
        The model, which has been written to `path` if one is given.

    Raises
    ------
    TypeError
        If `estimator` is not one of these classes.
    ValueError
        If a part of the estimator cannot be expressed in ONNX, which the message names, or a parameter is invalid.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ImportError
        If onnx, or for a Pipeline skl2onnx, is not installed.
    OSError
        If the file cannot be written.

    Notes
    -----
    Models require version 13 of ONNX's operators, and for symbols and pipelines version 2 of those of ``ai.onnx.ml``.

    The recurrent layers compute in float32, also those of an estimator with ``dtype="float64"``, since runtimes have no
    others. Statistics of `standardize` are applied in float64.

    ============================= ================== =============================================================
    estimator                     inputs             outputs
    ============================= ================== =============================================================
    LSTMClassifier                X                  label, (N,) or (N, K); probabilities, (N, K)
    LSTMRegressor                 X                  variable, (N,) or (N, K); quantiles, (N, L) or (N, K, L)
    SequenceEncoder               X                  variable, (N, D H)
    SequenceScaler                X                  variable, like X
    LSTMForecaster                y, series, X       variable, (N, horizon)
    LSTMLanguageModel             X                  label, (N,): the next symbol; probabilities, (N, V + 1)
    ============================= ================== =============================================================

    X has the form that the estimator was fitted with: (N, T, C) for 3-D arrays and lists, (N, T) for 2-D ones. With
    ``return_sequences=True``, outputs are (N, T) or (N, T, K).

    Sequences of symbols are arrays (N, T) of strings, with one character or word per step, or of int64. Strings must be
    in Unicode's form NFC. For tables of events, each column is an input (N, T) with the name of the column.

    The input y of a forecaster has the last values of N series, (N, P), as many as a forecast requires: those of the
    window and of its differences. Of a forecaster of several series, the input `series` has their positions in `fit`,
    (N,), int64, as each has a scale and static covariates of its own. With covariates, X of shape (N, P + horizon,
    columns) has their values at the steps of y and of the forecasts, where those in `past_covariates` are not read; if
    all are in `past_covariates`, its shape is (N, P, columns).

    Examples
    --------
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.export.onnx import to_onnx
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
    >>> exported = to_onnx(model)
    >>> [value.name for value in (*exported.graph.input, *exported.graph.output)]
    ['X', 'variable']
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}: expected 'float32' or 'float64'.")
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError("to_onnx requires onnx: pip install onnx.") from error
    model = _model_of(estimator, bool(lengths), quantiles, dtype)
    if path is not None:
        write_atomically(path, model.SerializeToString())
    return model


def _model_of(estimator, lengths, quantiles, dtype):
    kind = type(estimator).__name__
    if isinstance(estimator, (*estimators.CLASSES, LSTMForecaster, LSTMLanguageModel, Pipeline)):
        check_is_fitted(estimator)
    else:
        *names, last = (cls.__name__ for cls in (*estimators.CLASSES, LSTMForecaster, LSTMLanguageModel, Pipeline))
        raise TypeError(f"estimator is of type {kind}; expected a fitted {', '.join(names)} or {last}.")
    if quantiles is not None and not isinstance(estimator, LSTMRegressor):
        raise ValueError(f"quantiles is not supported for {kind}: leave it out, or export an LSTMRegressor.")
    if lengths and isinstance(estimator, (Pipeline, LSTMForecaster)):
        raise ValueError(f"lengths=True is not supported for {kind}: leave it out.")
    if isinstance(estimator, Pipeline):
        return pipelines.convert(estimator, dtype)
    estimator, counts = snapshot(estimator), {}

    def unique(name):
        counts[name] = counts.get(name, 0) + 1
        return f"/{name}_{counts[name]}"

    graph = Graph(unique)
    if isinstance(estimator, LSTMForecaster):
        inputs, outputs = forecaster.add_forecaster(graph, estimator, dtype)
    elif isinstance(estimator, LSTMLanguageModel):
        inputs, outputs = language.add_language_model(graph, estimator, lengths)
    else:
        levels = None if quantiles is None else estimator._levels(check_levels(quantiles, "quantiles"))
        inputs = estimators.inputs_of(estimator, dtype, lengths)
        tensors = {value.name: value.tensor for value in inputs}
        outputs = estimators.add_estimator(graph, estimator, tensors, dtype, levels)
    return _model_proto(graph, inputs, outputs, kind)


def _model_proto(graph, inputs, outputs, kind):
    from onnx import helper

    names = [value.name for value in (*inputs, *outputs)]
    shared = {name for name in names if names.count(name) > 1}
    if shared:
        raise ValueError(f"X has a column {shared.pop()!r}, the name of another input or output: rename the column.")
    for value in outputs:
        graph.rename(value)
    size = sum(constant.ByteSize() for constant in graph.constants)
    if size > LARGEST:
        raise ValueError(
            f"The weights of this {kind} take {size:.3g} bytes, but an ONNX model has {LARGEST:.3g} bytes at most: fit "
            "with a smaller hidden_size or embedding_size."
        )
    proto = helper.make_graph(
        graph.nodes,
        kind,
        [value.info() for value in inputs],
        [value.info() for value in outputs],
        graph.constants,
        doc_string=f"{kind} of fastlstm {__version__}",
    )
    domains = {"", *(node.domain for node in graph.nodes)}
    model = helper.make_model(
        proto,
        producer_name="fastlstm",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid(domain, OPSETS[domain]) for domain in sorted(domains)],
    )
    helper.set_model_props(model, {"estimator": kind})
    return model
