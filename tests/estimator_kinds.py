"""Estimators of all kinds with what they are fitted to and their answers, for the tests of bfloat16 and of int8."""

import numpy as np

from fastlstm import LSTMClassifier, LSTMForecaster, LSTMRegressor, SequenceEncoder
from fastlstm.language import LSTMLanguageModel, LSTMTranslator

RNG = np.random.default_rng(0)
X = RNG.normal(size=(26, 8, 3))
Y = X[:, :, 0].sum(axis=1)
LABELS = np.array(["low", "high"])[(Y > 0).astype(int)]
WORDS = ["abc", "ba", "cab", "b"] * 6
SERIES = np.sin(np.arange(90) / 3) + 0.3 * RNG.normal(size=90)
OPTIONS = {"hidden_size": 17, "max_iter": 3, "random_state": 0, "learning_rate": "cosine"}

#: Estimator, what it is fitted to, and its answer.
KINDS = {
    "classifier": (LSTMClassifier(**OPTIONS, num_layers=2), (X, LABELS), lambda model: model.predict_proba(X)),
    "classifier of symbols": (
        LSTMClassifier(**OPTIONS, embedding_size=4),
        (WORDS, [0, 1] * 12),
        lambda model: model.predict_proba(WORDS),
    ),
    "encoder": (SequenceEncoder(LSTMRegressor(**OPTIONS, cell="cifg")), (X, Y), lambda model: model.transform(X)),
    "forecaster step by step": (
        LSTMForecaster(3, 8, **OPTIONS, skip=None, loss="gaussian_nll", strategy="recursive", cell="gru"),
        (SERIES,),
        lambda model: model.predict(9),
    ),
    "language model": (
        LSTMLanguageModel(**OPTIONS, embedding_size=4),
        (WORDS,),
        lambda model: [*model.predict_proba(["a", "ab"]).ravel(), model.bits_per_symbol(WORDS)],
    ),
    "translator": (
        LSTMTranslator(**OPTIONS, attention="additive", cell="gru"),
        (WORDS, [["x"], ["y", "z"]] * 12),
        lambda model: [score for of in model.predict_n_best(WORDS[:4], 2) for _, score in of],
    ),
}
