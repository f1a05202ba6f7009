"""An epoch of `fit` beside a plain PyTorch loop: the same model, batches, loss, optimiser and clipping."""

import numpy as np
import pytest
from conftest import SHAPES, step_flops, torch

from fastlstm import LSTMRegressor


def torch_epoch(N, C, H, X, y):
    """A function that trains for one epoch, as one would write it by hand."""
    lstm, head = torch.nn.LSTM(C, H, batch_first=True), torch.nn.Linear(H, 1)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-3)
    X, y = torch.from_numpy(X), torch.from_numpy(y)[:, None]

    def epoch():
        for rows in torch.randperm(len(X)).split(N):
            optimiser.zero_grad()
            loss = 0.5 * torch.nn.functional.mse_loss(head(lstm(X[rows])[0][:, -1]), y[rows])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            loss.item()

    return epoch


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_epoch(side_by_side, shape):
    N, T, C, H = shape
    flops = step_flops(*shape)[1]
    batches = 20 if flops < 1e9 else 2
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batches * N, T, C), dtype=np.float32)
    y = rng.standard_normal(batches * N, dtype=np.float32)
    model = LSTMRegressor(H, batch_size=N, random_state=0)
    peer = torch_epoch(N, C, H, X, y) if torch else None
    side_by_side("epoch", shape, batches * flops, lambda: model.partial_fit(X, y), peer)
