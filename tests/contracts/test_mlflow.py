"""MLflow's flavour of scikit-learn: models that were logged predict the same bits when they are loaded."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlstm import LSTMClassifier, LSTMForecaster, LSTMRegressor
from fastlstm.language import LSTMTranslator

pytest.importorskip("mlflow")
import mlflow.pyfunc
import mlflow.sklearn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 6))
OPTIONS = {"hidden_size": 4, "max_iter": 2, "random_state": 0}
MODELS = {
    "classifier": (LSTMClassifier(**OPTIONS).fit(X, X[:, 0] > 0), lambda model: model.predict_proba(X)),
    "pipeline": (
        make_pipeline(StandardScaler(), LSTMRegressor(**OPTIONS)).fit(X, X[:, 0]),
        lambda model: model.predict(X),
    ),
    "forecaster": (LSTMForecaster(2, window=8, **OPTIONS).fit(X.ravel()), lambda model: model.predict()),
    "translator": (
        LSTMTranslator(**OPTIONS).fit(["ab", "ba"] * 5, ["x", "yy"] * 5),
        lambda model: model.predict(["ab", "bb"]),
    ),
}


@pytest.mark.parametrize("serialization", ["cloudpickle", "skops"])
@pytest.mark.parametrize(("model", "answer"), MODELS.values(), ids=MODELS)
def test_a_logged_model_predicts_the_same_bits(model, answer, serialization, tmp_path):
    if serialization not in mlflow.sklearn.SUPPORTED_SERIALIZATION_FORMATS:
        pytest.skip("this MLflow has no such format")
    options = {"serialization_format": serialization}
    if serialization == "skops":
        skops = pytest.importorskip("skops.io")
        options["skops_trusted_types"] = skops.get_untrusted_types(data=skops.dumps(model))
    mlflow.sklearn.save_model(model, tmp_path / "model", **options)
    again = mlflow.sklearn.load_model(str(tmp_path / "model"))
    assert np.array_equal(answer(again), answer(model))


def test_a_model_serves_as_a_function_of_python(tmp_path):
    model, _ = MODELS["pipeline"]
    mlflow.sklearn.save_model(model, tmp_path / "model", serialization_format="cloudpickle")
    assert np.array_equal(mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(X), model.predict(X))
