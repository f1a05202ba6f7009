"""What the examples of `fastlstm.inspection` claim."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import one_step_by_hand
import remember_forget
import vanishing_gradient

#: Numbers of the step worked by hand, to three decimals.
FORWARD = {
    "f": [0.505, 0.702],
    "i": [0.508, 0.4],
    "g": [-0.391, 0.646],
    "o": [0.401, 0.634],
    "h": [0.119, 0.16],
    "p": [0.305, 0.337, 0.358],
}
BACKWARD = {
    "scores": [[0.011, 0.109, 0.168]],
    "d_scores": [[0.305, -0.663, 0.358]],
    "dW_y": [[0.036, 0.049], [-0.079, -0.106], [0.043, 0.057]],
}
#: Gradients by the weights of x, which has a single 1; all others are 0.
D_WEIGHTS = {"dW_o": [0.009, -0.009], "dW_f": [0.012, 0], "dW_i": [-0.005, -0.014], "dW_g": [0.02, -0.021]}


def test_one_step_has_the_numbers_worked_by_hand():
    result = one_step_by_hand.run()
    for name, values in FORWARD.items():
        assert_allclose(result["forward"][name], values, atol=1.1e-3, err_msg=name)
    for name, values in BACKWARD.items():
        assert_allclose(result["backward"][name], values, atol=1.1e-3, err_msg=name)
    for name, values in D_WEIGHTS.items():
        expected = np.zeros((2, 5))
        expected[:, 2] = values
        assert_allclose(result["backward"][name], expected, atol=1.1e-3, err_msg=name)
    assert_allclose(result["backward"]["loss"], -np.log(result["forward"]["p"][1]), rtol=1e-12)


def test_an_update_lowers_the_loss_and_losses_of_two_steps_add_up():
    result = one_step_by_hand.run()
    assert result["loss after"] < result["backward"]["loss"]
    assert_allclose(result["two steps"]["loss"], sum(result["single steps"]), rtol=1e-12)
    assert np.abs(result["two steps"]["dW_f"][:, :2]).min() > 0


def test_the_numbers_of_one_step_follow_from_each_other():
    """The equations beside the numbers, in NumPy."""
    result = one_step_by_hand.run()
    i, f, g, o, c = (result["forward"][name] for name in "ifgoc")
    backward, h_and_x = result["backward"], np.array([0, 0, 1, 0, 0])
    dh, dc = backward["dh"], backward["dc"]
    d_sums = {
        "o": dh * np.tanh(c) * o * (1 - o),
        "f": dc * one_step_by_hand.C_BEFORE * f * (1 - f),
        "i": dc * g * i * (1 - i),
        "g": dc * i * (1 - g**2),
    }
    for gate, d_sum in d_sums.items():
        assert_allclose(backward[f"dz_{gate}"], d_sum, rtol=1e-12, atol=1e-15)
        assert_allclose(backward[f"dW_{gate}"], np.outer(d_sum, h_and_x), rtol=1e-12, atol=1e-15)
        expected = one_step_by_hand.WEIGHTS[gate] - 0.1 * np.outer(d_sum, h_and_x)
        assert_allclose(result["updated"][gate], expected, rtol=1e-12)


def test_one_step_is_printed(capsys):
    one_step_by_hand.main()
    printed = capsys.readouterr().out
    for start in (
        "W_f                                      [[ 0.8130 -0.4870  0.0200 -0.7780  0.4180]",
        "f = sigmoid(W_f [h', x])                 [0.5050 0.7018]",
        "dL/dW_y = (p - y) h^T                    [[ 0.0364  0.0489]",
        "dc = dh * o (1 - tanh(c)^2)              [",
        "dz_f = dc * c' f (1 - f)                 [",
        "dL/dW_f = dz_f [h', x]^T                 [[",
    ):
        assert f"\n  {start}" in printed
    assert printed.count("\n  W_f ") == 2  # before and after


@pytest.mark.slow
def test_a_unit_holds_forgets_and_does_not_care():
    result = remember_forget.run()
    assert result["accuracy"] == 1
    gates = result["gates"]
    assert gates["forget gate while holding"] > 0.95
    assert gates["forget gate at a reset"] < 0.05
    assert gates["input gate at a set"] > 0.9
    assert gates["input gate at a distractor"] < 0.05
    assert gates["output gate where a pulse asks"] > 0.5
    assert gates["output gate where none asks"] < 0.05
    weights = result["model"].weights_
    assert weights["weight_ih_l0"][2, 3] < 0  # the value's in the candidate
    assert weights["head.weight"] < 0


def test_the_flip_flop_is_shown_where_it_holds_a_value_longest():
    pulses = np.array([[0, 3, 3, 1, 3], [0, 3, 0, 1, 3], [0, 3, 3, 3, 3]])
    held = np.array([[0, 1, 1, 1, 0], [0, 1, 1, -1, 0], [0, 1, 1, 1, 1]])
    assert remember_forget.longest_hold(pulses, held) == 0


@pytest.mark.slow
def test_the_gradient_of_gated_cells_survives_200_steps_and_that_of_an_rnn_does_not():
    left = {label: vanishing_gradient.carried(flow)[-1] for label, flow in vanishing_gradient.flows().items()}
    assert left["RNN"] < 1e-9
    assert min(left["GRU"], left["LSTM"]) > 0.1
    assert 0.5 < left["GRU"] / left["LSTM"] < 2
    assert left['GRU, init="standard"'] < left["RNN"] < left['LSTM, init="standard"'] < 1e-3


@pytest.mark.slow
def test_gated_cells_learn_lags_that_an_rnn_does_not():
    scores = vanishing_gradient.accuracies()
    assert scores["RNN"][0] > 0.95
    assert max(scores["RNN"][1:]) < 0.4
    assert min(scores["GRU"] + scores["LSTM"]) > 0.95


@pytest.mark.slow
def test_pictures_are_written(tmp_path, capsys):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    remember_forget.main(tmp_path)
    (half_life,) = re.findall(r"half-life .* (\d+) steps", capsys.readouterr().out)
    assert 200 < int(half_life) < 1000
    flow_of = vanishing_gradient.flows()
    vanishing_gradient.picture(flow_of, {label: [1.0] * 4 for label in vanishing_gradient.MODELS}).savefig(
        tmp_path / "vanishing_gradient.png"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["remember_forget.png", "vanishing_gradient.png"]
