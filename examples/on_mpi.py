# mpiexec -n 2 python -m mpi4py on_mpi.py
import numpy as np
from mpi4py import MPI

from fastlstm import LSTMRegressor
from fastlstm.distributed import Mpi, fit

rng = np.random.default_rng(MPI.COMM_WORLD.rank)
X = rng.normal(size=(2000, 50, 4))  # the series of this process
y = X[:, -5:, 0].mean(axis=1)
model = fit(LSTMRegressor(32, max_iter=3, random_state=0, verbose=1), X, y, engine=Mpi())
print(model.score(X, y))
