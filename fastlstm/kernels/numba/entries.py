"""Entries of the Numba backend; see ``kernels.compiled``."""

from functools import cache, partial
from types import SimpleNamespace

import numpy as np

from fastlstm.kernels.numba import barrier, head, runs, solvers
from fastlstm.kernels.numba.target import lanes


@cache
def entries(dtype):
    """The entries for a dtype. Numba compiles a separate version of each function for each dtype."""
    return SimpleNamespace(
        lanes=partial(lanes, dtype),
        operands=lambda n: n,
        wait=barrier.wait,
        Part=runs.Part,
        Packed=partial(runs.Packed, lanes(dtype)),
        Run=partial(runs.Run, lanes(dtype)),
        Linear=runs.Linear,
        Loss=runs.Loss,
        RollOut=runs.RollOut,
        Attention=partial(runs.Attention, lanes(dtype)),
        LOSSES=runs.LOSSES,
        pack_panels=runs.pack_panels,
        multiply_rows=runs.multiply_rows,
        gradient=runs.gradient,
        gradient_of_rows=head.gradient_of_rows,
        gather=runs.gather,
        scatter=runs.scatter,
        draw=runs.draw,
        scale=runs.scale,
        tanh_rows=runs.tanh_rows,
        square_sums=solvers.square_sums,
        adam=solvers.adam,
        sgd=solvers.sgd,
        rmsprop=solvers.rmsprop,
    )


#: Those whose products are of pairs of bfloat16 numbers. The types of arrays select the versions of their functions.
BFLOAT16 = SimpleNamespace(**vars(entries(np.dtype("float32"))) | {"operands": lambda n: (n + 1) // 2})
