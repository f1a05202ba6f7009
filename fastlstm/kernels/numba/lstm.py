"""LSTM in Numba.

Hochreiter & Schmidhuber (1997), with the forget gate of Gers, Schmidhuber & Cummins (2000)::

    i = sigmoid(W_i [x, 1, h'])      c = f * c' + i * g
    f = sigmoid(W_f [x, 1, h'])      h = o * tanh(c)
    g = tanh(W_g [x, 1, h'])
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
    i, f = sigmoid(load(1, 1, sums, 0, 0)), sigmoid(load(1, 1, sums, L, 0))
    g, o = tanh(load(1, 1, sums, 2 * L, 0)), sigmoid(load(1, 1, sums, 3 * L, 0))
    c = fma(f, c_before, i * g)

    store(c, run.c, at.c_after, 0)
    if run.recording:
        store(i, run.gates, at.gate, 0)
        store(f, run.gates, at.gate + P, 0)
        store(g, run.gates, at.gate + 2 * P, 0)
        store(o, run.gates, at.gate + 3 * P, 0)
    return o * tanh(c)


@kernel
def gradients(run, at, dh):
    P = run.P
    i, f = load(1, 1, run.gates, at.gate, 0), load(1, 1, run.gates, at.gate + P, 0)
    g, o = load(1, 1, run.gates, at.gate + 2 * P, 0), load(1, 1, run.gates, at.gate + 3 * P, 0)
    c_before, tanh_c = load(1, 1, run.c, at.c_before, 0), tanh(load(1, 1, run.c, at.c_after, 0))
    dc = fma(dh * o, 1 - tanh_c * tanh_c, load(1, 1, run.dc, at.sequence, 0))

    store(dc * g * i * (1 - i), run.dz, at.gate, 0)
    store(dc * c_before * f * (1 - f), run.dz, at.gate + P, 0)
    store(dc * i * (1 - g * g), run.dz, at.gate + 2 * P, 0)
    store(dh * tanh_c * o * (1 - o), run.dz, at.gate + 3 * P, 0)
    store(dc * f, run.dc, at.sequence, 0)


CELL = cell_of_gates("lstm", 4, state, gradients)
