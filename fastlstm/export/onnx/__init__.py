"""Fitted estimators as ONNX models, which other runtimes and languages execute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fastlstm._version import __version__
from fastlstm.estimators.atomic import snapshot
from fastlstm.estimators.inputs import check_levels
from fastlstm.estimators.regressor import LSTMRegressor
from fastlstm.export.onnx import estimators, forecaster, language, pipelines
from fastlstm.export.onnx.graph import IR_VERSION, OPSETS, Graph
from fastlstm.export.onnx.pipelines import register_onnx_converters
from fastlstm.files import write_atomically
from fastlstm.forecasting.forecaster import LSTMForecaster
from fastlstm.language.language_model import LSTMLanguageModel
from fastlstm.layers.checks import named

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

    The exported model computes what `predict` does, from X in its original units to predictions in those of y. Its
    batch and time axes are dynamic. It does not validate its input: unless the estimator was fitted with
    ``missing="mask"``, NaN in X results in NaN or in an arbitrary label.

    Parameters
    ----------
    estimator : LSTMClassifier, LSTMRegressor, SequenceEncoder, SequenceScaler, LSTMForecaster, LSTMLanguageModel or \
Pipeline
        Fitted estimator. The steps of a Pipeline may be of these classes, or others that skl2onnx can convert. A
        forecaster must not use a calendar, a trend or categories in X, nor, with ``strategy="recursive"``, any
        covariates.
    path : path-like or None, default=None
        File to write, conventionally with the suffix ".onnx". It is replaced as a whole or, if the export fails, left
        as it was.
    lengths : bool, default=False
        Whether to add an input `lengths`, (N,), int32, for series of unequal lengths, which are padded at the end with
        any values. With ``return_sequences=True``, predictions for the padding are NaN, and its labels are arbitrary.
        Without `lengths`, all series have T steps, even if they end in NaN.
    quantiles : float, sequence of L floats, or None, default=None
        Quantile levels in (0, 1) to predict in addition, see `LSTMRegressor.predict_quantiles`. Requires an
        LSTMRegressor fitted with ``loss="quantile"`` or "gaussian_nll".
    dtype : {"float32", "float64"}, default="float32"
        Type of the numeric input and of numeric predictions; probabilities are always float32. Use "float64" if values
        are large compared to their variation, such as timestamps: their mean is subtracted first.

    Returns
    -------
    onnx.ModelProto
        The exported model, whether or not it is also written to a file.

    Raises
    ------
    TypeError
        If `estimator` is not of one of these classes.
    ValueError
        If a parameter is invalid, or a part of the estimator cannot be expressed in ONNX; the message names it.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ImportError
        If onnx is not installed, or skl2onnx, which is required for a Pipeline.
    OSError
        If the file cannot be written.

    Notes
    -----
    Models use version 13 of ONNX's operator set; those with symbols, and Pipelines, also a version of ``ai.onnx.ml``.
    Predictions agree with those of the estimator to about 1e-5 of their size. With ``precision="bfloat16"`` or "int8",
    the export still computes in float32, so that its outputs agree with those of the estimator only to the accuracy of
    that precision.

    Recurrent layers are computed in float32 even if the estimator has ``dtype="float64"``, since ONNX Runtime supports
    no other type on the CPU. Standardisation is computed in float64. N, T and all lengths must be at least 1: ONNX
    Runtime 1.32 aborts the process for an LSTM or a GRU with N=0.

    ================= ============ ==========================================================
    estimator         inputs       outputs
    ================= ============ ==========================================================
    LSTMClassifier    X            label, (N,) or (N, K); probabilities, (N, K)
    LSTMRegressor     X            variable, (N,) or (N, K); quantiles, (N, L) or (N, K, L)
    SequenceEncoder   X            variable, (N, D H)
    SequenceScaler    X            variable, of the shape of X
    LSTMForecaster    y, series, X variable, (N, horizon)
    LSTMLanguageModel X            label, (N,), the next symbol; probabilities, (N, V + 1)
    ================= ============ ==========================================================

    X has the shape that the estimator was fitted with: (N, T, C) for 3-D arrays and lists of series, (N, T) for 2-D
    arrays. With ``return_sequences=True``, outputs have a time axis after the batch axis.

    Sequences of symbols are passed as arrays (N, T) of strings, one character or word per step, or of int64. Strings
    must be normalised to Unicode's form NFC. For tables of events, each column is an input (N, T) of its own, with the
    name of the column.

    The inputs of a forecaster are:

    - y, (N, P): the last P values of N series, as many as the window and the differences require.
    - series, (N,), int64: the position of each series among those of `fit`, whose scales and static covariates are
      used. Only if these differ between the series.
    - X, (N, P + horizon, columns): covariates at the steps of y and of the forecasts, where those in `past_covariates`
      are ignored. Only if there are covariates; if all are in `past_covariates`, of shape (N, P, columns).

    Examples
    --------
    >>> from fastlstm import LSTMRegressor, to_onnx
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
        write_atomically({path: model.SerializeToString()})
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
        advice = (
            "leave it out, or export its last step, pipeline[-1]" if isinstance(estimator, Pipeline) else "leave it out"
        )
        raise ValueError(f"lengths=True is not supported for {kind}: {advice}.")
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
        with named("quantiles"):
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
