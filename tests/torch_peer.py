"""PyTorch's answers, as arrays: what golden files hold, and what tests compare with where torch is installed."""

import numpy as np
import torch

#: N, T, C, H: one of everything, odd sizes, one more than a vector's width.
SHAPES = [(1, 1, 1, 1), (3, 5, 4, 17), (2, 7, 3, 8), (7, 3, 9, 33)]


def lstm_case(N, T, C, H, dtype="float64"):
    """Inputs, and torch.nn.LSTM's outputs and gradients for them."""
    torch.manual_seed(N + 10 * T + 100 * C + 1000 * H)
    kind = getattr(torch, dtype)
    lstm = torch.nn.LSTM(C, H, batch_first=True, dtype=kind)
    x = torch.randn(N, T, C, dtype=kind, requires_grad=True)
    state = [torch.randn(1, N, H, dtype=kind, requires_grad=True) for _ in range(2)]
    d_output = torch.randn(N, T, H, dtype=kind)
    d_state = [torch.randn(1, N, H, dtype=kind) for _ in range(2)]
    output, state_n = lstm(x, tuple(state))
    torch.autograd.backward([output, *state_n], [d_output, *d_state])
    case = {"x": x, "h_0": state[0], "c_0": state[1], "d_output": d_output, "d_h_n": d_state[0], "d_c_n": d_state[1]}
    case |= {"output": output, "h_n": state_n[0], "c_n": state_n[1]}
    case |= {"d_x": x.grad, "d_h_0": state[0].grad, "d_c_0": state[1].grad}
    case |= dict(lstm.named_parameters())
    case |= {f"d_{name}": weight.grad for name, weight in lstm.named_parameters()}
    return {name: value.detach().numpy() for name, value in case.items()}


def adam_case(steps=10, N=6, T=5, C=3, H=8, K=2, rate=0.01):
    """Ten steps of torch.optim.Adam on an LSTM with a linear head: first and last weights, and the losses."""
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(C, H, batch_first=True, dtype=torch.float64)
    head = torch.nn.Linear(H, K, dtype=torch.float64)
    named = dict(lstm.named_parameters()) | {"head.weight": head.weight, "head.bias": head.bias}
    x, y = torch.randn(N, T, C, dtype=torch.float64), torch.randn(N, K, dtype=torch.float64)
    optimiser = torch.optim.Adam(named.values(), lr=rate)
    case = {f"first_{name}": weight.detach().numpy().copy() for name, weight in named.items()}
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = 0.5 * torch.nn.functional.mse_loss(head(lstm(x)[0][:, -1]), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    case |= {f"last_{name}": weight.detach().numpy() for name, weight in named.items()}
    return case | {"x": x.numpy(), "y": y.numpy(), "losses": np.array(losses), "rate": np.array(rate)}
