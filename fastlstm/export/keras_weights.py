"""Weights of Keras' recurrent layers, read from layers, models or lists of arrays.

Layers are recognised by the names of their classes, so that Keras is not imported, and those of its older
distributions can be read, too.
"""

from itertools import pairwise

import numpy as np

from fastlstm import layers
from fastlstm.containers import few
from fastlstm.export.from_weights import OF_GATES
from fastlstm.layers.checks import named

OF_CLASSES = {"LSTM": layers.LSTM, "GRU": layers.GRU, "SimpleRNN": layers.RNN}
PACKAGES = ("keras", "tf_keras", "tensorflow")
#: Layers that do not change their inputs in predictions.
IDENTITIES = (
    "Identity", "Masking", "Dropout", "SpatialDropout1D", "AlphaDropout", "GaussianDropout", "GaussianNoise",
    "ActivityRegularization",
)  # fmt: skip


# -- Keras layers -----------------------------------------------------------------------------------------------


def is_of_keras(given):
    return any(base.__module__.split(".")[0] in PACKAGES for base in type(given).__mro__)


def _class_of(layer):
    """Name of the recurrent class of a Keras layer, or "Bidirectional"; None if it is of no such class."""
    return next((name for name in ("Bidirectional", *OF_CLASSES) if _is_a(layer, name)), None)


def recurrent_layers(model):
    """The recurrent layers of a model, or the one that it is, first to last."""
    if _class_of(model):
        return [model]
    members = list(getattr(model, "layers", ()))
    found = [layer for layer in members if _class_of(layer)]
    if not found:
        has = f", but {few(_described(layer) for layer in members)}" if members else ""
        raise ValueError(
            f"{_described(model)} has no LSTM, GRU or SimpleRNN layer{has}: pass such a layer, or a model with one."
        )
    for first, second in pairwise(found):
        _check_follows(model, first, second, members)
    return found


def _check_follows(model, first, second, members):
    """Raise ValueError unless the input of `second` is the output of `first`, but for layers that do not change it."""
    if _is_a(model, "Sequential"):
        makers = dict(zip(members[1:], members, strict=False))  # of the inputs of each layer
    else:
        of_outputs = {id(layer.output): layer for layer in members if hasattr(layer, "output")}
        makers = {layer: of_outputs.get(id(layer.input)) for layer in members if hasattr(layer, "input")}
    maker = makers.get(second)
    while maker is not None and type(maker).__name__ in IDENTITIES:
        maker = makers.get(maker)
    if maker is not first:
        comes_from = "is unknown" if maker is None else f"comes from {_described(maker)}"
        raise ValueError(
            f"The input of {_described(second)} {comes_from}; expected the output of {_described(first)}, since "
            "recurrent layers must follow each other: pass one of them alone."
        )


def _is_a(layer, name):
    return any(base.__name__ == name for base in type(layer).__mro__)


def _described(layer):
    return f"{type(layer).__name__} {layer.name!r}"


def of_layers(found):
    """The layer's class, and for each recurrent Keras layer its arrays in each direction."""
    directions = [_directions_of(layer) for layer in found]
    classes = {_class_of(of[0]): layer for of, layer in zip(directions, found, strict=True)}
    if len(classes) > 1:
        raise ValueError(
            f"{' and '.join(map(_described, classes.values()))} have different cells: pass them one by one."
        )
    counts = {len(of): layer for of, layer in zip(directions, found, strict=True)}
    if len(counts) > 1:
        raise ValueError(
            f"{_described(counts[2])} is bidirectional, {_described(counts[1])} is not: pass them one by one."
        )
    return OF_CLASSES[next(iter(classes))], [[_arrays_in(layer) for layer in of] for of in directions]


def _directions_of(layer):
    """The recurrent layers, checked, that read the input of a layer forward and, if bidirectional, backward."""
    if _class_of(layer) != "Bidirectional":
        _check_equations(layer, backward=False)
        return [layer]
    if layer.merge_mode != "concat":
        raise ValueError(
            f"{_described(layer)} has merge_mode={layer.merge_mode!r}; expected 'concat', which is how "
            "fastlstm joins both directions."
        )
    both = [layer.forward_layer, layer.backward_layer]
    for of_direction, backward in zip(both, (False, True), strict=True):
        _check_equations(of_direction, backward)
    if _class_of(both[0]) != _class_of(both[1]):
        raise ValueError(f"{_described(layer)} has the different cells {_class_of(both[0])} and {_class_of(both[1])}.")
    return both


def _check_equations(layer, backward):
    """Raise ValueError unless a Keras layer computes what ours does."""
    if _class_of(layer) not in OF_CLASSES:
        raise ValueError(f"{_described(layer)} is not an LSTM, GRU or SimpleRNN layer.")
    options = layer.get_config()
    expected = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True, "go_backwards": backward}
    for name, value in expected.items():
        given = options.get(name, value)
        given = given["config"] if isinstance(given, dict) else given
        if given != value:
            raise ValueError(
                f"{_described(layer)} has {name}={given!r}; expected {value!r}, with which it computes what a layer of "
                "fastlstm.layers does."
            )


def other_weights(model, with_head):
    """Weights of the Embedding layers of a model and of its last Dense layer, by the names of ours."""
    members = list(getattr(model, "layers", ()))
    tables = [layer for layer in members if _is_a(layer, "Embedding") and layer.trainable]
    weights = {f"embedding.{k}.weight": _arrays_in(layer)[0] for k, layer in enumerate(tables)}
    heads = [layer for layer in members if _is_a(layer, "Dense")]
    if with_head and heads:
        kernel, *bias = _arrays_in(heads[-1])
        weights["head.weight"], weights["head.bias"] = kernel.T, bias[0] if bias else np.zeros(kernel.shape[1])
    return weights


def _arrays_in(layer):
    arrays = [_array(f"weight {n} of {_described(layer)}", value) for n, value in enumerate(layer.get_weights())]
    if not arrays:
        raise ValueError(f"{_described(layer)} has no weights yet: call the model, or its build method, first.")
    return arrays


def _array(name, value):
    with named(name):
        value = np.asarray(value)
    return value.astype("float32") if value.dtype.name == "bfloat16" else value


# -- lists of arrays --------------------------------------------------------------------------------------------


def of_arrays(values):
    """The layer's class, and for each layer the arrays of each direction."""
    arrays = [_array(f"model[{n}]", value) for n, value in enumerate(values)]
    if not arrays or len(arrays) % 3:
        raise ValueError(
            f"model has {len(arrays)} arrays; expected a kernel, a recurrent kernel and a bias for each direction of "
            "each recurrent layer, without those of other layers: pass the model itself if layers have no bias."
        )
    runs = [arrays[n : n + 3] for n in range(0, len(arrays), 3)]
    kinds = {_kind_of(n, *run) for n, run in enumerate(runs)}
    if len(kinds) > 1:
        raise ValueError(f"The arrays are those of different cells, {few(kind.__name__ for kind in kinds)}.")
    sizes = [(kernel.shape[0], recurrent.shape[0]) for kernel, recurrent, _ in runs]  # C and H
    pairs = list(zip(sizes[::2], sizes[1::2], strict=False))
    one_way = all(above[0] == below[1] for below, above in pairwise(sizes))
    both_ways = len(runs) % 2 == 0 and all(forward == backward for forward, backward in pairs)
    both_ways = both_ways and all(above[0][0] == 2 * below[0][1] for below, above in pairwise(pairs))
    if one_way and both_ways:
        raise ValueError(
            "The arrays can be those of two layers or of one bidirectional layer: pass the model itself, or the arrays "
            "of one layer at a time."
        )
    if not one_way and not both_ways:
        raise ValueError(
            f"The sizes of the layers, {few(sizes)} as (inputs, units), do not follow from each other: the inputs of a "
            "layer are the units of the one before, in both directions if it is bidirectional."
        )
    size = 1 + both_ways
    return kinds.pop(), [runs[n : n + size] for n in range(0, len(runs), size)]


def _kind_of(n, kernel, recurrent, bias):
    """Class of the layer that three arrays belong to."""
    shapes = [array.shape for array in (kernel, recurrent, bias)]
    if kernel.ndim == recurrent.ndim == 2 and 0 not in kernel.shape + recurrent.shape:
        H, width = recurrent.shape
        kind, is_gru = OF_GATES.get(width / H), width == 3 * H
        if kind is not None and kernel.shape[1] == width:
            if is_gru and bias.shape == (width,):
                raise ValueError(
                    f"model[{3 * n + 2}] is the bias of a GRU with reset_after=False, which applies the reset gate "
                    "before the recurrent product; fastlstm.layers.GRU applies it afterwards."
                )
            if bias.shape == ((2, width) if is_gru else (width,)):
                return kind
    raise ValueError(
        f"model[{3 * n}] to model[{3 * n + 2}] have shapes {', '.join(map(str, shapes))}; expected (C, G H), (H, G H) "
        "and (G H,) for an LSTM with G = 4 or a SimpleRNN with G = 1, or (2, G H) as the last for a GRU with G = 3."
    )
