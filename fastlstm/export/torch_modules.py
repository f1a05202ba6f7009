"""Modules of PyTorch that compute what fitted models do; imported only once an export asks for them.

Their parameters have the names of `weights_`, those of the recurrent layers after ``rnn.``.
"""

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from fastlstm.stacks import KINDS


def tensor(array):
    return torch.tensor(array)  # a copy: weights stay with their owner


def recurrent(stack, weights):
    """PyTorch's module of a stack, or `Layers` where PyTorch has none."""
    dtype = tensor(weights["bias_ih_l0"]).dtype
    if stack.is_uniform and stack.cell in ("lstm", "gru", "rnn"):
        module = of_torch(stack.cell, stack.input_size, stack.hidden_sizes[0], stack, len(stack.hidden_sizes), dtype)
    else:
        module = Layers(stack, dtype)
    module.load_state_dict({name: tensor(weights[name]) for name in stack.shapes})
    return module


def of_torch(cell, C, H, stack, num_layers=1, dtype=None, device=None):
    kind = getattr(torch.nn, {"cifg": "LSTM"}.get(cell, cell.upper()))
    options = {"num_layers": num_layers, "bidirectional": stack.bidirectional, "batch_first": True}
    return kind(C, H, **options, dtype=dtype, device=device)


class Layers(torch.nn.Module):
    """Stacked layers of different sizes or of CIFG cells, called as ``torch.nn.LSTM(batch_first=True)``.

    Each layer is run by one of PyTorch's modules. A CIFG's is an LSTM whose input gate has the weights of the forget
    gate with the opposite sign, since 1 - sigmoid(a) = sigmoid(-a). If sizes differ, states are tuples with one tensor
    (D, N, H) per layer.
    """

    def __init__(self, stack, dtype):
        super().__init__()
        self.stack = stack
        for name, shape in stack.shapes.items():
            self.register_parameter(name, torch.nn.Parameter(torch.empty(shape, dtype=dtype)))
        # modules in a tuple are not registered, and those of the device "meta" have no weights of their own
        self._modules_of_torch = tuple(
            of_torch(stack.cell, place.C, place.H, stack, device="meta") for place, *_ in stack.layers
        )

    def forward(self, x, state=None):
        states, names = [], self.stack.states
        befores = [None] * len(self.stack.layers) if state is None else self._by_layer(state)
        for layer, (module, before) in enumerate(zip(self._modules_of_torch, befores, strict=True)):
            x, after = torch.func.functional_call(module, self._weights(layer), (x, before))
            states.append(after if len(names) == 2 else (after,))
        join = torch.cat if self.stack.is_uniform else tuple
        states = tuple(join(of_kind) for of_kind in zip(*states, strict=True))
        return x, states if len(names) == 2 else states[0]

    def _weights(self, layer):
        """Weights of a layer, by their names in PyTorch's module."""
        weights = {}
        for place, suffix in zip(self.stack.layers[layer], ("_l0", "_l0_reverse"), strict=False):
            for kind in KINDS:
                weight = getattr(self, kind + place.suffix)
                if self.stack.cell == "cifg":
                    weight = torch.cat([-weight[: place.H], weight])
                weights[kind + suffix] = weight
        return weights

    def _by_layer(self, state):
        kinds = state if len(self.stack.states) == 2 else (state,)
        kinds = [of.split(self.stack.directions) if torch.is_tensor(of) else of for of in kinds]
        return [of_layer if len(kinds) == 2 else of_layer[0] for of_layer in zip(*kinds, strict=True)]


class Standardization(torch.nn.Module):
    """(x - mean) / scale, in float64 as means may be large; constants, which are not in the state dict."""

    def __init__(self, scaling):
        super().__init__()
        self.register_buffer("mean", tensor(scaling.mean), persistent=False)
        self.register_buffer("scale", tensor(scaling.scale), persistent=False)

    def forward(self, x):
        return (x - self.mean) / self.scale

    def undo(self, x):
        return x * self.scale + self.mean


class Symbols(torch.nn.ModuleList):
    """Replaces codes among the channels, as `Embedding` describes."""

    def __init__(self, embedding, weights):
        super().__init__()
        self.embedding = embedding
        for name in embedding.shapes:
            self.append(torch.nn.Embedding.from_pretrained(tensor(weights[name]), freeze=False))

    def forward(self, x, codes):
        """x: inputs (N, T, C) of which the codes are left out; codes: x itself before it was standardised."""
        own = self.embedding
        numbers = [channel for channel in range(own.channels) if channel not in own.columns]
        codes = [codes[..., column].long() for column in own.columns]
        if own.width is None:
            vectors = [torch.nn.functional.one_hot(*of).to(x.dtype) for of in zip(codes, own.sizes, strict=True)]
        else:
            vectors = [table(of) for table, of in zip(self, codes, strict=True)]
        return torch.cat([x[..., numbers], *vectors], dim=-1)


def with_mask(x):
    """x with NaN replaced by the last observed value, or 0 before the first, and with an indicator for each channel."""
    missing = x.isnan()
    steps = torch.arange(x.shape[1], device=x.device)[:, None]
    last = torch.where(missing, -1, steps).cummax(dim=1).values
    filled = torch.where(last >= 0, x.gather(1, last.clamp(min=0)), 0)
    return torch.cat([filled, missing.to(x.dtype)], dim=-1)


class FittedModule(torch.nn.Module):
    """Recurrent layers and a linear head, with what a fitted estimator does before and after them.

    Parameters
    ----------
    model : Model
    with_head : bool
        Whether to apply the head; without it, outputs are the last hidden states.

    Examples
    --------
    >>> import torch
    >>> from fastlstm import LSTMRegressor, to_torch
    >>> module = to_torch(LSTMRegressor(8, max_iter=2, learning_rate="cosine").fit([[0, 1], [1, 0]], [2, 1]))
    >>> module(torch.zeros(2, 5, 1)).shape
    torch.Size([2])
    """

    def __init__(self, model, with_head=True):
        super().__init__()
        self.per_step, self.masked = model.per_step and with_head, model.masked
        self.channels = model.embedding.channels if model.embedding else model.stack.input_size // (1 + model.masked)
        self.stack = model.stack
        self.standardization = Standardization(model.scaling) if model.scaling else None
        self.embedding = Symbols(model.embedding, model.weights) if model.embedding else None
        self.rnn = recurrent(model.stack, model.weights)
        self.head = self.activation = self.target_standardization = None
        self.flat = False
        if not with_head:
            return
        self.head = torch.nn.Linear(model.stack.width, model.n_scores, dtype=self.rnn.bias_ih_l0.dtype)
        self.head.load_state_dict({name: tensor(model.weights[f"head.{name}"]) for name in ("weight", "bias")})
        if not model.loss.is_distribution:
            self.activation = {"tanh": torch.nn.Tanh(), "logistic": torch.nn.Sigmoid()}.get(model.loss.activation)
            self.target_standardization = Standardization(model.target_scaling) if model.target_scaling else None
            self.flat = getattr(model.output, "flat", False)

    def forward(self, x, lengths=None):
        """Outputs for series x (N, T, C), of the given lengths (N,) or of T steps."""
        x = torch.as_tensor(x)
        if x.dim() != 3 or x.shape[2] != self.channels:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (N, T, C): series, steps and C={self.channels} channels."
            )
        dtype, given = self.rnn.bias_ih_l0.dtype, x
        if self.standardization is not None:
            x = self.standardization(x)
        x = x.to(dtype)
        if self.embedding is not None:
            x = self.embedding(x, given)
        if self.masked:
            x = with_mask(x)
        outputs = self._features(x, lengths)
        if self.head is None:
            return outputs
        outputs = self.head(outputs)
        if self.activation is not None:
            outputs = self.activation(outputs)
        if self.target_standardization is not None:
            outputs = self.target_standardization.undo(outputs).to(dtype)
        return outputs[..., 0] if self.flat else outputs

    def _features(self, x, lengths):
        """What the head reads: outputs (N, T, D H), or last states (N, D H) of the last layer."""
        T = x.shape[1]
        if lengths is not None:
            lengths = torch.as_tensor(lengths).cpu()
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, state = self.rnn(x)
        if self.per_step:
            if isinstance(outputs, PackedSequence):
                outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=T)
            return outputs
        h = state[0] if len(self.stack.states) == 2 else state
        last = h[-1] if isinstance(h, tuple) else h[-self.stack.directions :]
        return last.transpose(0, 1).flatten(1)
