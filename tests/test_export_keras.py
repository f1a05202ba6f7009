"""Layers with the weights that Keras' layers had, without Keras."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import class_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder
from fastlstm.export.keras import from_keras, to_keras
from fastlstm.layers import CIFG, LSTM

GOLDEN = Path(__file__).parent / "golden"
RNG = np.random.default_rng(0)


def arrays(C=2, H=3, gates=4, bias=None):
    """What `get_weights` of a layer returns."""
    bias = RNG.normal(size=gates * H) if bias is None else bias
    return [RNG.normal(size=(C, gates * H)), RNG.normal(size=(H, gates * H)), bias]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("stack", ["one", "two", "bidirectional"])
def test_a_list_of_arrays_becomes_a_layer_that_computes_as_keras(cell, stack):
    case = dict(np.load(GOLDEN / f"keras_{cell}.npz"))
    names = [f"{stack}.{k}" for k in range(len(case))]
    layer = from_keras([case[name] for name in names if name in case])
    assert isinstance(layer, class_of(cell))
    assert layer.bidirectional == (stack == "bidirectional")
    assert_allclose(layer(case["x"])[0], case[f"{stack}.output"], rtol=1e-12, atol=1e-12)


def test_the_dtype_is_that_of_the_arrays():
    for given, expected in (("float32", "float32"), ("float16", "float32"), ("float64", "float64")):
        assert from_keras([array.astype(given) for array in arrays()]).dtype == expected


def test_both_biases_of_a_gru_are_kept():
    bias = RNG.normal(size=(2, 9))
    weights = from_keras(arrays(gates=3, bias=bias)).state_dict()
    z, r, n = np.split(bias[1], 3)
    assert_array_equal(weights["bias_hh_l0"], np.concatenate([r, z, n]))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ValueError, "model has 0 arrays; expected a kernel"),
        (arrays()[:2], ValueError, "model has 2 arrays; .*pass the model itself if layers have no bias"),
        (arrays() + [np.ones((3, 1)), np.ones(1)], ValueError, "model has 5 arrays; .*without those of other layers"),
        (arrays(gates=3, bias=np.ones(9)), ValueError, r"model\[2\] is the bias of a GRU with reset_after=False"),
        (arrays(gates=2), ValueError, r"model\[0\] to model\[2\] have shapes \(2, 6\), \(3, 6\), \(6,\); expected"),
        ([np.ones(3)] * 3, ValueError, r"model\[0\] to model\[2\] have shapes"),
        (arrays(2, 3) + arrays(2, 3, gates=1), ValueError, "different cells, .*'LSTM'"),
        (arrays(2, 3) + arrays(5, 4), ValueError, r"sizes of the layers, \[\(2, 3\), \(5, 4\)\] .*do not follow"),
        (arrays(3, 3) + arrays(3, 3), ValueError, "of two layers or of one bidirectional layer: pass the model itself"),
        ([*arrays()[:2], [np.inf] * 12], ValueError, "bias_ih_l0 has values that are not finite"),
        ([*arrays()[:2], ["a"] * 12], TypeError, "bias_ih_l0 is of type .*real numbers"),
        ([[[1], [1, 2]]] * 3, ValueError, r"^model\[0\]: "),
        (None, TypeError, "model is of type NoneType; expected a Keras layer or model, or a list of arrays"),
        (LSTM, TypeError, "model is the class LSTM; expected"),
        (np.ones((3, 2)), TypeError, "model is of type ndarray"),
    ],
)
def test_what_is_no_layer_of_keras_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        from_keras(given)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (CIFG(2, 3), "Keras has no layer for cell='cifg'"),
        (LSTMRegressor(3, missing="mask", max_iter=1, learning_rate="cosine"), "missing='mask'"),
    ],
)
def test_what_keras_lacks_is_refused(estimator, message):
    if isinstance(estimator, LSTMRegressor):
        estimator.fit(RNG.normal(size=(6, 3, 2)), np.arange(6))
    with pytest.raises(ValueError, match=message):
        to_keras(estimator)


@pytest.mark.parametrize("bad", [None, LSTMClassifier, {}], ids=str)
def test_only_estimators_and_layers_are_converted(bad):
    with pytest.raises(TypeError, match=r"estimator is .*expected a fitted LSTMClassifier, .* or a layer"):
        to_keras(bad)


@pytest.mark.parametrize("estimator", [LSTMClassifier(), SequenceEncoder()])
def test_only_fitted_estimators_are_converted(estimator):
    with pytest.raises(NotFittedError):
        to_keras(estimator)


def test_reading_weights_imports_neither_torch_nor_keras():
    code = (
        "import sys, numpy as np; from fastlstm.export import keras, pytorch; "
        "layer = keras.from_keras([np.ones((2, 12)), np.ones((3, 12)), np.ones(12)]); "
        "pytorch.from_torch(layer.state_dict()); sys.exit('torch' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
