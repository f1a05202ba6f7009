"""The peers, each set up as README.md says. Where one is not installed, its functions return None.

A function here prepares everything and returns what is timed: a function without arguments. That one returns the last
hidden state or the gradient of the last recurrent weights, so that it can be checked to compute what ours does.
"""

import contextlib
import time
from functools import partial

import numpy as np

try:
    import torch
except ImportError:
    torch = None
try:
    import onnx
    import onnxruntime
except ImportError:
    onnxruntime = None
try:
    import skorch
except ImportError:  # also where torch is not there
    skorch = None


def last_recurrent(weights):
    """The name of the recurrent weights whose gradient is checked: of both directions, the backward one's."""
    return [name for name in weights if name.startswith("weight_hh")][-1]


def torch_layer(weights, kind="LSTM"):
    """torch's module of that name with our weights; time-major, which is its faster layout."""
    H, C = weights["weight_hh_l0"].shape[1], weights["weight_ih_l0"].shape[1]
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    both_ways = "weight_hh_l0_reverse" in weights
    layer = getattr(torch.nn, kind)(C, H, bidirectional=both_ways, dtype=tensors["weight_hh_l0"].dtype)
    layer.load_state_dict(tensors)
    return layer


def time_major(x):
    """(N, T, ...) as a contiguous (T, N, ...)."""
    return np.ascontiguousarray(x.swapaxes(0, 1))


def torch_inference(weights, x, precision="float32"):
    """`precision`: of all numbers, or "autocast" for what torch converts to bfloat16 by itself."""
    if torch is None:
        return None
    lstm, x = of_precision(precision, torch_layer(weights), torch.from_numpy(time_major(x)))
    context = forward_context(precision)

    def infer():
        with torch.inference_mode(), context():
            _, (h_n, _) = lstm(x)
        return h_n

    return infer


def of_precision(precision, *converted):
    """Modules and tensors as bfloat16 if that is the precision; otherwise unchanged."""
    return [each.bfloat16() for each in converted] if precision == "bfloat16" else converted


def forward_context(precision):
    """What the forward pass runs in: not a disabled autocast, which would cost torch's float32 microseconds."""
    return partial(torch.autocast, "cpu", torch.bfloat16) if precision == "autocast" else contextlib.nullcontext


def torch_training(weights, x, d_output, kind="LSTM", precision="float32"):
    """Forward and backward; x needs no gradient. None also where torch has no such module."""
    if torch is None or not hasattr(torch.nn, kind):
        return None
    layer, x = of_precision(precision, torch_layer(weights, kind), torch.from_numpy(time_major(x)))
    d_output = torch.from_numpy(time_major(d_output))
    if precision != "float32":
        d_output = d_output.bfloat16()  # as the output is
    checked, context = last_recurrent(weights), forward_context(precision)

    def step():
        layer.zero_grad(set_to_none=True)
        with context():
            output, _ = layer(x)
        output.backward(d_output)
        return getattr(layer, checked).grad

    return step


def torch_packed_training(weights, x, lengths, d_output):
    """The same by `pack_padded_sequence`; the output stays packed, which saves torch some work."""
    if torch is None:
        return None
    lstm, lengths = torch_layer(weights), torch.from_numpy(lengths)
    x, d_output = torch.from_numpy(time_major(x)), torch.from_numpy(time_major(d_output))
    pack = torch.nn.utils.rnn.pack_padded_sequence
    d_packed = pack(d_output, lengths, enforce_sorted=False).data

    def step():
        lstm.zero_grad(set_to_none=True)
        output, _ = lstm(pack(x, lengths, enforce_sorted=False))
        output.data.backward(d_packed)
        return lstm.weight_hh_l0.grad

    return step


def torch_stream(weights, x, calls):
    """`calls` steps of one stream, one call each, by torch.nn.LSTM with T=1."""
    if torch is None:
        return None
    lstm, x = torch_layer(weights), torch.from_numpy(x)[None]

    def run():
        nonlocal state
        with torch.inference_mode():
            for _ in range(calls):
                _, state = lstm(x, state)
        return state[0][0]

    state = torch.zeros(2, 1, 1, lstm.hidden_size).unbind()
    return run


def torch_cell_stream(weights, x, calls):
    """The same by torch.nn.LSTMCell."""
    if torch is None:
        return None
    lstm, x = torch_layer(weights), torch.from_numpy(x)
    cell = torch.nn.LSTMCell(lstm.input_size, lstm.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in lstm.state_dict().items()})

    def run():
        nonlocal state
        with torch.inference_mode():
            for _ in range(calls):
                state = cell(x, state)
        return state[0]

    state = torch.zeros(2, 1, lstm.hidden_size).unbind()
    return run


def onnx_inference(weights, x, threads):
    """One ONNX LSTM node, time-major."""
    if onnxruntime is None:
        return None
    H, C = weights["weight_hh_l0"].shape[1], weights["weight_ih_l0"].shape[1]

    def gates(name):
        i, f, g, o = np.split(weights[name], 4)
        return np.concatenate([i, o, f, g])  # ONNX calls g "c" and stores i, o, f, c

    bias = np.concatenate([gates("bias_ih_l0"), gates("bias_hh_l0")])
    constants = {"W": gates("weight_ih_l0"), "R": gates("weight_hh_l0"), "B": bias}
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", "W", "R", "B"], ["output", "h_n"], hidden_size=H)],
        "lstm",
        [helper.make_tensor_value_info("x", number, ["T", "N", C])],
        [
            helper.make_tensor_value_info("output", number, ["T", 1, "N", H]),
            helper.make_tensor_value_info("h_n", number, [1, "N", H]),
        ],
        [onnx.numpy_helper.from_array(value[None], name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = {"x": time_major(x)}
    return lambda: session.run(None, inputs)[1]


if torch:

    class Regressor(torch.nn.Module):
        """The model of LSTMRegressor: a linear head on the last hidden state."""

        def __init__(self, C, H):
            super().__init__()
            self.lstm, self.head = torch.nn.LSTM(C, H, batch_first=True), torch.nn.Linear(H, 1)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])


def torch_epoch(X, y, H, batch_size, vocabulary=None):
    """An epoch as one would write it by hand; `vocabulary`: numbers of symbols and of their vectors' elements."""
    if torch is None:
        return None
    model = (
        Regressor(X.shape[2], H)
        if vocabulary is None
        else torch.nn.Sequential(torch.nn.Embedding(*vocabulary), Regressor(vocabulary[1], H))
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    X, y = torch.from_numpy(X), torch.from_numpy(y)[:, None]

    def epoch():
        for rows in torch.randperm(len(X)).split(batch_size):
            optimiser.zero_grad()
            loss = 0.5 * torch.nn.functional.mse_loss(model(X[rows]), y[rows])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            loss.item()

    return epoch


def skorch_epoch(X, y, H, batch_size):
    """An epoch of skorch's regressor, without validation and the callbacks that print, time and score it."""
    if skorch is None:
        return None
    model = skorch.NeuralNetRegressor(
        Regressor,
        module__C=X.shape[2],
        module__H=H,
        criterion=torch.nn.MSELoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=batch_size,
        max_epochs=1,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
        callbacks=[("clip", skorch.callbacks.GradientNormClipping(1.0))],
        callbacks__epoch_timer=None,
        callbacks__valid_loss=None,
        callbacks__print_log=None,
    )
    X, y = torch.from_numpy(X), torch.from_numpy(y)[:, None]

    def epoch():
        model.partial_fit(X, y)

    return epoch


def torch_training_seconds(model, X, y, threads, budget):
    """The time of the training that `model` had, in torch: same network, batches, epochs, solver and clipping.

    Of a training that takes longer than `budget` seconds only the first batches are run. Returns the seconds of all
    batches and the part of them that was run; None without torch.
    """
    if torch is None:
        return None
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    X = [torch.from_numpy(np.asarray(series, np.float32)) for series in X]
    lengths = torch.tensor([len(series) for series in X])
    X, packed = torch.nn.utils.rnn.pad_sequence(X, batch_first=True), len(lengths.unique()) > 1
    losses, classifies = torch.nn.functional, hasattr(model, "classes_")
    y = torch.from_numpy(np.searchsorted(model.classes_, y) if classifies else np.asarray(y, np.float32)[:, None])
    of_classes = getattr(model, "class_weight", None)
    weight = of_classes and torch.tensor([of_classes.get(label, 1.0) for label in model.classes_])
    layers = getattr(torch.nn, model.cell.upper())(
        X.shape[2], model.hidden_size, model.num_layers, bidirectional=model.bidirectional, batch_first=True
    )
    head = torch.nn.Linear(model.hidden_size * (1 + model.bidirectional), model.n_outputs_)
    parameters = [*layers.parameters(), *head.parameters()]
    solver = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[model.solver]
    optimiser = solver(parameters, model.settings_["learning_rate_init"], weight_decay=model.alpha)

    def scores(rows):
        batch = X[rows]
        if packed:
            batch = torch.nn.utils.rnn.pack_padded_sequence(batch, lengths[rows], True, enforce_sorted=False)
        output, state = layers(batch)
        if model.return_sequences:
            return head(output).flatten(0, 1)
        h_n = state[0] if model.cell == "lstm" else state
        return head(torch.cat(list(h_n[-2:] if model.bidirectional else h_n[-1:]), 1))

    def train(rows):
        optimiser.zero_grad()
        out, targets = scores(rows), y[rows].flatten(0, 1) if model.return_sequences else y[rows]
        loss = losses.cross_entropy(out, targets, weight) if classifies else 0.5 * losses.mse_loss(out, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, model.clip_norm)
        optimiser.step()
        loss.item()

    train(torch.arange(model.settings_["batch_size"]))  # sets torch up
    total, done, start = model.n_iter_ * -(-len(X) // model.settings_["batch_size"]), 0, time.perf_counter()
    while done < total:
        for rows in torch.randperm(len(X)).split(model.settings_["batch_size"]):
            train(rows)
            done += 1
            if time.perf_counter() - start > budget:
                return (time.perf_counter() - start) * total / done, done / total
    return time.perf_counter() - start, 1.0
