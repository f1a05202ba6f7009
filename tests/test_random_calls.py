"""Random bad calls of every public method: refused in words that name the argument, and nothing has changed.

A few of each run with the other tests. ``make fuzz`` runs a thousand of each; one of them again:
``python tests/test_random_calls.py LSTMClassifier.fit 17``.
"""

import contextlib
import copy
import datetime
import decimal
import itertools
import os
import re
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from helpers import LIMIT, class_of, within

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder, SequenceScaler, kernels

CALLS = 1000 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 3  # of each method
N, T, C = 6, 4, 2
SMALL = {"hidden_size": 2, "max_iter": 1, "learning_rate_init": 0.01, "random_state": 0}

# -- values -----------------------------------------------------------------------------------------------------


def objects(members):
    out = np.empty(len(members), object)
    for n, member in enumerate(members):
        out[n] = member
    return out


def ring():
    """A list that is its own member."""
    out = [1.0]
    out.append(out)
    return out


#: What no method asks for.
VALUES = [
    *(None, True, False, 0, 1, -1, 2**63, 10**30, -(10**400), 0.5, -0.0, np.nan, np.inf, 1e308, 1j, np.float64(2)),
    *("", "abc", "1", b"abc", np.str_("a"), np.datetime64("2020-01-01"), pd.NA, pd.NaT, np.ma.masked, Ellipsis),
    *(NotImplemented, object(), int, len, decimal.Decimal(1), datetime.date.min, np.int8(3)),
    *((), [], {}, set(), frozenset({1}), {"a": 1}, {0: [1.0], 1: [2.0]}, range(3), slice(3), [[]], [[], [1]], [None]),
    *(["a", 1], [[1, 2], [3]], [[[1], [2]], [[3]]], [{}], [np.nan], [1, [2]], (1, (2, 3)), [b"a"], ring()),
    *(memoryview(b"abc"), bytearray(b"abc"), np.zeros(0), np.zeros((0, 0)), np.zeros((3, 0, 2)), np.array(5.0)),
    *(np.zeros((1,) * 8), np.zeros(3, [("a", "f8"), ("b", "i4")]), np.array(["2020-01-01"], "datetime64[D]")),
    *(np.array([1], "timedelta64[s]"), np.array([b"\xff\x00"]), np.array([None, {}], object)),
    *(pd.DataFrame(), pd.Series(dtype=float), pd.DataFrame({"a": ["x", "y"]}), pd.Index([1, 2])),
    *(pd.Series([1, None, 2], dtype="Int64"), pd.Categorical(["a", "b"])),
    *(scipy.sparse.csr_matrix(np.eye(3)), scipy.sparse.coo_array(np.eye(3))),
]
#: The same, made anew for each call where it can be read only once.
JUNK = [
    *(lambda value=value: value for value in VALUES),
    *(lambda: iter([1, 2]), lambda: (k for k in range(3)), itertools.count),
]


@np.errstate(over="ignore")
def with_value(array, rng, value):
    array = np.array(array)
    if array.dtype != object:
        same = isinstance(value, (int, float)) and array.dtype.kind == "f"
        array = array.astype(array.dtype if same else object)
    if array.size:
        array.flat[rng.integers(array.size)] = value
    return array


def resized(array, rng):
    shape = list(array.shape)
    if shape:
        axis = rng.integers(len(shape))
        shape[axis] = int(rng.choice([0, 1, shape[axis] + 1, max(shape[axis] - 1, 0), 17]))
    return np.resize(array, shape)


def of_dtype(array, rng):
    name = rng.choice(["i1", "u8", "f2", "longdouble", ">f8", ">f4", "c16", "O", "U", "S", "?", "M8[s]", "m8[s]", "V8"])
    if name == "V8" and array.ndim:
        return array.astype(">f8").view("V8")
    with np.errstate(invalid="ignore", over="ignore"):  # an earlier change may have left infinity
        return array.astype(name if name != "V8" else "O")


BAD_NUMBERS = [np.nan, np.inf, -np.inf, 1e300, -1e39, None, "a", "1", b"1", 1j, {}, [], pd.NA, pd.NaT, 10**400]
MUTATIONS = [
    lambda array, rng: with_value(array, rng, BAD_NUMBERS[rng.integers(len(BAD_NUMBERS))]),
    lambda array, rng: with_value(array, rng, [np.nan, np.inf, 1e300][rng.integers(3)]),
    resized,
    resized,
    of_dtype,
    lambda array, rng: array[None],
    lambda array, rng: array[..., None],
    lambda array, rng: array.reshape(-1),
    lambda array, rng: array.T,
    lambda array, rng: array[::-1],
    lambda array, rng: np.asfortranarray(array),
    lambda array, rng: np.broadcast_to(array[:1], array.shape) if array.ndim else array,
    lambda array, rng: np.ma.masked_greater(array, 0),
    lambda array, rng: array.tolist(),
    lambda array, rng: tuple(array) if array.ndim else array,
    lambda array, rng: objects(list(array)) if array.ndim else array,
    lambda array, rng: iter(array) if array.ndim else array,
    lambda array, rng: dict(enumerate(array)) if array.ndim else array,
    lambda array, rng: memoryview(np.ascontiguousarray(array)),
    lambda array, rng: pd.DataFrame(array.reshape(len(array), -1)) if array.ndim else array,
    lambda array, rng: pd.DataFrame(array.reshape(len(array), -1)[:, [0, 0]]) if array.ndim else array,
    lambda array, rng: pd.Series(array.reshape(-1)),
    lambda array, rng: scipy.sparse.csr_matrix(array.reshape(len(array), -1)) if array.ndim else array,
]


def of_members(array, rng):
    """A list of the array's rows, one of which is not like the others."""
    members = [np.array(member) for member in array]
    at, junk = rng.integers(len(members)), JUNK[rng.integers(len(JUNK))]
    members[at] = junk() if rng.random() < 0.3 else mutated(members[at], rng)
    return members if rng.random() < 0.8 else objects(members)


def mutated(array, rng):
    """The array changed in one or two ways; one that is not possible is left out."""
    for _ in range(1 + (rng.random() < 0.2)):
        with contextlib.suppress(TypeError, ValueError, IndexError, OverflowError):
            array = MUTATIONS[rng.integers(len(MUTATIONS))](np.asarray(array), rng)
    return array


def bad(good, rng):
    """Something in place of `good`; by chance it may be right."""
    if good is None or rng.random() < 0.25:
        return JUNK[rng.integers(len(JUNK))]()
    if isinstance(good, np.ndarray):
        of_rows = good.ndim and len(good) and rng.random() < 0.25
        return of_members(good, rng) if of_rows else mutated(good, rng)
    if isinstance(good, (tuple, list)) and good:  # of arrays
        members, at = list(good), rng.integers(len(good))
        members[at] = bad(members[at], rng)
        return (type(good)(members), members, members[1:], members * 2, members[at])[rng.integers(5)]
    if isinstance(good, dict):
        changed, name = dict(good), list(good)[rng.integers(len(good))]
        changed[name if rng.random() < 0.8 else "another"] = bad(changed.pop(name), rng)
        return changed
    return JUNK[rng.integers(len(JUNK))]()


# -- methods ----------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, T, C))
FLAT = X[:, :, 0].copy()
NUMBERS, LABELS = RNG.normal(size=N), np.arange(N) % 2
WEIGHTS = np.ones(N)
STEPS = X[:, :, 1].copy()
MODES = {
    "": ({}, X, NUMBERS),
    "2-D": ({}, FLAT, NUMBERS),
    "several": ({}, X, np.column_stack([NUMBERS, -NUMBERS, NUMBERS])),
    "steps": ({"return_sequences": True}, X, STEPS),
    "mask": ({"missing": "mask"}, X, NUMBERS),
}
MADE = {}


def estimator_in(kind, mode, fitted, **options):
    """A fitted or a fresh estimator, X, and y."""
    more, x, y = MODES[mode]
    y = (y > 0).astype(int) if kind is LSTMClassifier else y
    if mode == "several" and kind is LSTMRegressor:
        options = {"loss": "quantile", "quantile": [0.1, 0.9], **options}
    model = kind(**{**SMALL, **more, **options})
    if not fitted:
        return model, x, y
    key = kind, mode
    if key not in MADE:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            MADE[key] = model.fit(x, y)
    return copy.copy(MADE[key]), x, y


def fitting(kind, method):
    def make(rng):
        fitted = rng.random() < 0.5
        model, x, y = estimator_in(kind, list(MODES)[rng.integers(len(MODES))], fitted)
        arguments = {"X": x, "y": y, "sample_weight": None if rng.random() < 0.5 else WEIGHTS}
        if method == "fit" and rng.random() < 0.5:
            arguments |= {"X_val": x, "y_val": y, "sample_weight_val": None if rng.random() < 0.5 else WEIGHTS}
        if method == "partial_fit" and kind is LSTMClassifier:
            classes = np.arange(y.shape[1] if y.shape[1:] == (3,) else 2)
            arguments["classes"] = None if fitted and rng.random() < 0.5 else classes
        return model, getattr(model, method), arguments

    return make


def parameters_of(kind):
    def make(rng):
        model, x, y = estimator_in(kind, "", rng.random() < 0.3)
        # these two are numbers of which any is right, but large ones take long or all memory
        names = sorted(set(model.get_params()) - {"max_iter", "hidden_size"})

        def call(**given):
            return model.set_params(**given).fit(x, y)

        chosen = rng.choice(names)
        return model, call, {str(chosen): model.get_params()[chosen]}

    return make


def predicting(kind, method):
    def make(rng):
        model, x, y = estimator_in(kind, list(MODES)[rng.integers(len(MODES))], True)
        if method == "predict_quantiles":
            model, x, y = estimator_in(kind, "several", True)
        arguments = {"X": x}
        if method == "predict_quantiles":
            arguments["levels"] = np.array([0.2, 0.5])
        if method == "score":
            arguments |= {"y": y, "sample_weight": None if rng.random() < 0.5 else WEIGHTS}
        if method == "stream":
            arguments = {"n_streams": 1, "method": "predict"}
        return model, getattr(model, method), arguments

    return make


def scaling(method):
    def make(rng):
        x = [X, FLAT, pd.DataFrame(FLAT, columns=list("abcd"))][rng.integers(3)]
        scaler = SequenceScaler(["standard", "minmax"][rng.integers(2)])
        if method not in ("fit", "partial_fit", "fit_transform") or rng.random() < 0.5:
            scaler.fit(x)
        arguments = {"input_features": np.array(["a", "b"])} if "names" in method else {"X": np.asarray(x)}
        return scaler, getattr(scaler, method), arguments

    return make


def encoding(method):
    def make(rng):
        lstm, x, y = estimator_in(LSTMClassifier, ["", "2-D", "several", "mask"][rng.integers(4)], rng.random() < 0.5)
        encoder = SequenceEncoder(lstm if rng.random() < 0.8 else None)
        arguments = {"X": x, "y": y}
        if method == "transform" or "names" in method:
            encoder = SequenceEncoder(estimator_in(LSTMClassifier, "", True)[0]).fit(X)
            arguments = {"X": X} if method == "transform" else {"input_features": np.array(["a", "b"])}
        return encoder, getattr(encoder, method), arguments

    return make


class OfStream:
    """A stream whose state is looked at as an attribute."""

    def __init__(self, stream):
        self.stream = stream

    def __getstate__(self):
        return self.stream.state


def streaming(method):
    def make(rng):
        kind, mode, n = (LSTMClassifier, LSTMRegressor)[rng.integers(2)], ["", "2-D", "mask"][rng.integers(3)], 2
        stream = estimator_in(kind, mode, True)[0].stream(n)
        stream.step(X[:n, 0, : stream._shape[1]])

        def set_state(state):
            stream.state = state

        call = set_state if method == "state" else getattr(stream, method)
        good = {
            "step": ("x_t", X[:n, 1, : stream._shape[1]]),
            "reset": ("which", np.arange(n)),
            "state": ("state", stream.state),
        }
        return OfStream(stream), call, dict([good[method]])

    return make


class OfLayer:
    """A layer whose weights are looked at, not the room that it keeps."""

    def __init__(self, layer, *others):
        self.layer, self.others = layer, others

    def __getstate__(self):
        return self.layer.state_dict(), [other.state for other in self.others]


def layering(kind, method):
    def make(rng):
        if method == "__init__":
            options = {"bidirectional": False, "dropout": 0.1, "dtype": "float32", "backend": "auto", "n_jobs": 1}
            arguments = {"input_size": C, "hidden_size": 3, "num_layers": 2, **options, "random_state": 0}
            return OfLayer(kind(C, 3)), kind, arguments
        two = rng.random() < 0.3 and method not in ("step", "initial_state")
        layer = kind(C, 3, bidirectional=two, dtype="float64", random_state=0)
        h = np.ones((1 + two, N, 3))
        state = (h,) * len(kernels.CELLS[kind.__name__.lower()].states)
        state_of_streams = layer.initial_state(N) if not two else None
        if method == "load_state_dict":
            arguments = {"mapping": layer.state_dict()}
        elif method == "initial_state":
            arguments = {"n": N, "state": None if rng.random() < 0.3 else state}
        elif method == "step":
            arguments = {"x_t": X[:, 0], "state": state_of_streams}
        elif method == "backward":
            output, last, tape = layer.record(X)
            arguments = {"tape": tape, "d_output": np.array(output), "d_state": last}
        else:
            arguments = {"x": X, "state": state, "lengths": np.full(N, T)}
        others = [state_of_streams] if method == "step" else []
        return OfLayer(layer, *others), getattr(layer, method), arguments

    return make


METHODS = {}
for kind in (LSTMClassifier, LSTMRegressor):
    METHODS |= {f"{kind.__name__}.{method}": fitting(kind, method) for method in ("fit", "partial_fit")}
    METHODS[f"{kind.__name__}(...)"] = parameters_of(kind)
    names = {"predict", "score", "hidden_states", "stream", *kind._methods}
    names |= {"predict_quantiles"} if kind is LSTMRegressor else set()
    METHODS |= {f"{kind.__name__}.{method}": predicting(kind, method) for method in sorted(names)}
for method in ("fit", "partial_fit", "transform", "fit_transform", "inverse_transform", "get_feature_names_out"):
    METHODS[f"SequenceScaler.{method}"] = scaling(method)
for method in ("fit", "transform", "fit_transform", "get_feature_names_out"):
    METHODS[f"SequenceEncoder.{method}"] = encoding(method)
METHODS |= {f"Stream.{method}": streaming(method) for method in ("step", "reset", "state")}
for kind in map(class_of, kernels.CELLS):
    for method in ("__init__", "__call__", "record", "backward", "initial_state", "step", "load_state_dict"):
        METHODS[f"{kind.__name__}.{method}"] = layering(kind, method)

# -- what must not happen ------------------------------------------------------------------------------------------

#: What needs no name, as it says enough.
UNNAMED = "[Ff]eature names|class_weight|exceeds the address space|expected one value per step|validation_fraction"


def fault_of(name, seed):
    """What is wrong with one call, or None; and the call."""
    rng = np.random.default_rng([seed, sum(map(ord, name))])
    subject, call, arguments = METHODS[name](rng)
    changed = rng.choice(list(arguments), size=1 + (rng.random() < 0.15 and len(arguments) > 1), replace=False)
    arguments |= {str(argument): bad(arguments[argument], rng) for argument in changed}
    shown = ", ".join(f"{argument}={shown_briefly(arguments[argument])}" for argument in changed)
    before = joblib.hash(state_of(subject, changed))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = within(LIMIT, lambda: call(**arguments))
    except (ValueError, TypeError, FloatingPointError) as error:
        words = str(error)
        if not any(
            re.search(rf"\b{argument}\b", words) for argument in [*arguments, "weight_.*", "bias_.*"]
        ) and not re.search(UNNAMED, words):
            return f"{type(error).__name__} names none of the arguments: {words[:200]}", shown
        if len(words) > 2000:
            return f"{type(error).__name__} of {len(words)} characters: {words[:200]}", shown
        if joblib.hash(state_of(subject, changed)) != before and "fit_transform" not in name:  # which fits first
            return f"{type(error).__name__} changed the object: {words[:200]}", shown
        return None, shown
    except BaseException as error:
        if isinstance(error, MemoryError) and re.search(UNNAMED, str(error)):
            return None, shown
        return f"{type(error).__name__}: {str(error)[:200]}", shown
    return not_finite(name, result), shown


def state_of(subject, changed):
    """What a call that fails must not change; parameters are set before."""
    state = subject.__getstate__()
    if isinstance(state, dict):
        state = {name: value for name, value in state.items() if name not in changed}
    return state


def not_finite(name, result):
    of_layers, of_scaler = name.split(".")[0].lower() in kernels.CELLS, name.startswith("SequenceScaler")
    if of_layers or of_scaler:  # these pass on what they are given
        return None
    arrays = getattr(result, "weights_", {}).values() or [result]
    for array in arrays:
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.ndim < 3 and np.isnan(array).any():
            return "NaN in the result"
    return None


def shown_briefly(value):
    about = ""
    if isinstance(value, np.ndarray):
        about = f"{value.dtype} {value.shape} "
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(error).__name__}>"
    return f"{type(value).__name__} {about}{text[:160]}"


def faults(name, seeds):
    for seed in seeds:
        fault, call = fault_of(name, seed)
        if fault:
            yield f"{name} {seed}: {call}\n    {fault}"


@pytest.mark.parametrize("name", METHODS)
def test_bad_calls_are_refused_and_change_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some calls name a file
    found = list(faults(name, range(CALLS)))
    assert not found, f"{len(found)} of {CALLS} calls:\n" + "\n".join(found[:20])


if __name__ == "__main__":
    print(*faults(sys.argv[1], map(int, sys.argv[2:])), sep="\n")
