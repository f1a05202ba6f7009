"""Tables of layers, and the HTML representation."""

import html
import re

import numpy as np
import pytest
import sklearn
from helpers import FASTEST
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.fixes import parse_version

from fastlstm import LSTMClassifier, LSTMForecaster, LSTMRegressor, SequenceEncoder, SequenceScaler

X = np.random.default_rng(0).normal(size=(40, 5, 3))
Y = X[:, -1, 0]
QUICK = {"max_iter": 1, "learning_rate": "cosine", "random_state": 0, "backend": FASTEST}
describes = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="this scikit-learn shows no fitted attributes"
)


@pytest.mark.parametrize("options", [{}, {"dtype": "float64", "missing": "mask"}, {"bidirectional": True}], ids=str)
def test_a_summary_counts_all_weights(cell, options):
    model = LSTMClassifier((8, 4), 2, cell=cell, **options, **QUICK).fit(X, Y > 0)
    total = model.summary().total
    assert total.n_parameters == sum(weight.size for weight in model.weights_.values())
    assert total.n_bytes == sum(weight.nbytes for weight in model.weights_.values())


def test_multiplications_are_those_of_the_weight_matrices():
    one = LSTMRegressor(8, num_layers=2, **QUICK).fit(X, Y)
    assert [layer.output_shape for layer in one.summary().layers] == [("T", 3), ("T", 8), (8,), (1,)]
    assert one.summary().total.multiplications == 4 * 8 * (3 + 8) + 4 * 8 * (8 + 8)
    assert one.summary().total.multiplications_at_end == 8
    per_step = LSTMRegressor(8, return_sequences=True, **QUICK).fit(X, X[:, :, :2])
    assert [layer.output_shape for layer in per_step.summary().layers] == [("T", 3), ("T", 8), ("T", 2)]
    assert per_step.summary().total.multiplications == 4 * 8 * (3 + 8) + 8 * 2
    assert per_step.summary().total.multiplications_at_end == 0


def test_the_table_is_aligned():
    text = str(LSTMRegressor(100, bidirectional=True, **QUICK).fit(X, Y).summary())
    title, _, *lines = text.splitlines()
    assert title == "LSTMRegressor"
    assert len(set(map(len, lines))) == 1
    assert re.fullmatch(r"total +84,201 +336,804 +82,400 \(\+ 200 at the end\)", lines[-1])


def test_the_encoder_has_no_linear_layer():
    encoder = SequenceEncoder(LSTMRegressor(8, **QUICK)).fit(X, Y)
    assert [layer.name for layer in encoder.summary().layers] == ["input", "lstm 1"]
    assert encoder.summary().layers[-1].output_shape == encoder.transform(X).shape[1:]


def test_the_forecaster_tells_its_number_of_networks():
    y = np.sin(np.arange(100) / 5)
    options = {"window": 10, "hidden_size": 8, "random_state": 0, "max_iter": 1}
    summary = LSTMForecaster(4, skip=None, n_models=2, **options).fit(y).summary()
    assert summary.title == "LSTMForecaster, 2 networks"
    assert summary.layers[-1].output_shape == (4,)
    linear = LSTMForecaster(4, **options).fit(y)
    assert linear.network_share_ == 0
    assert str(linear.summary()) == "LSTMForecaster, 0 networks"


@pytest.mark.parametrize("estimator", [LSTMClassifier(), SequenceEncoder(), LSTMForecaster(3)], ids=str)
def test_what_is_not_fitted_has_no_summary(estimator):
    with pytest.raises(NotFittedError):
        estimator.summary()


FITTED = {
    "regressor": lambda: LSTMRegressor(4, **QUICK).fit(X, Y),
    "classifier": lambda: LSTMClassifier(4, early_stopping=True, **QUICK).fit(X, Y > 0),
    "encoder": lambda: SequenceEncoder(LSTMRegressor(4, **QUICK)).fit(X, Y),
    "scaler": lambda: SequenceScaler("minmax").fit(X),
    "forecaster": lambda: LSTMForecaster(4, window=10, hidden_size=8, max_iter=1).fit(np.sin(np.arange(100) / 5)),
}


@pytest.fixture(params=FITTED)
def estimator(request):
    return FITTED[request.param]()


@describes
def test_html_describes_every_parameter_and_fitted_attribute(estimator):
    shown = estimator._repr_html_()
    described = {html.unescape(name) for name in re.findall(r'param-doc-description"[^>]*>\s*(\w+):', shown)}
    attributes = {name for name in vars(estimator) if re.fullmatch(r"[a-zA-Z]\w*_", name)}
    assert attributes <= described
    assert estimator.get_params(deep=False).keys() <= described


def test_html_of_fitted_estimators_and_of_their_clones_is_made(estimator):
    for either in (estimator, clone(estimator)):
        assert type(estimator).__name__ in either._repr_html_()
