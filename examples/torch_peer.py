"""Training time of PyTorch for the same network, batch size, number of epochs and solver as a fitted estimator."""

import time

import numpy as np
import torch


def training_seconds(model, X, y):
    """Duration in seconds of a plain PyTorch training loop on one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    X = torch.from_numpy(np.asarray(X, np.float32).reshape(len(X), np.shape(X)[1], -1))
    if hasattr(model, "classes_"):
        y, loss = torch.from_numpy(np.searchsorted(model.classes_, y)), torch.nn.functional.cross_entropy
    else:
        y, loss = torch.from_numpy(np.asarray(y, np.float32))[:, None], torch.nn.functional.mse_loss
    lstm = torch.nn.LSTM(X.shape[2], model.hidden_size, batch_first=True)
    head = torch.nn.Linear(model.hidden_size, model.n_outputs_)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimiser = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[model.solver](
        parameters, model.settings_["learning_rate_init"]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, model.n_iter_)

    start = time.perf_counter()
    for _ in range(model.n_iter_):
        for rows in torch.randperm(len(X)).split(model.settings_["batch_size"]):
            optimiser.zero_grad()
            loss(head(lstm(X[rows])[0][:, -1]), y[rows]).backward()
            torch.nn.utils.clip_grad_norm_(parameters, model.clip_norm)
            optimiser.step()
        schedule.step()
    return time.perf_counter() - start
