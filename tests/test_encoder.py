"""SequenceEncoder: last states as features."""

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import keeps_row_labels
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder, SequenceScaler
from fastlstm.layers import LSTM

QUICK = {"hidden_size": 6, "max_iter": 3, "learning_rate": "cosine", "random_state": 0}


def data(n=30):
    """Series of unequal lengths, and whether their first channel adds up to more than 0."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 2)) for length in rng.integers(1, 9, n)]
    return X, np.array([series[:, 0].sum() > 0 for series in X])


CHECKS = parametrize_with_checks([SequenceEncoder(LSTMClassifier(**QUICK)), SequenceEncoder(LSTMRegressor(**QUICK))])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_features_are_the_last_states_of_the_layer(bidirectional):
    X, y = data()
    model = LSTMClassifier(**QUICK, bidirectional=bidirectional, standardize=False).fit(X, y)
    layer = LSTM(2, 6, bidirectional=bidirectional)
    layer.load_state_dict({name: value for name, value in model.weights_.items() if not name.startswith("head")})
    features = SequenceEncoder(model).fit(X).transform(X)
    for series, row in zip(X, features, strict=True):
        _, (h_n, _) = layer(series[None].astype("float32"))
        assert_array_equal(row, h_n[:, 0].ravel())


def test_an_unfitted_estimator_is_fitted_and_left_alone():
    X, y = data()
    lstm = LSTMClassifier(**QUICK)
    encoder = SequenceEncoder(lstm).fit(X, y)
    assert not hasattr(lstm, "weights_")
    assert_array_equal(encoder.transform(X), SequenceEncoder(clone(lstm).fit(X, y)).fit(X).transform(X))


def test_a_fitted_estimator_is_used_as_it_is_and_survives_cloning():
    X, y = data()
    lstm = LSTMClassifier(**QUICK).fit(X, y)
    encoder = clone(SequenceEncoder(lstm)).fit(X, ~y)
    assert_array_equal(encoder.transform(X), SequenceEncoder(lstm).fit(X).transform(X))


def test_a_refit_of_the_estimator_does_not_change_a_fitted_encoder():
    X, y = data()
    lstm = LSTMClassifier(**QUICK).fit(X, y)
    encoder = SequenceEncoder(lstm).fit(X)
    before = encoder.transform(X)
    lstm.set_params(hidden_size=9).fit(X, y)
    assert_array_equal(encoder.transform(X), before)
    assert len(encoder.get_feature_names_out()) == 6


@pytest.mark.parametrize("fitted", [False, True])
def test_arguments_that_the_fit_of_the_estimator_does_not_take_are_refused(fitted):
    X, y = data()
    lstm = LSTMClassifier(**QUICK)
    encoder = SequenceEncoder(lstm.fit(X, y) if fitted else lstm)
    with pytest.raises(TypeError, match=r"LSTMClassifier\.fit, which raised: .*unexpected keyword argument 'bogus'"):
        encoder.fit(X, y, bogus=1)
    assert not hasattr(encoder, "estimator_")


def test_weights_may_be_passed_where_the_estimator_came_fitted():
    X, y = data()
    encoder = SequenceEncoder(LSTMClassifier(**QUICK).fit(X, y))
    assert encoder.fit(X, y, sample_weight=np.ones(len(y))).transform(X).shape == (30, 6)


@pytest.mark.parametrize(
    ("of_y", "estimator"),
    [(str, LSTMClassifier), (int, LSTMClassifier), (float, LSTMRegressor)],
    ids=lambda v: v.__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_without_an_estimator_the_targets_decide(of_y, estimator):
    X, y = data(10)
    assert type(SequenceEncoder().fit(X, y.astype(of_y)).estimator_) is estimator


def test_it_works_in_pipelines_and_searches_on_unequal_lengths():
    X, y = data(160)
    lstm = LSTMClassifier(**{**QUICK, "max_iter": 30, "learning_rate_init": 0.03, "batch_size": 10})
    model = make_pipeline(SequenceScaler(), SequenceEncoder(lstm), RidgeClassifier())
    assert cross_val_score(model, X, y, cv=2).mean() > 0.7
    search = GridSearchCV(model, {"sequenceencoder__estimator__cell": ["gru", "lstm"]}, cv=2, n_jobs=2).fit(X, y)
    assert search.best_estimator_[:-1].transform(X).shape == (160, 6)


def test_names_of_features_and_frames_of_them():
    X, y = data()
    encoder = SequenceEncoder(LSTMClassifier(**QUICK)).set_output(transform="pandas").fit(X, y)
    frame = encoder.transform(X)
    assert list(frame.columns) == list(encoder.get_feature_names_out()) == [f"sequenceencoder{k}" for k in range(6)]


def table():
    """A column of series of 2 channels beside plain columns, and labels."""
    X, y = data(20)
    columns = {"age": np.arange(20.0), "lag_2": np.arange(20.0) ** 2, "lag_1": np.arange(20.0) ** 0.5}
    return pd.DataFrame({"series": X, **columns}, index=range(100, 120)), y


NAMES = ["e__sequenceencoder0", "e__sequenceencoder1", "w__lag_2", "w__lag_1", "p__age"]


@pytest.mark.parametrize("container", ["default", pytest.param("pandas", marks=keeps_row_labels), "polars"])
@pytest.mark.parametrize("scaled", [False, True], ids=["encoder", "scaler and encoder"])
@pytest.mark.parametrize("everywhere", [False, True], ids=["set_output", "config"])
def test_a_column_of_series_in_a_column_transformer(container, scaled, everywhere):
    if container != "default":
        pytest.importorskip(container)
    frame, y = table()
    encoder = SequenceEncoder(LSTMClassifier(**{**QUICK, "hidden_size": 2}))
    encoder = make_pipeline(SequenceScaler(), encoder) if scaled else encoder
    parts = [("e", encoder, "series"), ("w", SequenceScaler(), ["lag_2", "lag_1"]), ("p", "passthrough", ["age"])]
    model = ColumnTransformer(parts)
    expected = np.column_stack(
        [
            clone(encoder).fit_transform(list(frame["series"]), y),
            SequenceScaler().fit_transform(frame[["lag_2", "lag_1"]]),
            frame["age"],
        ]
    )
    with config_context(transform_output=container if everywhere else "default"):
        model = model if everywhere else model.set_output(transform=container)
        for out in (model.fit_transform(frame, y), model.transform(frame)):
            assert_array_equal(np.asarray(out), expected)
            assert model.get_feature_names_out().tolist() == NAMES
            if container != "default":
                assert list(out.columns) == NAMES
            if container == "pandas":
                assert out.index.equals(frame.index)


def test_names_of_other_columns_than_were_fitted_are_refused():
    encoder = SequenceEncoder(LSTMClassifier(**QUICK)).fit(np.eye(6), [0, 1] * 3)
    with pytest.raises(ValueError, match="input_features should have length equal"):
        encoder.get_feature_names_out(["a", "b"])


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def weighted(n):
    """What a classifier and the encoder it is in need with weights, as fitted without routing."""
    X, y = data(n)
    weights = np.arange(1.0, n + 1)
    return X, y, weights, LSTMClassifier(**QUICK).fit(X, y, weights)


def test_metadata_that_the_estimator_requests_reaches_it(routing):
    X, y, weights, expected = weighted(20)
    encoder = SequenceEncoder(LSTMClassifier(**QUICK).set_fit_request(sample_weight=True))
    for out in (
        encoder.fit(X, y, sample_weight=weights).transform(X),
        encoder.fit_transform(X, y, sample_weight=weights),
    ):
        assert_array_equal(out, SequenceEncoder(expected).fit(X).transform(X))


def test_metadata_is_routed_through_pipelines_and_searches(routing):
    X, y, weights, expected = weighted(20)
    lstm = LSTMClassifier(**QUICK).set_fit_request(sample_weight="w")
    tail = RidgeClassifier().set_fit_request(sample_weight=False)
    model = make_pipeline(SequenceEncoder(lstm), tail).fit(X, y, w=weights)
    assert_array_equal(model[:-1].transform(X), SequenceEncoder(expected).fit(X).transform(X))
    search = GridSearchCV(
        model, {"sequenceencoder__estimator__cell": ["lstm"]}, scoring="accuracy", cv=2, error_score="raise"
    )
    assert_array_equal(search.fit(X, y, w=weights).best_estimator_[:-1].transform(X), model[:-1].transform(X))


def test_validation_data_can_be_routed(routing):
    X, y = data()
    lstm = LSTMClassifier(**QUICK).set_fit_request(X_val=True, y_val=True)
    encoder = SequenceEncoder(lstm).fit(X, y, X_val=X[:9], y_val=y[:9])
    assert len(encoder.estimator_.validation_scores_) == 3


@pytest.mark.parametrize("estimator", [None, LSTMClassifier(**QUICK)], ids=["None", "LSTMClassifier"])
def test_metadata_that_is_not_requested_is_refused(routing, estimator):
    X, y = data()
    with pytest.raises(ValueError, match=r"\[sample_weight\] are passed but are not explicitly set as requested"):
        SequenceEncoder(estimator).fit(X, y, sample_weight=np.ones(len(y)))


def test_it_can_be_pickled():
    X, y = data()
    encoder = SequenceEncoder(LSTMClassifier(**QUICK)).fit(X, y)
    assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(X), encoder.transform(X))


def test_before_fitting():
    with pytest.raises(NotFittedError, match="SequenceEncoder instance is not fitted yet"):
        SequenceEncoder().transform(data()[0])


def test_targets_are_needed_where_there_is_something_to_fit():
    encoder = SequenceEncoder(LSTMClassifier(**QUICK))
    with pytest.raises(ValueError, match=r"requires y to be passed.*or pass a fitted estimator"):
        encoder.fit(data()[0])
    assert not hasattr(encoder, "estimator_")


def test_a_clone_of_a_fitted_encoder_changes_nothing_of_the_original():
    X, y = data()
    lstm = LSTMClassifier(**QUICK).fit(X, y)
    copy = clone(SequenceEncoder(lstm)).set_params(estimator__hidden_size=9)
    assert lstm.hidden_size == 6
    with pytest.raises(ValueError, match="hidden_size=9, but the fitted model has hidden_size=6"):
        copy.fit(X)


def test_targets_for_each_step_without_an_estimator():
    X, _ = data()
    with pytest.raises(ValueError, match="y has one array per series: pass one target per series"):
        SequenceEncoder().fit(X, [series[:, 0] for series in X])


def test_an_estimator_of_another_kind():
    with pytest.raises(ValueError, match=r"must be None or an instance of .*BaseLSTM'"):
        SequenceEncoder(RidgeClassifier()).fit(*data())
