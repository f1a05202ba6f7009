"""The layer beside torch.nn.LSTM: inference, and a training step (forward and backward, no input gradient)."""

import numpy as np
import pytest
from conftest import SHAPES, step_flops, torch

from fastlstm.kernels.workspace import Workspace
from fastlstm.layers import LSTM


def both(N, T, C, H):
    """Our layer and torch's with the same weights (torch's None where it is not installed), and inputs."""
    rng = np.random.default_rng(0)
    x, d_output = (rng.standard_normal((T, N, size), dtype=np.float32) for size in (C, H))
    layer = LSTM(C, H, random_state=0)
    theirs = None
    if torch:
        theirs = torch.nn.LSTM(C, H)
        theirs.load_state_dict({name: torch.from_numpy(value) for name, value in layer.state_dict().items()})
    return layer, theirs, x, d_output


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_inference(side_by_side, shape):
    layer, theirs, x, _ = both(*shape)
    batch_first = x.transpose(1, 0, 2)
    peer = None
    if theirs:
        x_theirs = torch.from_numpy(x)

        def peer():
            with torch.inference_mode():
                theirs(x_theirs)

    side_by_side("inference", shape, step_flops(*shape)[0], lambda: layer(batch_first), peer)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training_step(side_by_side, shape):
    layer, theirs, x, d_output = both(*shape)
    kernels, weights, workspace = layer._kernels, tuple(layer._weights.values()), Workspace()
    d_weights = tuple(np.empty_like(weight) for weight in weights)

    def ours():
        _, _, tape = kernels.record(x, weights, None, workspace)
        kernels.backward(tape, weights, d_output, None, d_weights, workspace, False, False)

    peer = None
    if theirs:
        x_theirs, d_theirs = torch.from_numpy(x), torch.from_numpy(d_output)

        def peer():
            theirs.zero_grad(set_to_none=True)
            theirs(x_theirs)[0].backward(d_theirs)

    side_by_side("training", shape, step_flops(*shape)[1], ours, peer)
