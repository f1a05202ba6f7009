"""LSTM with coupled input and forget gates (CIFG) in Numba.

Greff et al. (2017), "LSTM: A Search Space Odyssey", without peepholes::

    f = sigmoid(W_f [x, 1, h'])      c = f * c' + (1 - f) * g
    g = tanh(W_g [x, 1, h'])         h = o * tanh(c)
    o = sigmoid(W_o [x, 1, h'])

h' and c' are the states before the step.
"""

from fastlstm.kernels.numba.activations import sigmoid, tanh
from fastlstm.kernels.numba.gates import cell_of_gates
from fastlstm.kernels.numba.jit import kernel
from fastlstm.kernels.numba.tiles import fma, load, store, width


@kernel
def state(run, at, sums):
    L, P = width(sums), run.P
    c_before = load(1, 1, run.c, at.c_before, 0)
    f, g, o = sigmoid(load(1, 1, sums, 0, 0)), tanh(load(1, 1, sums, L, 0)), sigmoid(load(1, 1, sums, 2 * L, 0))
    c = fma(f, c_before, (1 - f) * g)

    store(c, run.c, at.c_after, 0)
    if run.recording:
        store(f, run.gates, at.gate, 0)
        store(g, run.gates, at.gate + P, 0)
        store(o, run.gates, at.gate + 2 * P, 0)
    return o * tanh(c)


@kernel
def gradients(run, at, dh):
    P = run.P
    f, g = load(1, 1, run.gates, at.gate, 0), load(1, 1, run.gates, at.gate + P, 0)
    o = load(1, 1, run.gates, at.gate + 2 * P, 0)
    c_before, tanh_c = load(1, 1, run.c, at.c_before, 0), tanh(load(1, 1, run.c, at.c_after, 0))
    dc = fma(dh * o, 1 - tanh_c * tanh_c, load(1, 1, run.dc, at.sequence, 0))

    store(dc * (c_before - g) * f * (1 - f), run.dz, at.gate, 0)
    store(dc * (1 - f) * (1 - g * g), run.dz, at.gate + P, 0)
    store(dh * tanh_c * o * (1 - o), run.dz, at.gate + 2 * P, 0)
    store(dc * f, run.dc, at.sequence, 0)


CELL = cell_of_gates("cifg", 3, state, gradients)
