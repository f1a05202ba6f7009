"""Arrays like those of `fit` skip most checks of X, with the same results, errors and warnings."""

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import PLAIN

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceScaler
from fastlstm.estimators import inputs

T, C = 6, 3
RNG = np.random.default_rng(0)
X2, X3 = RNG.normal(size=(20, T)), RNG.normal(size=(20, T, C))
NAMES = [f"lag_{n}" for n in range(T)]
QUICK = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0}


class Labelled(np.ndarray):
    """A subclass of ndarray."""


def table(X, names=NAMES):
    return pd.DataFrame(X, columns=names)


def with_value(X, value):
    X = X.copy()
    X[1, 2] = value
    return X


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def unaligned(X):
    bytes_ = np.empty(X.nbytes + 1, np.uint8)
    out = bytes_[1:].view(X.dtype).reshape(X.shape)
    out[...] = X
    return out


FORMS = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype("float32"),
    "float16": lambda X: X.astype("float16"),
    "long double": lambda X: X.astype("longdouble"),
    "big endian": lambda X: X.astype(">f8"),
    "int": lambda X: (10 * X).astype(int),
    "uint8": lambda X: np.abs(10 * X).astype("uint8"),
    "bool": lambda X: X > 0,
    "object": lambda X: X.astype(object),
    "text": lambda X: X.astype(str),
    "complex": lambda X: X + 1j,
    "dates": lambda X: X.astype("datetime64[s]"),
    "Fortran order": np.asfortranarray,
    "every second": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed": lambda X: X[:, ::-1],
    "read-only": read_only,
    "unaligned": unaligned,
    "one series": lambda X: X[:1],
    "none": lambda X: X[:0],
    "no steps": lambda X: X[:, :0],
    "one step fewer": lambda X: X[:, 1:],
    "one axis fewer": lambda X: X[..., 0],
    "one axis more": lambda X: X[..., None],
    "one number": lambda X: X.reshape(-1)[0],
    "one channel more": lambda X: np.concatenate([X, X], axis=-1)[..., : X.shape[-1] + 1],
    "NaN": lambda X: with_value(X, np.nan),
    "infinity": lambda X: with_value(X, np.inf),
    "too large for float32": lambda X: with_value(X, 1e300),
    "padded": lambda X: with_value(X[..., None] * np.ones(C), np.nan) if X.ndim == 2 else with_value(X, np.nan),
    "list": lambda X: list(X),
    "nested list": lambda X: X.tolist(),
    "subclass": lambda X: X.view(Labelled),
    "masked": np.ma.masked_array,
    "table": lambda X: table(X) if X.ndim == 2 else list(map(table_of_channels, X)),
    "table in other order": lambda X: table(X, NAMES[::-1]) if X.ndim == 2 else X,
    "table of other names": lambda X: table(X, [*NAMES[1:], "lag"]) if X.ndim == 2 else X,
    "table of numbers as names": lambda X: table(X, range(T)) if X.ndim == 2 else X,
    "table of missing names": lambda X: table(X, [pd.NA, *NAMES[1:]]) if X.ndim == 2 else X,
    "table of mixed names": lambda X: table(X, [0, *NAMES[1:]]) if X.ndim == 2 else X,
    "table of integers": lambda X: table((10 * X).astype(int)) if X.ndim == 2 else X,
    "table with NaN": lambda X: table(with_value(X, np.nan)) if X.ndim == 2 else X,
    "table with rows in levels": lambda X: table(X).set_index([NAMES[0], NAMES[1]]) if X.ndim == 2 else X,
}


def table_of_channels(x):
    return pd.DataFrame(x, columns=["a", "b", "c"])


def regressor(X, **options):
    return LSTMRegressor(4, **{**QUICK, **options}).fit(X, np.arange(20.0))


MODELS = {
    "2-D": (regressor(X2), X2),
    "3-D": (regressor(X3), X3),
    "one channel": (regressor(X2[..., None]), X2),
    "float32": (regressor(X2, dtype="float32", **PLAIN | QUICK), X2),
    "float64": (regressor(X2, dtype="float64", **PLAIN | QUICK), X2),
    "masked": (regressor(X2, missing="mask"), X2),
    "per step": (LSTMRegressor(4, return_sequences=True, **QUICK).fit(X2, X2), X2),
    "table": (regressor(table(X2)), X2),
    "tables": (regressor([table_of_channels(x) for x in X3]), X3),
    "classifier": (LSTMClassifier(4, **QUICK).fit(X2, X2[:, 0] > 0), X2),
}
MODELS |= {
    "scaler": (SequenceScaler().fit(X3), X3),
    "scaler of tables": (SequenceScaler().fit(list(map(table_of_channels, X3))), X3),
}


def outcome(model, X):
    """The result of a method or its error, and the warnings."""
    method = model.transform if isinstance(model, SequenceScaler) else model.predict
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = method(X)
        except Exception as error:
            result = type(error), str(error)
        else:
            members = result if isinstance(result, list) else [result]
            result = type(result), [(np.asarray(part).dtype, np.asarray(part).tobytes()) for part in members]
    return result, [(one.category, str(one.message)) for one in caught]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_outcome_is_that_of_all_checks(monkeypatch, name, form):
    model, X = MODELS[name]
    X = FORMS[form](X)
    found = outcome(model, X)
    monkeypatch.setattr(inputs, "_usual_series", lambda *args: None)
    assert found == outcome(model, X)


def test_outcome_for_a_memory_map_is_that_for_an_array(tmp_path):
    np.save(tmp_path / "X.npy", X2)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert outcome(MODELS["2-D"][0], mapped) == outcome(MODELS["2-D"][0], X2)


@pytest.mark.parametrize(
    ("name", "X"),
    [("2-D", X2), ("2-D", X2.astype("float32")), ("3-D", X3), ("one channel", X2), ("table", table(X2))],
    ids=["2-D", "float32", "3-D", "one channel", "table"],
)
def test_scikit_learn_does_not_check_usual_arrays_again(monkeypatch, name, X):
    def refuse(*args, **kwargs):
        raise AssertionError

    for check in ("check_array", "_check_feature_names", "_check_n_features"):
        monkeypatch.setattr(inputs, check, refuse)
    assert len(MODELS[name][0].predict(X)) == len(X)


def test_x_is_left_unchanged():
    X = X2.copy()
    MODELS["2-D"][0].predict(X)
    np.testing.assert_array_equal(X, X2)


def test_names_that_fit_saw_are_missed_in_every_call():
    model = MODELS["table"][0]
    for _ in range(2):
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            model.predict(X2)
