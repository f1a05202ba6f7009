"""C code of a trained network, for devices without Python.

`to_c` writes a C99 file and its header, which need nothing but a compiler and ``math.h`` and allocate no memory.

# Design: what a network is exported as

- Steps: `model_step` reads one step and updates a `model_state`, of which there may be several; `model_predict` reads a
  whole series. A bidirectional network has no steps: it has `model_predict` alone, to which the caller passes a
  workspace of `MODEL_WORKSPACE(steps)` numbers, so that no maximum length is built in.
- Inputs are in the units of the training data, of the type of the model. Where a float32 model is standardised, its
  mean is stored as a sum of two floats, and so subtracted exactly from values near it: no double is needed, and only
  the inputs' own rounding remains. Data that need more than 7 digits need ``dtype="float64"``.
- Outputs are class probabilities, or point predictions in the targets' units; those of an encoder or layer are its
  hidden states.
- Symbols are inputs like others: the index of the symbol in an array that the header declares. A float holds
  every index up to 2^24; larger vocabularies cannot be fitted as float32. All other numbers mean an unknown symbol.
- Names begin with `name`, and everything else is static, so that several networks can be linked into one program.
- ``quantize="int8"`` rounds the matrices, which take nearly all of the memory, and leaves arithmetic in floating point.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastlstm.estimators.atomic import snapshot
from fastlstm.estimators.encoder import SequenceEncoder
from fastlstm.export.c.header import header
from fastlstm.export.c.network import Network
from fastlstm.export.c.source import LIBRARIES, Source
from fastlstm.export.c.weights import quantize as quantized_weights
from fastlstm.export.sources import check_quantize, source_of
from fastlstm.files import write_atomically
from fastlstm.layers.base import Layer
from fastlstm.layers.checks import named

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


def to_c(
    estimator: Any,
    path: str | os.PathLike[str],
    *,
    name: str = "model",
    quantize: str | None = None,
    X_check: ArrayLike | list[Any] | None = None,
) -> None:
    """Write a trained network as C code.

    Writes two files, the C99 source ``path`` and its header with the suffix ``.h``, with no dependency except
    ``math.h``. They define ``model_reset`` and ``model_step``, which processes a series step by step like
    ``estimator.stream()``, and ``model_predict`` for whole series. The header describes inputs, outputs and memory use.

    Link with ``-lm``, for example ``gcc -std=c99 -O3 main.c model.c -lm``; with GCC, ``-O3`` vectorises the products.
    Compile without ``-ffast-math`` if values may be missing. Outputs agree with those of the estimator to about 1e-6 of
    their size, or 1e-12 with ``dtype="float64"``. With ``precision="bfloat16"`` or "int8", the export still computes in
    float32, so that its outputs agree with those of the estimator only to the accuracy of that precision.

    Parameters
    ----------
    estimator : LSTMClassifier, LSTMRegressor, SequenceEncoder or layer
        A fitted estimator, or a layer of `fastlstm.layers`. The C functions compute what `predict_proba` of a
        classifier, `predict` of a regressor, `transform` of an encoder, or a call of a layer returns. Bidirectional
        networks have no ``model_step``.
    path : str or path-like
        Path of the source file, which must end in ``.c``. Existing files are replaced if no error occurs.
    name : str, default="model"
        Prefix of the names in C. Give each network of a program its own.
    quantize : "int8" or None, default=None
        If "int8", matrices of weights are rounded to 8 bits, with a floating-point scale for each row, so that they
        take a quarter of the memory. A weight changes by at most 1/254 of the largest one of its row.
    X_check : array or list or None, default=None
        Series in any form that the estimator reads, on which to measure the effect of quantisation: the largest and the
        mean absolute difference from the outputs of the model with ``precision="float32"``. The header states them.

    Raises
    ------
    TypeError
        If `estimator` cannot be exported, or another argument is of the wrong type.
    ValueError
        If an argument is invalid, or a number of the network is not finite or has no counterpart in C.
    OSError
        If the files cannot be written. Existing files are left as they were.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastlstm import LSTMRegressor, to_c
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_c(model, Path(folder) / "model.c")
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['model.c', 'model.h']
    """
    source, header_path = _check_path(path)
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        raise ValueError(f"name={name!r}: expected letters, digits and underscores, the first one a letter.")
    check_quantize(quantize)
    if X_check is not None and quantize is None:
        raise ValueError("X_check has no effect without quantize: set quantize='int8', or leave X_check out.")
    estimator, network = _read(estimator)
    _check_numbers(network)
    quantized = quantized_weights(network.stack, network.weights) if quantize else {}
    with named("X_check"):
        measured = None if X_check is None else _measure(estimator, network, quantized, X_check)
    file = header_path.name
    texts = {
        source: Source(network, name, file, quantized).text(),
        header_path: header(network, name, file, quantized, measured),
    }
    write_atomically({to: text.encode("utf-8", "backslashreplace") for to, text in texts.items()})


def _check_path(path):
    """Paths of the source and the header."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path is of type {type(path).__name__}; expected a str or path-like object.")
    path = Path(path)
    if path.suffix != ".c":
        raise ValueError(f"path={str(path)!r}: expected a name that ends in .c.")
    if re.search(r'["\\?\x00-\x1f]', path.name):
        raise ValueError(
            f"path={str(path)!r}: a quote, backslash, question mark or control character cannot be part of "
            "the name of a file to include."
        )
    if path.stem in LIBRARIES:
        raise ValueError(
            f"path={str(path)!r}: the header would have the name of one of the C library; expected another."
        )
    return path, path.with_suffix(".h")


# -- reading a network ------------------------------------------------------------------------------------------


def _read(estimator):
    """A snapshot of what is exported, and its `Network`."""
    source, with_head = source_of(estimator)
    name = type(estimator).__name__
    if with_head is None:
        return source, Network(name, source._stack, source.state_dict(), per_step=True)
    network = _of_estimator(source, name, with_head)
    if not with_head:
        encoder = snapshot(estimator)
        encoder.estimator_ = source
        return encoder, network
    return source, network


def _of_estimator(fitted, title, with_head=True):
    model = fitted._model
    names, vocabularies = getattr(fitted, "feature_names_in_", None), ()
    if model.embedding is not None:
        names, vocabularies = fitted._schema.channel_names, [of.symbols for of in fitted._schema.vocabularies]
    elif fitted._columns is not None:  # names of lags, not of channels
        names = None
    weights = {name: value for name, value in model.weights.items() if with_head or not name.startswith("head.")}
    return Network(
        title,
        model.stack,
        weights,
        model.output if with_head else None,
        model.per_step and with_head,
        model.masked,
        model.scaling,
        model.embedding,
        names,
        vocabularies,
    )


def _check_numbers(network):
    """Raise ValueError unless all numbers are finite in the type of the network."""
    for what, scaling in (("X", network.scaling), ("y", network.target_scaling)):
        if scaling is None:
            continue
        mean, scale = (np.asarray(of) for of in scaling)
        with np.errstate(over="ignore", under="ignore"):
            valid = np.isfinite(mean.astype(network.dtype)) & np.isfinite(scale.astype(network.dtype))
            valid &= scale.astype(network.dtype) >= np.finfo(network.dtype).tiny
        if not valid.all():
            k = int(np.argmin(valid))
            raise ValueError(
                f"Column {k} of {what} has the mean {mean[k]:g} and the standard deviation {scale[k]:g}, which "
                f"{network.dtype} cannot represent: fit with dtype='float64', or in other units."
            )


# -- the effect of quantisation ---------------------------------------------------------------------------------


def _measure(estimator, network, quantized, X):
    """Sentence on the differences between outputs of a network and of its quantised weights, for series X."""
    exact = _outputs(_with_weights(estimator, network.weights), X)
    restored = network.weights | {name: matrix.restored for name, matrix in quantized.items()}
    difference = np.abs(_outputs(_with_weights(estimator, restored), X) - exact)
    return (
        f"On the series of X_check, outputs differ from those of the model by at most {difference.max():.2g}, "
        f"on average by {difference.mean():.2g}; their standard deviation is {exact.std():.2g}."
    )


def _outputs(estimator, X):
    """Outputs for all series and steps, flat."""
    if isinstance(estimator, Layer):
        output = estimator(X)[0]
    elif isinstance(estimator, SequenceEncoder):
        output = estimator.transform(X)
    else:
        output = estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)
    output = np.concatenate([np.ravel(member) for member in output])
    return output[~np.isnan(output)]  # padding


def _with_weights(estimator, weights):
    """A copy of an estimator or layer with these weights and, as in C, precision="float32"."""
    if isinstance(estimator, SequenceEncoder):
        copied = snapshot(estimator)
        copied.estimator_ = _with_weights(estimator.estimator_, weights)
        return copied
    if isinstance(estimator, Layer):
        copied = type(estimator)(
            estimator.input_size,
            estimator._stack.hidden_sizes,
            estimator.num_layers,
            bidirectional=estimator.bidirectional,
            dtype=estimator.dtype,
        )
        copied.load_state_dict(weights)
        return copied
    copied = snapshot(estimator)
    copied.precision = "float32"
    copied._model = replace(estimator._model, weights={**estimator._model.weights, **weights})
    return copied
