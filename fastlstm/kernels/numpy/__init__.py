"""NumPy backend: a slow reference implementation, which the other backends are tested against."""

from importlib import import_module
from types import SimpleNamespace

from fastlstm.kernels import CELLS
from fastlstm.kernels.numpy import attention, dropout, head, packing, roll_out, solvers


def wait(barrier, size):
    """Return at once: this backend is single-threaded."""
    return True


def narrow(precision):
    """For each cell, its classes whose products are of this precision."""
    own = {"PRECISION": precision}
    return SimpleNamespace(
        bits=lambda: f"numpy, {precision}",
        **{
            name: SimpleNamespace(**{of.__name__: type(of.__name__, (of,), own) for of in (cell.Packed, cell.Run)})
            for name, cell in OF_CELLS.items()
        },
    )


OF_CELLS = {cell: import_module(f"{__name__}.{cell}") for cell in CELLS}
BACKEND = SimpleNamespace(
    PARALLEL=False,
    bits=lambda: "numpy",
    wait=wait,
    padded=lambda H, dtype: H,
    attention=attention,
    head=head,
    dropout=dropout,
    packing=packing,
    roll_out=roll_out,
    solvers=solvers,
    bfloat16=narrow("bfloat16"),
    int8=narrow("int8"),
    **OF_CELLS,
)
