"""Code shared by the compiled backends, which differ only in their entry points.

A backend provides *entries* for each floating-point type, ``entries(dtype)``: an object with compiled functions, and
with classes that hold the arguments shared by many calls of compiled functions. Arrays are flat or [rows, columns];
optional arrays may be None.

``lanes()``: number of elements per vector; ``wait(barrier, size)``: as in the contract.
``operands(n)``: how many multiply-adds, of one factor, two or four, make a sum of n products; see ``csrc/matmul.h``.
``Part(first, last, rank, size, by_units, barrier)``: the part of a thread that computes the sequences `first` to
`last`.
``Packed(cell, C, H, forward, backward, inputs, gradient)``: buffers for a cell's weights, with the methods
``fill(part, weight_ih, weight_hh, bias_ih, bias_hh)`` and ``unpack(part, d_weight_ih, ...)``.
``Run(cell, C, H, starts, buffers)``: for the buffers, see `recurrence.Buffers`. The methods are
``load(part, x, at, state, reverse)``, ``begin(part, state)``, ``copy_outputs(part, reverse, out, column, stride)``,
``look_up(products, which)``, ``forward(part, packed)``, ``step(packed, x, h)`` and
``prepare_backward(dz, dh, panels, d_h, dc, d_seen)``, with dz_factors for bfloat16. The last returns an object with the
methods ``add_gradients(part, reverse, d, column, stride, accumulate)``, ``backward(part, packed, to_start)``,
``weight_gradient(part, packed, accumulate)``, ``add_rows(first, last, d_products)`` and
``input_gradient(part, packed, d_x)``.
``Linear(weight, bias)``: a layer of one or two outputs, with the methods ``forward(first, last, features, scores)``,
``differentiate(loss, first, last, features, d_scores, d_features)`` and
``backward(first, last, d_scores, d_features)``.
``Loss(number, K, levels, targets, sample_weight, values)``: the loss of K targets; ``LOSSES`` maps the names of losses
to `number`. The method is ``of_rows(first, last, d_scores)``.
``RollOut(runs, packed, linear, forecast)``: recursive forecasts by stacked layers and the `Linear` layer on them; for a
`Forecast`, see ``kernels/forecast.py``. The method is ``run(part)``.
``Attention(A, W, source, target, arrays)``: for the arrays, see `attention.Arrays`. The methods are
``transpose_memory(first, last)``, ``forward(first, last, scratch)`` and ``backward(first, last, scratch)``; `scratch`
is the number of elements of scratch memory.

The functions are `pack_panels`, `multiply_rows`, `gradient`, `gradient_of_rows`, `gather`, `scatter`, `draw`, `scale`,
`tanh_rows`, `square_sums`, `adam`, `sgd` and `rmsprop`. ``csrc/table.h`` documents all of them.
"""

from functools import partial
from types import SimpleNamespace

import numpy as np

from fastlstm.kernels import CELLS
from fastlstm.kernels.compiled import attention, dropout, head, layout, packing, recurrence, roll_out, solvers


class Backend:
    """Implementation of the contract on top of a backend's entries.

    `narrow` has the entries whose products are of other numbers, by their precision.

    ``isa()`` returns the name of the vector instruction set, ``fused()`` whether it has fused multiply-add. Results are
    bitwise identical on all instruction sets with fused multiply-add.
    """

    PARALLEL = True

    def __init__(self, name, entries, isa, fused, **narrow):
        def over(module, *names):
            return SimpleNamespace(**{name: partial(getattr(module, name), entries) for name in names})

        def module_of(cell, entries=entries, precision="float32"):
            own = {"entries_of": staticmethod(entries), "cell": cell, "PRECISION": precision}
            return SimpleNamespace(
                **{of.__name__: type(of.__name__, (of,), own) for of in (recurrence.Packed, recurrence.Run)}
            )

        self.entries, self.isa, self._name, self._fused = entries, isa, name, fused
        self.wait = entries(np.dtype("float32")).wait
        vars(self).update({cell: module_of(cell) for cell in CELLS})
        for precision, of_precision in narrow.items():
            cells = {cell: module_of(cell, lambda dtype, own=of_precision: own, precision) for cell in CELLS}
            bits = partial(self._bits_of, precision)
            own_isa = getattr(of_precision, "level", isa)  # where its instructions are others
            setattr(self, precision, SimpleNamespace(isa=own_isa, bits=bits, **cells))
        self.head, self.dropout = over(head, "Head"), over(dropout, "draw", "scale")
        self.packing, self.roll_out = over(packing, "gather", "scatter"), over(roll_out, "RollOut")
        self.attention = over(attention, "Attention", "tanh")
        self.solvers = over(solvers, "adam", "sgd", "rmsprop", "square_sums")
        self.solvers.BLOCK = solvers.BLOCK

    def padded(self, H, dtype):
        return layout.padded(H, self.entries(dtype).lanes())

    def bits(self):
        return "cython or numba" if self._fused() else f"{self._name} on {self.isa()}"

    def _bits_of(self, precision):
        if precision == "bfloat16" and self.isa() == "amx":  # whose sums have an order of their own
            return f"{self._name} on amx, {precision}"
        return f"{self.bits()}, {precision}"
