"""Estimators that need more than gradients of all processes: vocabularies, pairs, panels of series, files."""

import hashlib
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from fastlstm import LSTMClassifier, LSTMRegressor
from fastlstm.distributed import Local, fit, partial_fit
from fastlstm.forecasting import LSTMForecaster
from fastlstm.language import LSTMLanguageModel, LSTMTranslator

RNG = np.random.default_rng(0)
WORDS = ["".join(RNG.choice(list("abcdefg"), RNG.integers(2, 12))) for _ in range(60)]
QUICK = {"max_iter": 3, "random_state": 0}
CUTS = {1: [0, 60], 2: [0, 7, 7, 31, 60], 5: [0, 1, 30, 45, 50, 59, 60]}  # chunks for each number of workers


def chunks_of(n_workers, *columns):
    cuts = CUTS[n_workers]
    return [tuple(column[first:last] for column in columns) for first, last in pairwise(cuts)]


def fitted(estimator, *columns, **options):
    """The estimator, fitted by several numbers of workers on several cuts of the data."""
    return [
        fit(type(estimator)(**estimator.get_params()), chunks_of(n, *columns), load=tuple, engine=Local(n), **options)
        for n in CUTS
    ]


def digest(weights):
    return hashlib.sha256(b"".join(value.tobytes() for value in weights.values())).hexdigest()


def assert_same_bits(models):
    assert len({digest(model.weights_) for model in models}) == 1


def test_vocabularies_are_those_of_all_chunks():
    labels = [word[0] < "d" for word in WORDS]
    options = {"embedding_size": 4, "symbol_dropout": 0.2, "max_vocabulary": 5}
    models = fitted(LSTMClassifier(8, **options, **QUICK), WORDS, labels)
    alone = LSTMClassifier(8, **options, **QUICK).fit(WORDS, labels)
    for model in models:
        assert_array_equal(model.vocabulary_, alone.vocabulary_)
    assert_same_bits(models)
    events = [pd.DataFrame({"what": list(word), "size": np.arange(float(len(word)))}) for word in WORDS]
    assert_same_bits(fitted(LSTMClassifier(8, **options, **QUICK), events, labels))


def test_chunks_of_other_kinds_of_symbols_are_refused():
    chunks = [(["ab", "cb"], [0, 1]), ([[1, 2], [3]], [0, 1])]
    with pytest.raises(ValueError, match=r"Chunk 1 of X has kinds \('integers',\), but chunk 0 has \('char"):
        fit(LSTMClassifier(embedding_size=4), chunks, load=tuple, engine=Local())


def test_language_models_cut_a_text_as_alone():
    models = fitted(LSTMLanguageModel(8, bptt_steps=5, **QUICK), WORDS)
    assert_same_bits([model.classifier_ for model in models])
    alone = LSTMLanguageModel(8, bptt_steps=5, **QUICK).fit(WORDS)
    assert_array_equal(models[0].vocabulary_, alone.vocabulary_)
    assert models[0].loss_curve_[0] == pytest.approx(alone.loss_curve_[0], rel=0.05)
    with pytest.raises(ValueError, match="A language model has no partial_fit"):
        partial_fit(models[0], WORDS, engine=Local())


@pytest.mark.parametrize("early_stopping", [False, True])
def test_translators(early_stopping):
    options = {"dropout": 0.2, "teacher_forcing": 0.8, "symbol_dropout": 0.1, "early_stopping": early_stopping}
    backwards, weights = [word[::-1] for word in WORDS], np.arange(60.0)
    models = fitted(LSTMTranslator(8, **options, **QUICK), WORDS, backwards, weights)
    assert_same_bits(models)
    assert {model.max_length_ for model in models} == {2 * max(map(len, WORDS))}
    if early_stopping:
        assert len({tuple(model.validation_scores_) for model in models}) == 1


def test_translators_are_fitted_again():
    model = LSTMTranslator(4, **QUICK)
    first, second = (digest(fit(model, WORDS, WORDS, engine=Local(n)).weights_) for n in (1, 2))
    assert first == second


def test_translators_with_the_validation_data_of_a_plain_fit_have_its_loss():
    """Full batches, so that training is the same up to rounding."""
    options = {"batch_size": 60, "dtype": "float64", "dropout": 0.0, "symbol_dropout": 0.0, **QUICK}
    held_out = {"X_val": WORDS[:9], "y_val": WORDS[:9]}
    alone = LSTMTranslator(8, **options).fit(WORDS, WORDS, **held_out)
    model = fit(LSTMTranslator(8, **options), WORDS, WORDS, engine=Local(3), **held_out)
    assert model.validation_loss_curve_ == pytest.approx(alone.validation_loss_curve_, rel=1e-9)
    assert model.loss_curve_ == pytest.approx(alone.loss_curve_, rel=1e-9)


@pytest.mark.parametrize("options", [{}, {"strategy": "recursive"}, {"loss": "poisson"}], ids=str)
@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_forecasters_have_all_series(options, library):
    ids, steps = np.repeat(np.arange(12), 60), np.tile(np.arange(60), 12)
    y = (5 + 3 * np.sin(steps / 4) + 0.1 * RNG.normal(size=720)) * (1 + ids)
    days = np.datetime64("2020-01-01") + steps
    table = library.DataFrame({"unique_id": ids, "ds": days.astype("datetime64[us]"), "y": y})
    model = LSTMForecaster(4, window=10, hidden_size=8, n_models=1, **{"loss": "gaussian_nll", **options}, **QUICK)
    found = []
    for n in (1, 3):
        cuts = [720 * k // (n + 1) for k in range(n + 2)]  # also within a series
        parts = [(table[first:last],) for first, last in pairwise(cuts)]
        done = fit(LSTMForecaster(**model.get_params()), parts, load=tuple, engine=Local(n))
        found.append([digest(network.weights) for network in done._fitted.predictor.networks])
        assert done.predict().shape[0] == 48
    assert found[0] == found[1] != []


def test_forecasters_have_the_same_seed_in_all_processes():
    y = {n: np.sin(np.arange(60) / 4 + n) for n in range(4)}
    options = {"window": 10, "hidden_size": 8, "n_models": 1, "loss": "gaussian_nll", **QUICK}
    found = []
    for n in (1, 2):
        model = LSTMForecaster(4, **{**options, "random_state": np.random.RandomState(0)})
        done = fit(model, y, engine=Local(n))
        found.append([digest(network.weights) for network in done._fitted.predictor.networks])
    assert found[0] == found[1] != []


def test_chunks_may_be_files_that_stay_on_disk(tmp_path):
    X, y = RNG.normal(size=(60, 12, 3)).astype("float32"), RNG.normal(size=60)
    paths = []
    for n, rows in enumerate(np.split(np.arange(60), [15, 30])):
        np.save(tmp_path / f"{n}.npy", X[rows])
        paths.append((tmp_path / f"{n}.npy", rows))

    def load(path):
        return np.load(path[0], mmap_mode="r"), y[path[1]]

    model = LSTMRegressor(8, dropout=0.2, batch_size=20, **QUICK)
    alone = fit(LSTMRegressor(**model.get_params()), X, y, engine=Local())
    assert_same_bits([alone, fit(model, paths, load=load, engine=Local(2), n_partitions=8)])


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match="estimator is a dict; expected an LSTMClassifier"):
        fit({}, WORDS, engine=Local())
    with pytest.raises(TypeError, match=r"engine is 'dask'; expected Dask\(client\), Mpi\(comm\) or Local"):
        fit(LSTMRegressor(), WORDS, engine="dask")
