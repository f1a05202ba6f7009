"""Small fitted estimators of every kind, and what they answer: saved, forged, and kept as files of each release."""

import warnings

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastlstm import LSTMClassifier, LSTMForecaster, LSTMRegressor, SequenceEncoder, SequenceScaler
from fastlstm.language import LSTMLanguageModel, LSTMTranslator

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 5, 2))
Y = X.mean(axis=1)
LABELS = np.array(["no", "yes", "perhaps"])[np.arange(24) % 3]
GAPS = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
RAGGED = [x[: 1 + n % 5] for n, x in enumerate(X)]
STEPS = [np.arange(len(x)) % 2 for x in RAGGED]
WORDS = ["abc", "ba", "cab", "b"] * 6
TABLE = X[:, :, 0]
SERIES = np.sin(np.arange(90) / 5) + 3
OPTIONS = {"hidden_size": 3, "max_iter": 2, "random_state": 0, "backend": "numpy"}


def classifier(**options):
    return LSTMClassifier(**{**OPTIONS, **options})


def forecaster(**options):
    return LSTMForecaster(3, window=8, skip=None, **{**OPTIONS, **options})


def translator(**options):
    return LSTMTranslator(**{**OPTIONS, "embedding_size": 4, **options})


#: By name: what makes a fitted estimator, and its answer as arrays of numbers or lists.
MODELS = {
    "classifier": (lambda: classifier(early_stopping=True).fit(X, LABELS), lambda model: model.predict_proba(X)),
    "classifier of steps": (
        lambda: classifier(cell="gru", return_sequences=True, num_layers=2).fit(RAGGED, STEPS),
        lambda model: np.concatenate(model.predict_proba(RAGGED)),
    ),
    "classifier of symbols": (
        lambda: classifier(embedding_size=2, bidirectional=True).fit(WORDS, [0, 1] * 12),
        lambda model: model.predict_proba([*WORDS, "xyz"]),
    ),
    "classifier of gaps, float64": (
        lambda: classifier(cell="cifg", missing="mask", dtype="float64").fit(GAPS, LABELS),
        lambda model: model.predict_proba(GAPS),
    ),
    "regressor": (lambda: LSTMRegressor(**OPTIONS).fit(X, Y), lambda model: model.predict(X)),
    "regressor of quantiles": (
        lambda: LSTMRegressor(loss="quantile", quantile=[0.1, 0.9], **OPTIONS).fit(X, Y[:, 0]),
        lambda model: model.predict_quantiles(X, [0.1, 0.9]),
    ),
    "pipeline": (
        lambda: make_pipeline(StandardScaler(), classifier(cell="rnn")).fit(TABLE, LABELS),
        lambda model: model.predict_proba(TABLE),
    ),
    "encoder after a scaler": (
        lambda: make_pipeline(SequenceScaler(), SequenceEncoder(classifier())).fit(X, LABELS),
        lambda model: model.transform(X),
    ),
    "forecaster": (lambda: forecaster().fit(SERIES), lambda model: model.predict_interval()),
    "forecaster step by step": (
        lambda: forecaster(strategy="recursive", loss="gaussian_nll", differences=1).fit([SERIES, SERIES[20:]]),
        lambda model: np.stack(model.predict(5)),
    ),
    "language model": (
        lambda: LSTMLanguageModel(**OPTIONS, embedding_size=4).fit(WORDS),
        lambda model: model.predict_proba(["a", "ab"]),
    ),
    "translator": (
        lambda: translator(cell="gru", attention="additive").fit(WORDS, [["x"], ["y", "z"]] * 12),
        lambda model: [score for of in model.predict_n_best(WORDS[:3], 2) for _, score in of],
    ),
}


def made(name):
    """A fitted estimator by its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MODELS[name][0]()


def answer(name, model):
    """What this estimator answers, as an array."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(MODELS[name][1](model))
