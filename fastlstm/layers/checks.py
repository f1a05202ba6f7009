"""What layers are given, as arrays that kernels take, or an error that says why not."""

import contextlib
import re
import sys
from numbers import Real

import numpy as np

from fastlstm.containers import brief

DTYPES = ("float32", "float64")
MOST_LAYERS = 10_000  # more take no training, and a number like 10**9 would fill the memory with their descriptions


@contextlib.contextmanager
def named(name, *others):
    """Put `name` before what an error in the body says, unless it names that argument or one of the others itself.

    Libraries say what is wrong with a value, not which it is. What is neither of type nor value becomes a ValueError:
    an integer too large for C, or a masked number.
    """
    try:
        yield
    except (OverflowError, TypeError, ValueError, np.ma.MaskError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        if isinstance(error, kind) and re.search(rf"\b({'|'.join([name, *others])})\b", str(error)):
            raise
        raise kind(f"{name}: {error}") from error


def is_count(value):
    """Whether value is an integer of at least 1 that a C integer holds."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 1 <= value <= sys.maxsize


def check_sizes(hidden_size, num_layers):
    """One size for every layer, as a tuple."""
    if not is_count(num_layers) or num_layers > MOST_LAYERS:
        raise ValueError(f"num_layers={brief(num_layers)}: expected an integer from 1 to {MOST_LAYERS}.")
    several = isinstance(hidden_size, (tuple, list)) or (isinstance(hidden_size, np.ndarray) and hidden_size.ndim)
    sizes = hidden_size if several else [hidden_size] * num_layers
    if len(sizes) == 0 or not all(is_count(size) for size in sizes):
        raise ValueError(
            f"hidden_size={brief(hidden_size)}: expected an integer of at least 1, or one such integer for every layer."
        )
    if len(sizes) != num_layers:
        raise ValueError(
            f"hidden_size={brief(hidden_size)} has sizes of {len(sizes)} layers, but num_layers={num_layers}: pass "
            f"num_layers={len(sizes)}, or one size for all layers."
        )
    return tuple(int(size) for size in sizes)


def shape_of(name, array):
    try:
        return np.shape(array)
    except np.ma.MaskError as error:
        raise TypeError(f"{name} has masked members, whose mask would be lost; expected one array.") from error
    except ValueError as error:
        raise ValueError(f"{name} is a sequence whose members differ in shape; expected one array.") from error


def check_dropout(rate, num_layers):
    """Raise unless `rate` is in [0, 1), and acts on something."""
    if isinstance(rate, (bool, np.bool_)) or not isinstance(rate, Real) or not 0 <= rate < 1:
        raise ValueError(f"dropout={rate!r}: expected a number of at least 0 and less than 1.")
    if rate and num_layers == 1:
        raise ValueError(
            f"dropout={rate!r} with num_layers=1: it acts on outputs on their way to the next layer, and there is none."
        )


def check_array(name, array, shape, dtype):
    """A tensor or array of this shape and type as an array in native byte order."""
    if type(array) is np.ndarray and array.dtype == dtype and array.shape == shape:
        return array  # the usual case, at little cost
    if array is None or np.ma.isMaskedArray(array):
        kind = "None" if array is None else "a masked array, whose mask would be lost"
        raise TypeError(f"{name} is {kind}; expected an array of shape {shape}.")
    array = array.detach().cpu() if hasattr(array, "detach") else array  # a tensor
    shape_of(name, array)
    array = np.asarray(array)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype != dtype:
        other = f", or make the layer with dtype={array.dtype.name!r}" if array.dtype.name in DTYPES else ""
        raise TypeError(
            f"{name} is of type {array.dtype}; this layer computes in {dtype}: pass {name}.astype({dtype.name!r})"
            f"{other}."
        )
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {shape}.")
    return array


def check_state(name, state, stack, N, dtype):
    """For every run, a tuple of its arrays [N, H]; None where `state` is."""
    if state is None:
        return None
    names = stack.states
    if len(names) == 1 and not isinstance(state, (tuple, list)):
        state = (state,)
    if not isinstance(state, (tuple, list)) or len(state) != len(names):
        many = isinstance(state, (tuple, list))
        given = f"{type(state).__name__} of {len(state)}" if many else type(state).__name__
        expected = "a pair of arrays, hidden and cell" if len(names) == 2 else "a tuple of one array, hidden"
        raise ValueError(f"{name}: expected {expected}, got {given}.")
    parts = [_of_runs(f"{name}[{k}]", part, stack, N, dtype) for k, part in enumerate(state)]
    return list(zip(*parts, strict=True))


def _of_runs(name, part, stack, N, dtype):
    """One of a state's arrays as [N, H] for every run."""
    D, sizes = stack.directions, stack.hidden_sizes
    if len(set(sizes)) == 1:
        return list(check_array(name, part, (len(sizes) * D, N, sizes[0]), dtype))
    if not isinstance(part, (tuple, list)) or len(part) != len(sizes):
        raise ValueError(f"{name}: expected one array for each of {len(sizes)} layers, whose hidden sizes differ.")
    layers = [
        check_array(f"{name}[{layer}]", array, (D, N, H), dtype)
        for layer, (array, H) in enumerate(zip(part, sizes, strict=True))
    ]
    return [array for layer in layers for array in layer]


def check_lengths(lengths, N, T):
    """lengths as an array of N integers in [1, T], or None where all are T."""
    if lengths is None:
        return None
    if hasattr(lengths, "detach"):  # a tensor
        lengths = lengths.detach().cpu().numpy()
    if shape_of("lengths", lengths) != (N,):
        raise ValueError(f"lengths has shape {np.shape(lengths)}; expected one length for each of {N} sequences.")
    lengths = np.asarray(lengths)
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"lengths are of type {lengths.dtype}; expected integers.")
    wrong = np.flatnonzero((lengths < 1) | (lengths > T))
    if len(wrong):
        raise ValueError(f"lengths[{wrong[0]}] is {lengths[wrong[0]]}; expected 1 to T={T} steps.")
    return None if (lengths == T).all() else lengths.astype(np.int64)


def check_state_dict(mapping, shapes, dtype):
    """A mapping of weights as arrays of `dtype`, with the names and shapes in `shapes`.

    Names may have a prefix, as in ``module.lstm.weight_ih_l0``: one for the recurrent weights, and one for the others.
    """
    if not (hasattr(mapping, "keys") and hasattr(mapping, "__getitem__")):
        advice = ": pass its state_dict()" if hasattr(mapping, "state_dict") else ""
        raise TypeError(
            f"mapping is of type {type(mapping).__name__}; expected a mapping of {list(shapes)} to arrays{advice}."
        )
    keys = _own_names(mapping, shapes)
    if set(keys) != set(shapes):
        missing, unknown = (sorted(a - b, key=str) for a, b in [(set(shapes), set(keys)), (set(keys), set(shapes))])
        wrong = [f"lacks {missing}"] * bool(missing) + [f"has unknown {unknown}"] * bool(unknown)
        raise ValueError(f"The mapping {' and '.join(wrong)}; expected {list(shapes)}.")
    return {name: _weight(name, mapping[keys[name]], shape, dtype) for name, shape in shapes.items()}


def _own_names(mapping, names):
    """The mapping's keys by name without a prefix; a key that ends with none of `names` is its own name."""
    keys, prefixes = {}, {}
    for key in mapping.keys():  # noqa: SIM118 iterating over a pandas Series gives its values
        ends = [name for name in names if key == name or (isinstance(key, str) and key.endswith(f".{name}"))]
        name = ends[0] if ends else key
        if name in keys:
            raise ValueError(
                f"The mapping has {keys[name]!r} and {key!r} for {name!r}: pass the weights of one module only."
            )
        keys[name] = key
        if ends:
            prefixes.setdefault("." in name, {}).setdefault(key.removesuffix(name), key)
    for first, *others in (list(of_kind.values()) for of_kind in prefixes.values()):
        if others:
            raise ValueError(
                f"The mapping has names with different prefixes, {first!r} and {others[0]!r}: pass the weights of one "
                "module only."
            )
    return keys


def _weight(name, value, shape, dtype):
    with named(name):
        value = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
    if value.dtype.kind not in "fiu":
        raise TypeError(f"{name} is of type {value.dtype}; expected real numbers.")
    if value.shape != shape:
        raise ValueError(f"{name} has shape {value.shape}; expected {shape}.")
    with np.errstate(over="ignore"):
        value = np.array(value, dtype=dtype, order="C")
    if not np.isfinite(value).all():
        raise ValueError(f"{name} has values that are not finite, or too large for {dtype}.")
    return value
