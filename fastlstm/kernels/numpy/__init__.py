"""NumPy backend: the equations, slow and plain; the specification that the other backends are tested against."""

from types import SimpleNamespace

from fastlstm.kernels.numpy import dropout, gru, head, lstm, packing, rnn, solvers


def wait(meeting, size):
    """Only one thread computes here."""
    return True


BACKEND = SimpleNamespace(
    PARALLEL=False,
    bits=lambda: "numpy",
    wait=wait,
    lstm=lstm,
    gru=gru,
    rnn=rnn,
    head=head,
    dropout=dropout,
    packing=packing,
    solvers=solvers,
)
