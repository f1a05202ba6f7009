"""What each process of `tests/test_distributed_mpi.py` runs: ``python -m mpi4py mpi_program.py how``."""

import hashlib
import sys
import warnings

import numpy as np

from fastlstm import LSTMClassifier, LSTMRegressor
from fastlstm.distributed import Local, Mpi, fit, partial_fit

warnings.simplefilter("ignore")  # that a few epochs do not converge
N = 40
X = np.random.default_rng(0).normal(size=(N, 6, 2))
Y = X[:, :, 0].sum(axis=1)
LABELS = np.array(["high", "low", "medium"])[np.digitize(Y, [-1, 1])]
QUICK = {"hidden_size": 4, "max_iter": 2, "random_state": 0, "batch_size": 16, "learning_rate": "constant"}


def digests(engine, rows, n_partitions=8):
    """What fits on these rows of the data have computed, as text."""
    classifier = LSTMClassifier(**QUICK, class_weight="balanced")
    regressor = LSTMRegressor(**QUICK, early_stopping=True, dropout=0.3, verbose=1)
    online = LSTMRegressor(hidden_size=4, random_state=0)
    before, options = regressor.get_params(), {"engine": engine, "n_partitions": n_partitions}
    fit(classifier, X[rows], LABELS[rows], (np.arange(N) % 3)[rows], **options)
    assert fit(regressor, X[rows], Y[rows], **options) is regressor
    assert regressor.get_params() == before
    for _ in range(2):
        partial_fit(online, X[rows], Y[rows], **options)
    return " ".join(map(digest, (classifier, regressor, online)))


def digest(model):
    arrays = [*model.weights_.values(), np.array(model.loss_curve_)]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:12]


if __name__ == "__main__":
    how, n_partitions = sys.argv[1], int(sys.argv[2])
    from mpi4py import MPI

    rank, size = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size
    if how == "error":

        def load(number):
            if rank == size - 1:
                raise OSError(f"no data for {number}")
            return X, Y

        fit(LSTMRegressor(**QUICK), [0], load=load, engine=Mpi())
    if how == "differing":
        fit(LSTMRegressor(**{**QUICK, "max_iter": 2 + rank}), X, Y, engine=Mpi())
    rows = slice(0 if rank == 1 else N, N) if how == "uneven" else slice(N * rank // size, N * (rank + 1) // size)
    for engine in (Mpi(MPI.COMM_WORLD), Local(1)) if how == "alone" else (Mpi(),):
        print("bits " + digests(engine, rows, n_partitions) + "\n", end="", flush=True)
