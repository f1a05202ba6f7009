import numpy as np

from fastlstm import LSTMRegressor

X = np.lib.format.open_memmap("series.npy", "w+", "float32", (4000, 50, 4))  # or larger than memory
for block in np.split(X, 8):
    block[:] = np.random.default_rng(0).normal(size=block.shape)
y = X[:, -5:, 0].mean(axis=1)
model = LSTMRegressor(32, max_iter=3, random_state=0, verbose=1)
model.fit(X, y)  # reads the series of a minibatch when they are needed; also from HDF5, Zarr and Parquet
print(model.score(X, y))
