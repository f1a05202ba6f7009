"""Ten training steps of Adam on LSTM and head equal PyTorch's."""

from pathlib import Path

import numpy as np
from helpers import needs_torch
from numpy.testing import assert_allclose

from fastlstm import sequences
from fastlstm.stacks import Stack
from fastlstm.training.examples import Examples
from fastlstm.training.loop import Training
from fastlstm.training.losses import Loss
from fastlstm.training.network import Network
from fastlstm.training.progress import Settings

ADAM = Settings(
    loss=Loss("squared_error"),
    solver="adam",
    alpha=0.0,
    batch_size=10,
    learning_rate="constant",
    learning_rate_init=0.01,
    max_iter=10,
    clip_norm=None,
    shuffle=False,
    momentum=0.9,
    nesterovs_momentum=True,
    tol=0.0,
    n_iter_no_change=100,
    early_stopping=False,
)


def assert_steps_equal(case, backend):
    names = [name.removeprefix("first_") for name in case if name.startswith("first_")]
    weights = {name: case[f"first_{name}"] for name in names}
    stack = Stack("lstm", case["x"].shape[2], (weights["weight_hh_l0"].shape[1],))
    network = Network(stack, weights, np.dtype("float64"), backend)
    examples = Examples(sequences.of_array(case["x"]), case["y"], np.ones((len(case["y"]), 1)))
    training = Training(network, ADAM, examples, seed=0)
    for _ in training.run():
        pass
    assert_allclose(training.progress.loss_curve, case["losses"], rtol=1e-6, atol=0)
    for name in names:
        assert_allclose(network.weights[name], case[f"last_{name}"], rtol=0, atol=1e-6, err_msg=name)


def test_ten_steps_are_those_of_golden_torch(backend):
    assert_steps_equal(dict(np.load(Path(__file__).parent / "golden" / "adam.npz")), backend)


@needs_torch
def test_ten_steps_are_those_of_installed_torch(backend):
    from torch_peer import adam_case

    assert_steps_equal(adam_case(), backend)
