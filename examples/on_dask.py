import dask.array as da
from distributed import Client

from fastlstm import LSTMRegressor
from fastlstm.distributed import fit, predict

if __name__ == "__main__":
    with Client() as client:  # or Client("scheduler:8786"), whose workers have fastlstm installed
        X = da.random.default_rng(0).normal(size=(4000, 50, 4), chunks=(500, 50, 4))
        y = X[:, -5:, 0].mean(axis=1)
        model = fit(LSTMRegressor(32, max_iter=3, random_state=0, verbose=1), X, y)
        print(abs(predict(model, X) - y).mean().compute())
