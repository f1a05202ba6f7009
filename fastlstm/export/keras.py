"""Fitted models and layers as Keras models, and layers with the weights of Keras layers.

Keras is imported only when `to_keras` is called.

In Keras, weights have shapes (C, G H) and (H, G H). Gates are in the order i, f, g, o for an LSTM, as in PyTorch, but
z, r, n for a GRU. There is one bias, except for a GRU, whose rows are the input bias and the recurrent one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastlstm.export.from_weights import layer_of
from fastlstm.export.keras_weights import (
    OF_CLASSES,
    is_of_keras,
    of_arrays,
    of_layers,
    other_weights,
    recurrent_layers,
)
from fastlstm.export.sources import source_of
from fastlstm.stacks import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import keras
    from numpy.typing import ArrayLike

    from fastlstm.estimators.base import BaseLSTM
    from fastlstm.estimators.encoder import SequenceEncoder
    from fastlstm.layers.base import Layer

CLASS_OF_CELLS = {kind._cell: name for name, kind in OF_CLASSES.items()}


def to_keras(estimator: BaseLSTM | SequenceEncoder | Layer) -> keras.Model:
    """Convert a fitted estimator or a layer to a Keras model, with a copy of its weights.

    The model takes series of shape (N, T, C) in the units of `fit`, with the integer codes of symbols, as in
    `vocabulary_`, in their channels after those of numbers; the code of unknown symbols is the size of the vocabulary.
    All series of a batch have the same length, unless the model has no symbols and is called with a mask (N, T):
    ``model(x, mask=mask)``, where `mask` is True up to the end of each series. If the estimator was fitted to a table,
    T and C are those of the series that its `layout` describes. Outputs have shape (N, K), or (N, T, K) if
    ``return_sequences=True``:

    - for an LSTMClassifier, the scores of the classes in the order of `classes_`, before softmax or, for several labels
      per series, sigmoid: what Keras losses take with ``from_logits=True``;
    - for an LSTMRegressor, predictions in the units of y. With the losses of distributions ("quantile", "poisson",
      "negative_binomial", "gaussian_nll"), the scores that the loss takes, those of one target side by side and on the
      scale of training; `fastlstm.training.losses` describes them;
    - for a SequenceEncoder, the last hidden states; for a layer, its outputs after each step.

    Dropout is part of the training in `fit`, and not of the model. Weights trained in Keras come back by
    ``from_keras(model, estimator)``. With ``dtype="float64"``, recurrent layers are computed in float64, but a whole
    model only if Keras runs on TensorFlow: on other backends, Dense and Rescaling layers compute in float32. With
    ``precision="bfloat16"`` or "int8", the export still computes in float32, so that its outputs agree with those of
    the estimator only to the accuracy of that precision.

    Parameters
    ----------
    estimator : LSTMClassifier, LSTMRegressor, SequenceEncoder or a layer of fastlstm.layers
        What to convert.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        If Keras has no counterpart: for a CIFG, and for ``missing="mask"``.
    TypeError
        If `estimator` is of another kind.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ModuleNotFoundError
        If Keras is not installed.

    Examples
    --------
    >>> from fastlstm import LSTMRegressor, to_keras
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
    >>> to_keras(model).save("model.keras")  # doctest: +SKIP
    """
    source, with_head = source_of(estimator)
    model = None if with_head is None else source._model
    stack = source._stack if model is None else model.stack
    if stack.cell not in CLASS_OF_CELLS:
        raise ValueError(
            f"Keras has no layer for cell={stack.cell!r}: use cell='lstm', or convert to another format, for example "
            "by to_torch."
        )
    if model is not None and model.masked:
        raise ValueError(
            "Keras has no layer that fills missing values as missing='mask' does: impute them and fit with "
            "missing='error', or convert to another format, for example by to_torch."
        )
    try:
        import keras
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"to_keras requires Keras: {error}. Install it with: pip install keras") from error

    if model is None:
        x = keras.Input((None, stack.input_size), dtype=source.dtype.name)
        return keras.Model(x, _apply_layers(keras, x, stack, source.state_dict(), per_step=True))
    return _model_of(keras, model, with_head)


def _model_of(keras, model, with_head):
    dtype, scaling, embedding = model.dtype.name, model.scaling, model.embedding
    channels = embedding.channels if embedding else model.stack.input_size
    x = inputs = keras.Input((None, channels), dtype="float64" if scaling else dtype)
    if scaling:  # in float64, since means may be large, and subtracted first
        rescale = keras.layers.Rescaling
        x = rescale(1.0, (-scaling.mean).tolist(), dtype="float64", name="center")(x)
        x = rescale((1 / scaling.scale).tolist(), dtype="float64", name="scale")(x)
    if embedding:
        x = _replace_codes(keras, x, inputs, embedding, model.weights, dtype)
    per_step = model.per_step and with_head
    x = _apply_layers(keras, x, model.stack, model.weights, per_step)
    if not with_head:
        return keras.Model(inputs, x)
    activation = {"tanh": "tanh", "logistic": "sigmoid"}.get(model.loss.activation)
    head = keras.layers.Dense(model.n_scores, activation=activation, dtype=dtype, name="head")
    x = head(x)
    head.set_weights([model.weights["head.weight"].T, model.weights["head.bias"]])
    if model.target_scaling and not model.loss.is_distribution:
        scale, offset = model.target_scaling.scale.tolist(), model.target_scaling.mean.tolist()
        x = keras.layers.Rescaling(scale, offset, dtype=dtype, name="units_of_targets")(x)
    return keras.Model(inputs, x)


def _replace_codes(keras, x, codes, embedding, weights, dtype):
    """x (N, T, C) with its codes, which are those of `codes`, replaced by vectors behind all numbers."""
    parts = [x[..., : embedding.n_numbers]] if embedding.n_numbers else []  # codes are the last channels
    tables = [weights[name] for name in embedding.shapes] or [np.eye(size) for size in embedding.sizes]
    for k, (column, table) in enumerate(zip(embedding.columns, tables, strict=True)):
        is_learned = embedding.width is not None
        layer = keras.layers.Embedding(*table.shape, trainable=is_learned, dtype=dtype, name=f"embedding_{k}")
        parts.append(layer(codes[..., column]))
        layer.set_weights([table])
    return keras.layers.Concatenate(dtype=dtype)(parts) if len(parts) > 1 else parts[0]


def _apply_layers(keras, x, stack, weights, per_step):
    dtype = weights["bias_ih_l0"].dtype.name
    for n, places in enumerate(stack.layers):
        is_sequence, name = per_step or n < len(stack.layers) - 1, f"{stack.cell}_{n}"
        layer = getattr(keras.layers, CLASS_OF_CELLS[stack.cell])(
            places[0].H, return_sequences=is_sequence, dtype=dtype, name=name
        )
        if stack.bidirectional:
            layer = keras.layers.Bidirectional(layer, dtype=dtype, name=f"bidirectional_{name}")
        x = layer(x)
        layer.set_weights([array for place in places for array in _arrays_of(stack.cell, weights, place.suffix)])
    return x


def _arrays_of(cell, weights, suffix):
    """Weights of one direction of a layer as Keras has them."""
    weight_ih, weight_hh, bias_ih, bias_hh = (weights[kind + suffix] for kind in KINDS)
    bias = np.stack([bias_ih, bias_hh]) if cell == "gru" else bias_ih + bias_hh
    return [_in_other_order(cell, array) for array in (weight_ih.T, weight_hh.T, bias)]


def _in_other_order(cell, array):
    """Array [..., G H] with the gates in PyTorch's order instead of Keras', or the other way round."""
    if cell != "gru":
        return array
    first, second, last = np.split(array, 3, axis=-1)
    return np.concatenate([second, first, last], axis=-1)


def from_keras(model: keras.layers.Layer | Sequence[ArrayLike], estimator: Any = None) -> Any:
    """Create a layer with the weights of Keras' LSTM, GRU or SimpleRNN layers, or load them into an estimator.

    Parameters
    ----------
    model : keras.layers.Layer, keras.Model or list of array
        A recurrent layer, alone or in Bidirectional with ``merge_mode="concat"``; a model in which such layers follow
        each other, with at most dropout between them; or what `get_weights` of such layers returns, three arrays for
        each direction. Without an estimator, layers of a model before the first recurrent layer and after the last,
        such as Embedding or Dense, are ignored. In a list, the cell follows from the number of gates: 4 are those of an
        LSTM, 3 of a GRU with ``reset_after=True`` and 1 of a SimpleRNN; activations are assumed to be the default ones.
    estimator : fitted LSTMClassifier, LSTMRegressor or SequenceEncoder, or None, default=None
        An estimator whose weights are replaced by those of a Keras model like the one that `to_keras` makes of it:
        those of recurrent and trainable Embedding layers and, unless it is an encoder, of the last Dense layer.

    Returns
    -------
    LSTM, GRU or RNN
        A layer of `fastlstm.layers` in the dtype of the weights; float32 for half precision. It has no dropout.
        With an estimator, the estimator.

    Raises
    ------
    ValueError
        If there is no recurrent layer, one has no weights yet, layers do not follow each other, or they have no
        counterpart: with other activations, ``reset_after=False``, ``go_backwards=True`` outside of Bidirectional,
        another `merge_mode`, different cells, or only some of them bidirectional; or if weights do not fit the
        estimator, which is left unchanged.
    TypeError
        If `model` is neither a Keras layer or model nor a list of arrays, or is a list and there is an estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm import from_keras
    >>> rng = np.random.default_rng(0)
    >>> kernel, recurrent_kernel, bias = rng.normal(size=(3, 32)), rng.normal(size=(8, 32)), np.zeros(32)
    >>> layer = from_keras([kernel, recurrent_kernel, bias])
    >>> layer.input_size, layer.hidden_size
    (3, 8)
    """
    if isinstance(model, (list, tuple)):
        if estimator is not None:
            raise TypeError("model is a list of arrays; expected the Keras model itself, to load it into an estimator.")
        kind, by_layer = of_arrays(model)
    elif is_of_keras(model):
        kind, by_layer = of_layers(recurrent_layers(model))
    else:
        what = f"the class {model.__name__}" if isinstance(model, type) else f"of type {type(model).__name__}"
        raise TypeError(f"model is {what}; expected a Keras layer or model, or a list of arrays.")
    weights = {}
    for n, directions in enumerate(by_layer):
        for suffix, arrays in zip((f"_l{n}", f"_l{n}_reverse"), directions, strict=False):
            weights |= zip((kind_of + suffix for kind_of in KINDS), _weights_of(kind._cell, *arrays), strict=True)
    if estimator is None:
        return layer_of(weights, len(by_layer), kind)
    with_head = source_of(estimator)[1]
    estimator.load_state_dict({**weights, **other_weights(model, with_head)})
    return estimator


def _weights_of(cell, kernel, recurrent, bias=None):
    """Weights of one direction of a layer as PyTorch has them."""
    bias = np.zeros(kernel.shape[1], kernel.dtype) if bias is None else bias
    kernel, recurrent, bias = (_in_other_order(cell, array) for array in (kernel, recurrent, bias))
    bias_ih, bias_hh = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    return kernel.T, recurrent.T, bias_ih, bias_hh
