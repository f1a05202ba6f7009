"""What was trained once is trained to the same bits again: digests of weights and states, in golden/bits.json.

A change of structure or speed leaves them as they are; one that is meant to change numbers writes them anew: run
python tests/test_same_bits.py.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import bare

from fastlstm import LSTMClassifier, LSTMRegressor, kernels

GOLDEN = Path(__file__).parent / "golden" / "bits.json"
SIZES = {"max_iter": 2, "batch_size": 8, "random_state": 0, "learning_rate": "cosine", "learning_rate_init": 0.01}
LENGTHS = [3, 9, 1, 9, 4, 4, 7, 2, 9, 5, 1, 6, 8, 3, 9, 2, 5, 7, 4]

#: Of every cell and dtype: parameters beside a hidden size of 17.
FITS = {
    "equal lengths": {},
    "unequal lengths": {"lengths": True},
    "stack": {"hidden_size": (9, 17), "num_layers": 2, "bidirectional": True, "lengths": True, "dropout": 0.3},
    "recurrent dropout": {"recurrent_dropout": 0.3, "return_sequences": True, "lengths": True},
    "pieces": {"bptt_steps": 4, "lengths": True},
    "checkpoints": {"bptt_checkpoint": 3},
    "standardized": {"standardize": True, "missing": "mask"},
}
#: Of the LSTM, in float32.
LOSSES = {
    "two classes": {"classes": 2},
    "four classes": {"classes": 4, "class_weight": "balanced"},
    "three labels": {"labels": 3},
    **{loss: {"loss": loss} for loss in ("absolute_error", "huber", "poisson", "gaussian_nll")},
    "quantiles": {"loss": "quantile", "quantile": (0.1, 0.5, 0.9)},
    **{solver: {"solver": solver, "alpha": 0.1, "clip_norm": 0.5} for solver in ("adam", "adamw", "sgd", "rmsprop")},
}


def cases():
    for cell in kernels.CELLS:
        for dtype in ("float32", "float64"):
            for name, options in FITS.items():
                yield f"{cell} {dtype} {name}", {"cell": cell, "dtype": dtype, **options}
    for name, options in LOSSES.items():
        yield name, options


CASES = dict(cases())


def digest(backend, hidden_size=17, lengths=False, classes=None, labels=None, **options):
    """Of all that a fit gives."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(len(LENGTHS), max(LENGTHS), 3))
    y = X[:, :, 0] + 0.5 * X[:, ::-1, 1]
    series = [x[:length] for x, length in zip(X, LENGTHS, strict=True)] if lengths else X
    if options.get("return_sequences"):
        y = [row[:length] for row, length in zip(y, LENGTHS, strict=True)] if lengths else y
    else:
        y = np.abs(y[:, 0]) if options.get("loss") == "poisson" else y[:, 0]
    if classes:
        y = np.arange(len(X)) % classes
    if labels:
        y = (X[:, 0, :labels] > 0).astype(int)
    estimator = LSTMClassifier if classes or labels else LSTMRegressor
    model = bare(estimator, hidden_size, **{**SIZES, "backend": backend, **options}).fit(series, y)
    states = model.hidden_states(series)
    arrays = [*model.weights_.values(), *(states if isinstance(states, list) else [states])]
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()[:16]


@pytest.mark.parametrize("name", list(CASES))
def test_a_fit_has_the_bits_that_it_had(name, fast):
    assert digest(fast, **CASES[name]) == json.loads(GOLDEN.read_text())[name]


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: digest("auto", **CASES[name]) for name in CASES}, indent=1) + "\n")
