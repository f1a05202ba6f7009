"""How cells remember: the gates that keep, write and read their state, and how long it lasts."""

from typing import NamedTuple

import numpy as np

SHUT = 0.1  # below this, a gate counts as closed
KEPT = 0.5  # above this, a gate counts as one that keeps the state


class MemoryGate(NamedTuple):
    """A gate by what it does to the state."""

    title: str
    gate: str
    inverted: bool = False  # whether 1 - gate does it
    shut: str = ""  # what a unit does or does not do while it is closed


class MemoryGates(NamedTuple):
    """The gates of a cell by what they do to the state, in the order in which they do it."""

    writes: MemoryGate
    keeps: MemoryGate
    reads: MemoryGate


LSTM = MemoryGates(
    MemoryGate("written: input gate", "input", shut="writes nothing"),
    MemoryGate("kept: forget gate", "forget"),
    MemoryGate("read: output gate", "output", shut="state not read"),
)
GATES = {
    "lstm": LSTM,
    "cifg": LSTM,
    "gru": MemoryGates(
        MemoryGate("written: 1 - update gate", "update", inverted=True, shut="keeps its state"),
        MemoryGate("kept: update gate", "update"),
        MemoryGate("read: reset gate", "reset", shut="candidate ignores the state"),
    ),
}


def memory_gates(cell):
    """The `MemoryGates` of a type of cell; raises ValueError if it has none."""
    if cell not in GATES:
        raise ValueError(
            f"kind='memory': a cell of type {cell!r} has no gate that keeps its state; expected kind='gates'."
        )
    return GATES[cell]


def half_life(keeps):
    """Steps after which half of the state of each unit is left, while its gate [T, H] keeps it.

    It is log(1/2) / mean(log(gate)), over the steps at which the gate is above 1/2; if there are none, over all steps.
    Infinite where the gate is 1 at all of these steps, and 0 where it is never above 1/2 and once 0.
    """
    kept = keeps > KEPT
    kept |= ~kept.any(axis=0)
    with np.errstate(divide="ignore"):
        return np.log(2) / np.abs(np.log(keeps).mean(axis=0, where=kept))
