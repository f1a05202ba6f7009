"""PyTorch's answers, as arrays: what golden files hold, and what tests compare with where torch is installed."""

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from fastlstm.kernels import CELLS

#: N, T, C, H: one of everything, odd sizes, one more than a vector's width.
SHAPES = [(1, 1, 1, 1), (3, 5, 4, 17), (2, 7, 3, 8), (7, 3, 9, 33)]
#: Two layers in both directions, and sequences of unequal lengths.
STACKED = {"N": 5, "T": 6, "C": 3, "H": 7, "num_layers": 2, "bidirectional": True, "lengths": (2, 6, 1, 6, 5)}


class CIFG(torch.nn.Module):
    """An LSTM of torch whose input gate is 1 - f = sigmoid(-(W_f [x, 1, h'])): its weights are those of f, negated."""

    def __init__(self, C, H, **options):
        super().__init__()
        lstm = torch.nn.LSTM(C, H, **options)
        for name, weight in lstm.named_parameters():
            self.register_parameter(name, torch.nn.Parameter(weight.detach()[H:]))
        self.call = lambda weights, *args: torch.func.functional_call(lstm, weights, args)

    def forward(self, x, state=None):
        gates = {name: weight.chunk(3) for name, weight in self.named_parameters()}
        return self.call({name: torch.cat([-f, f, g, o]) for name, (f, g, o) in gates.items()}, x, state)


def module_of(cell, *sizes, **options):
    """Torch's layers of that kind."""
    return (CIFG if cell == "cifg" else getattr(torch.nn, cell.upper()))(*sizes, **options)


def results_of(module, x, state, d_output, d_state, lengths=None):
    """Everything that a module of torch computes, as tensors by the names of `all_results`."""
    x, state = x.requires_grad_(), [part.requires_grad_() for part in state]
    inputs = x
    if lengths is not None:
        inputs = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    output, state_n = module(inputs, tuple(state) if len(state) > 1 else state[0])
    if lengths is not None:
        output, _ = pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])
    state_n = (state_n,) if torch.is_tensor(state_n) else state_n
    torch.autograd.backward([output, *state_n], [d_output, *d_state])
    results = {"output": output, "d_x": x.grad}
    for kind, before, after in zip("hc", state, state_n, strict=False):
        results |= {f"{kind}_n": after, f"d_{kind}_0": before.grad}
    return results | {f"d_{name}": weight.grad for name, weight in module.named_parameters()}


def layer_case(cell, N, T, C, H, num_layers=1, bidirectional=False, lengths=None, dtype="float64"):
    """Inputs, and for them the outputs and gradients of torch's layers of that kind."""
    torch.manual_seed(N + 10 * T + 100 * C + 1000 * H)
    kind, D, states = getattr(torch, dtype), 1 + bidirectional, len(CELLS[cell].states)
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "batch_first": True, "dtype": kind}
    module = module_of(cell, C, H, **options)
    x = torch.randn(N, T, C, dtype=kind)
    state = [torch.randn(num_layers * D, N, H, dtype=kind) for _ in range(states)]
    d_output = torch.randn(N, T, D * H, dtype=kind)
    d_state = [torch.randn(num_layers * D, N, H, dtype=kind) for _ in range(states)]
    case = {"x": x, "d_output": d_output} | ({} if lengths is None else {"lengths": torch.tensor(lengths)})
    for name, before, after in zip("hc", state, d_state, strict=False):
        case |= {f"{name}_0": before, f"d_{name}_n": after}
    case |= results_of(module, x, state, d_output, d_state, lengths) | dict(module.named_parameters())
    return {name: value.detach().numpy() for name, value in case.items()}


def results_with_weights_of(layer, x, state, d_output, d_state, lengths=None):
    """What torch's layers with the weights of ours compute in float64."""
    options = {"num_layers": layer.num_layers, "bidirectional": layer.bidirectional, "batch_first": True}
    cell = type(layer).__name__.lower()
    module = module_of(cell, layer.input_size, layer.hidden_size, **options, dtype=torch.float64)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in layer.state_dict().items()})

    def tensors(arrays):
        return [torch.tensor(array, dtype=torch.float64) for array in arrays]

    (x, d_output), state, d_state = tensors([x, d_output]), tensors(state), tensors(d_state)
    results = results_of(module, x, state, d_output, d_state, lengths)
    return {name: value.detach().numpy() for name, value in results.items()}


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
