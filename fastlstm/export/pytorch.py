"""Fitted models and layers as PyTorch modules, and layers with the weights of PyTorch modules.

PyTorch is imported only when `to_torch` is called: `from_torch` needs it only for its own objects.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastlstm import layers
from fastlstm.containers import few
from fastlstm.export.from_weights import layer_of
from fastlstm.export.sources import source_of
from fastlstm.layers.checks import named

if TYPE_CHECKING:
    from typing import Any

    import torch

    from fastlstm.estimators.base import BaseLSTM
    from fastlstm.estimators.encoder import SequenceEncoder
    from fastlstm.layers.base import Layer

NAME = re.compile(r"(?P<prefix>.*\.|)(?P<kind>weight|bias)_(?P<of>ih|hh|hr)_l(?P<layer>\d+)(?P<reverse>_reverse|)")
OF_MODES = {"LSTM": layers.LSTM, "GRU": layers.GRU, "RNN_TANH": layers.RNN}


def to_torch(estimator: BaseLSTM | SequenceEncoder | Layer) -> torch.nn.Module:
    """Convert a fitted estimator or a layer to a PyTorch module, with a copy of its weights.

    The module of an estimator is called as ``module(x, lengths=None)``. x is a tensor of shape (N, T, C) in the units
    of `fit`, with the integer codes of symbols, as in `vocabulary_`, in their channels after those of numbers; the code
    of unknown symbols is the size of the vocabulary. `lengths` has the number of steps of each series; if None, all
    have T. Pass it for padded series, also with ``missing="mask"``, where NaN marks missing values. If the estimator
    was fitted to a table, T and C are those of the series that its `layout` describes. Outputs, of the module's dtype,
    have shape (N, .), or (N, T, .) if ``return_sequences=True``:

    - for an LSTMClassifier, the scores of the classes in the order of `classes_`, before softmax or, for several labels
      per series, sigmoid: what ``torch.nn.CrossEntropyLoss`` and ``torch.nn.BCEWithLogitsLoss`` take;
    - for an LSTMRegressor, predictions in the units of y, without the last axis if `predict` has none. With the losses
      of distributions ("quantile", "poisson", "negative_binomial", "gaussian_nll"), the scores that the loss takes,
      those of one target side by side and on the scale of training; `fastlstm.training.losses` describes them;
    - for a SequenceEncoder, the last hidden states.

    Its `state_dict` has the names of `weights_`, those of recurrent layers after ``rnn.``, so that
    ``estimator.load_state_dict(module.state_dict())`` returns weights that were trained further. Means and scales of
    standardisation are constants of the module. Dropout is part of the training in `fit`, and not of the module. With
    ``precision="bfloat16"`` or "int8", the export still computes in float32, so that its outputs agree with those of
    the estimator only to the accuracy of that precision.

    A layer becomes a ``torch.nn.LSTM``, ``GRU`` or ``RNN`` with ``batch_first=True``. PyTorch has no CIFG, nor layers
    of different sizes: for them, a module that is called in the same way.

    Parameters
    ----------
    estimator : LSTMClassifier, LSTMRegressor, SequenceEncoder or a layer of fastlstm.layers
        What to convert.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    TypeError
        If `estimator` is of another kind.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ModuleNotFoundError
        If PyTorch is not installed.

    Examples
    --------
    >>> from fastlstm import LSTMRegressor, to_torch
    >>> model = LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1])
    >>> module = to_torch(model)  # doctest: +SKIP
    >>> model.load_state_dict(module.state_dict())  # doctest: +SKIP
    """
    source, with_head = source_of(estimator)
    try:
        from fastlstm.export import torch_modules
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"to_torch requires PyTorch: {error}. Install it with: pip install torch") from error

    if with_head is None:
        return torch_modules.recurrent(source._stack, source.state_dict())
    return torch_modules.FittedModule(source._model, with_head)


def from_torch(module: torch.nn.Module | Mapping[str, Any]) -> Layer:
    """Create a layer with the weights of a ``torch.nn.LSTM``, ``GRU`` or ``RNN``, or of a state dict.

    The layer reads batches (N, T, C) whatever the module's `batch_first`, and has no dropout: PyTorch's draws a mask
    for each step, that of `fastlstm.layers` one for each sequence.

    Parameters
    ----------
    module : torch.nn.Module or mapping of str to array or tensor
        A recurrent module, or a module that contains exactly one. Of a mapping, the entries with PyTorch's names for
        recurrent weights, such as ``weight_ih_l0`` or, with any prefix, ``module.lstm.weight_ih_l0``. The cell follows
        from the number of gates: 4 are those of an LSTM and 1 that of an RNN, assumed to use tanh. 3 are taken to mean
        a GRU: load weights of a CIFG with ``fastlstm.layers.CIFG.load_state_dict``. Other entries and children, such as
        a linear head, are ignored. Without biases, the layer's are zero.

    Returns
    -------
    LSTM, GRU, RNN or CIFG
        A layer of `fastlstm.layers` in the dtype of the weights; float32 for half precision.

    Raises
    ------
    ValueError
        If there is not exactly one recurrent module, weights are missing, do not fit together or are not finite, or the
        module has no counterpart: an RNN with ReLU, or an LSTM with projections.
    TypeError
        If `module` is neither a module nor a mapping, or a weight does not consist of real numbers.

    Examples
    --------
    >>> from fastlstm import from_torch
    >>> from fastlstm.layers import LSTM
    >>> from_torch({f"net.{name}": weight for name, weight in LSTM(3, 8, dtype="float64").state_dict().items()})
    LSTM(3, 8, dtype='float64', backend=...)
    """
    torch = sys.modules.get("torch")  # there are no modules before it is imported
    if torch is not None and isinstance(module, torch.nn.Module):
        name, module = _only_recurrent_child(module, torch)
        return _layer_of(module.state_dict(), "", _class_of(name, module))
    if not isinstance(module, Mapping):
        what = f"the class {module.__name__}" if isinstance(module, type) else f"of type {type(module).__name__}"
        raise TypeError(f"module is {what}; expected a torch.nn.Module, or a mapping of names to weights.")
    prefixes = {match["prefix"]: key for key in module if (match := _parsed(key))}
    if not prefixes:
        raise ValueError(f"The mapping has no recurrent weights, such as 'weight_ih_l0', but {few(module)}.")
    if len(prefixes) > 1:
        raise ValueError(
            f"The mapping has recurrent weights of {len(prefixes)} modules, for example {few(prefixes.values())}: "
            "pass those of one module only."
        )
    return _layer_of(module, *prefixes)


def _only_recurrent_child(module, torch):
    """Name and module of the only recurrent one in a module, which may be itself."""
    kinds = (torch.nn.RNNBase,)
    if "fastlstm.export.torch_modules" in sys.modules:
        from fastlstm.export.torch_modules import Layers

        kinds += (Layers,)
    found = [(name, child) for name, child in module.named_modules() if isinstance(child, kinds)]
    if len(found) == 1:
        return found[0]
    of = type(module).__name__
    if found:
        names = [name for name, _ in found]
        raise ValueError(f"The {of} has {len(found)} recurrent modules, {few(names)}: pass one of them.")
    raise ValueError(f"The {of} has no recurrent module; expected a torch.nn.LSTM, GRU or RNN, or a module with one.")


def _class_of(name, module):
    """The layer's class for a recurrent module."""
    it = f"{name} is " if name else "The module is "
    mode = getattr(module, "mode", None)
    if mode is None:
        return getattr(layers, module.stack.cell.upper())
    if mode not in OF_MODES:
        raise ValueError(f"{it}an RNN with nonlinearity={module.nonlinearity!r}; fastlstm.layers.RNN has tanh only.")
    if module.proj_size:
        raise ValueError(f"{it}an LSTM with proj_size={module.proj_size}; fastlstm.layers.LSTM has no projections.")
    return OF_MODES[mode]


def _layer_of(mapping, prefix, kind=None):
    """The layer for recurrent weights whose names begin with `prefix`; its class is `kind`, or follows from them."""
    weights, numbers = {}, set()
    for key, value in mapping.items():
        match = _parsed(key)
        if match is None or match["prefix"] != prefix:
            continue
        if match["of"] == "hr":
            raise ValueError(f"{key!r} is of an LSTM with projections; fastlstm.layers.LSTM has none.")
        weights[key.removeprefix(prefix)] = _array(key, value)
        numbers.add(match["layer"])
    return layer_of(weights, len(numbers), kind)


def _array(name, value):
    """A weight as an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.element_size() == 2 else value).numpy()  # NumPy has no bfloat16
    with named(name):
        return np.asarray(value)


def _parsed(key):
    return NAME.fullmatch(key) if isinstance(key, str) else None
