"""What the backends of register tiles share: all but their entries.

An *entry* is a compiled function. A backend has a set of them for each type of numbers, ``entries(dtype)``: an object
with the functions that ``csrc/table.h`` lists, by these names, and ``lanes()``, how many numbers a vector has. Arrays
of their arguments are flat with an offset, or [rows, columns]. Calls take arrays at less cost by ``held(array)`` and
``held_sizes(array)``, which is for those of many calls, and by ``unread(another of its kind)`` in place of one that
they do not read. In place of a cell's `step` there is a ``stepper(...)`` of the run's buffers, which returns a function
of x and h.
"""

from functools import partial
from types import SimpleNamespace

import numpy as np

from fastlstm.kernels.compiled import dropout, gru, head, lstm, packing, rnn, solvers


class Backend:
    """The contract, by entries.

    ``isa()`` names the vector instructions that they use, ``fused()`` says whether they fuse products with sums: what
    does leaves the same bits.
    """

    PARALLEL = True

    def __init__(self, name, entries, isa, fused):
        def over(module, *names):
            return SimpleNamespace(**{name: partial(getattr(module, name), entries) for name in names})

        def cell(module):
            of_entries = {"entries_of": staticmethod(entries)}
            return SimpleNamespace(
                **{of.__name__: type(of.__name__, (of,), of_entries) for of in (module.Packed, module.Run)}
            )

        self.entries, self.isa, self._name, self._fused = entries, isa, name, fused
        self.wait = entries(np.dtype("float32")).wait
        self.lstm, self.gru, self.rnn = cell(lstm), cell(gru), cell(rnn)
        self.head, self.dropout = over(head, "Head"), over(dropout, "draw", "scale")
        self.packing = over(packing, "gather", "scatter")
        self.solvers = over(solvers, "adam", "sgd", "rmsprop", "square_sums")
        self.solvers.BLOCK = solvers.BLOCK

    def bits(self):
        return "cython or numba" if self._fused() else f"{self._name} on {self.isa()}"
