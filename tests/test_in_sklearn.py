"""The estimators among scikit-learn's tools, and the forms of X and y that those hand them."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from fastlstm import LSTMClassifier, LSTMRegressor, kernels
from fastlstm.layers import LSTM

QUICK = {"hidden_size": 8, "learning_rate": "cosine", "learning_rate_init": 0.02, "batch_size": 20, "random_state": 0}


@pytest.fixture
def wave():
    """Windows of 12 values of a sine, and the value after each."""
    windows = np.lib.stride_tricks.sliding_window_view(np.sin(np.arange(260) / 4), 13)
    return windows[:, :-1], windows[:, -1]


@pytest.fixture
def labelled():
    """60 series of 5 steps of 2 channels; the class is whether the first channel's sum is positive."""
    X = np.random.default_rng(0).normal(size=(60, 5, 2))
    return X, (X[:, :, 0].sum(axis=1) > 0).astype(int)


@pytest.fixture(params=[LSTMClassifier, LSTMRegressor])
def fitted(request, labelled):
    return request.param(**QUICK, max_iter=5).fit(*labelled)


def test_behind_a_scaler_in_a_pipeline(wave):
    X, y = wave
    model = make_pipeline(StandardScaler(), LSTMRegressor(**QUICK, max_iter=30))
    assert model.fit(1000 + 50 * X, y).score(1000 + 50 * X, y) > 0.9  # 0 without the scaler


def test_a_grid_search_on_two_processes_finds_the_better_rate(wave):
    grid = {"learning_rate_init": [1e-6, 0.02]}
    search = GridSearchCV(LSTMRegressor(**QUICK, max_iter=10), grid, n_jobs=2, cv=2, error_score="raise").fit(*wave)
    assert search.best_params_ == {"learning_rate_init": 0.02}


def test_scores_over_splits_in_time(wave):
    model = LSTMRegressor(**QUICK, max_iter=30)
    scores = cross_val_score(model, *wave, cv=TimeSeriesSplit(n_splits=3), error_score="raise")
    assert scores.min() > 0.9


def test_a_target_transformer_scales_y_and_scales_predictions_back(wave):
    X, y = wave
    model = TransformedTargetRegressor(LSTMRegressor(**QUICK, max_iter=30), transformer=StandardScaler())
    assert model.fit(X, 1000 + 50 * y).score(X, 1000 + 50 * y) > 0.9


def test_a_clone_has_the_parameters_and_is_not_fitted(fitted):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        check_is_fitted(copy)


def test_a_pickle_predicts_the_same_bits(fitted, labelled):
    copy = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(copy.predict(labelled[0]), fitted.predict(labelled[0]))


def test_a_pickle_goes_on_training_as_the_original(fitted, labelled):
    fitted.set_params(learning_rate="constant")
    copy = pickle.loads(pickle.dumps(fitted)).partial_fit(*labelled)
    fitted.partial_fit(*labelled)
    assert_array_equal(copy.predict(labelled[0]), fitted.predict(labelled[0]))


@pytest.fixture
def mapped(fitted, tmp_path):
    """The fitted estimator, its arrays in read-only mapped memory."""
    joblib.dump(fitted, tmp_path / "model")
    return joblib.load(tmp_path / "model", mmap_mode="r")


def test_a_memory_mapped_model_predicts_the_same_bits(mapped, fitted, labelled):
    assert isinstance(mapped.weights_["weight_hh_l0"], np.memmap)
    assert_array_equal(mapped.predict(labelled[0]), fitted.predict(labelled[0]))


def test_a_memory_mapped_model_goes_on_training_as_the_original(mapped, fitted, labelled):
    for model in (mapped, fitted):
        model.set_params(learning_rate="constant").partial_fit(*labelled)
    assert_array_equal(mapped.predict(labelled[0]), fitted.predict(labelled[0]))


def test_memory_mapped_series_train_and_predict_the_same_bits(labelled, tmp_path):
    joblib.dump(labelled, tmp_path / "data")
    X, y = joblib.load(tmp_path / "data", mmap_mode="r")
    in_memory, on_disk = (LSTMClassifier(**QUICK, max_iter=5).fit(*data) for data in (labelled, (X, y)))
    assert_array_equal(on_disk.predict_proba(X), in_memory.predict_proba(labelled[0]))


def test_a_data_frame_names_the_features_and_predicts_as_its_values(wave):
    X, y = wave
    frame = pd.DataFrame(X, columns=[f"lag_{lag}" for lag in range(12, 0, -1)])
    model = LSTMRegressor(**QUICK, max_iter=5).fit(frame, pd.Series(y))
    assert_array_equal(model.feature_names_in_, frame.columns)
    assert_array_equal(model.predict(frame), LSTMRegressor(**QUICK, max_iter=5).fit(X, y).predict(X))


def test_columns_in_another_order_are_refused(wave):
    frame = pd.DataFrame(wave[0], columns=[f"lag_{lag}" for lag in range(12, 0, -1)])
    model = LSTMRegressor(**QUICK, max_iter=1).fit(frame, wave[1])
    with pytest.raises(ValueError, match="Feature names must be in the same order as they were in fit"):
        model.predict(frame[frame.columns[::-1]])


def test_features_are_the_columns_of_2d_and_the_channels_of_3d_series(wave, labelled):
    model = LSTMRegressor(**QUICK, max_iter=1)
    assert model.fit(*wave).n_features_in_ == 12
    assert model.fit(*labelled).n_features_in_ == 2


def test_estimators_say_what_they_are():
    assert is_classifier(LSTMClassifier())
    assert not is_classifier(LSTMRegressor())


def test_series_of_one_channel_may_be_2d_bit_for_bit(wave):
    X, y = wave
    flat, deep = (LSTMRegressor(**QUICK, max_iter=5).fit(series, y) for series in (X, X[:, :, None]))
    assert_array_equal(flat.predict(X), deep.predict(X[:, :, None]))
    assert_array_equal(flat.predict(X[:, :, None]), deep.predict(X))


def test_series_may_be_longer_or_shorter_in_predict(fitted):
    assert len(fitted.predict(np.ones((3, 9, 2)))) == 3
    assert len(fitted.predict(np.ones((3, 1, 2)))) == 3


def test_inputs_are_left_as_they_were(fitted, labelled):
    X, y = labelled
    before = X.copy(), y.copy()
    clone(fitted).fit(X, y, np.ones(len(y))).predict(X)
    assert_array_equal(X, before[0])
    assert_array_equal(y, before[1])


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_are_one_column_a_class_and_sum_to_one(labelled, n_classes, dtype):
    X = labelled[0]
    model = LSTMClassifier(**QUICK, max_iter=2, dtype=dtype).fit(X, np.arange(60) % n_classes)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (60, n_classes)
    assert_allclose(probabilities.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)


def test_the_predicted_class_is_the_most_probable(labelled):
    X = labelled[0]
    model = LSTMClassifier(**QUICK, max_iter=5).fit(X, np.arange(60) % 3)
    assert_array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])


def test_log_probabilities_stay_finite_where_probabilities_vanish(labelled):
    X, y = labelled
    model = LSTMClassifier(**QUICK, max_iter=2).fit(X, y)
    model.weights_["head.bias"][:] = [0, 500]
    assert_allclose(model.predict_log_proba(X)[:, 0], -500, rtol=0.02)


@pytest.mark.parametrize(
    "labels",
    [["no", "yes"], [False, True], [-7, 40], [1.0, 2.0], np.array(["a", "b"], object), [2**40, 2**41]],
    ids=["str", "bool", "int", "float", "object", "long"],
)
def test_labels_of_any_type_come_back_as_they_were_given(labelled, labels):
    X, y = labelled
    y = np.asarray(labels)[y]
    model = LSTMClassifier(**QUICK, max_iter=40).fit(X, y)
    predicted = model.predict(X)
    assert model.classes_.tolist() == sorted(labels)
    assert predicted.dtype == y.dtype
    assert np.mean(predicted == y) > 0.9


def test_a_single_class_is_predicted_with_certainty(labelled):
    X = labelled[0]
    model = LSTMClassifier(**QUICK, max_iter=2).fit(X, ["only"] * 60)
    assert_array_equal(model.predict(X), ["only"] * 60)
    assert_array_equal(model.predict_proba(X), np.ones((60, 1)))


def test_several_outputs_are_learned_together(wave):
    X, y = wave
    Y = np.column_stack([y, -y, X[:, -1]])
    model = LSTMRegressor(**QUICK, max_iter=40).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.9


@pytest.mark.parametrize(("shape", "predicted"), [((248,), (248,)), ((248, 1), (248,)), ((248, 2), (248, 2))])
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_predictions_have_the_shape_of_y(wave, shape, predicted):
    X, y = wave
    assert LSTMRegressor(**QUICK, max_iter=1).fit(X, np.resize(y, shape)).predict(X).shape == predicted


def test_weights_predict_the_same_in_a_layer_with_a_linear_head(labelled):
    X, y = labelled
    model = LSTMRegressor(**QUICK, max_iter=5, dtype="float64", standardize=False).fit(X, y)
    layer = LSTM(2, 8, dtype="float64")
    layer.load_state_dict({name: value for name, value in model.weights_.items() if not name.startswith("head.")})
    _, (h_n, _) = layer(X)
    by_hand = h_n[0] @ model.weights_["head.weight"][0] + model.weights_["head.bias"]
    assert_allclose(model.predict(X), by_hand, rtol=1e-10, atol=1e-12)


def test_a_fitted_model_predicts_in_the_type_it_was_fitted_in(fitted, labelled):
    before = fitted.predict(labelled[0])
    assert_array_equal(fitted.set_params(dtype="float64").predict(labelled[0]), before)


def test_a_model_fitted_with_one_backend_predicts_with_another(fitted, labelled):
    X = labelled[0]
    score = "predict_proba" if is_classifier(fitted) else "predict"
    by_numpy, *others = (getattr(fitted.set_params(backend=name), score)(X) for name in reversed(kernels.available()))
    for other in others:
        assert_allclose(other, by_numpy, atol=1e-5)
