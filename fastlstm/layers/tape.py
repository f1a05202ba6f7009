"""Tapes of recorded runs, and the gradients computed from them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    #: (h, c) or (h,): arrays or, if hidden sizes differ, tuples of arrays.
    State = tuple[Any, ...]


class Gradients(NamedTuple):
    """Gradients that a layer's `backward` returns."""

    weights: dict[str, NDArray[Any]]
    x: NDArray[Any] | Any  # None without `input_gradient`; Any, so that other callers need not rule that out
    state: State


class Recording(NamedTuple):
    """Room and output of a recorded run; the reference to the output keeps the room in use."""

    room: object
    output: NDArray[Any]


@dataclass
class Tape:
    """Record of a forward pass, returned by the `record` method of a layer for its `backward`."""

    layer: object
    recordings: deque  # holds one recording, until it is used up
    weights: tuple  # flat
    layout: object
    players: deque = field(default_factory=deque)  # one entry per running `backward`

    def take(self, keep):
        """The recording, and whether `backward` may use its room: not with `keep`, nor while another `backward` runs.

        Several threads may use a tape at once, as may a signal handler that interrupts its own thread; each has memory
        of its own. The caller must be in `players` until it has finished.
        """
        try:
            recording = self.recordings[0] if keep else self.recordings.pop()
        except IndexError:
            raise ValueError(
                "tape: used up by backward(keep_tape=False); record the run again, or keep the tape."
            ) from None
        return recording, not keep and len(self.players) == 1
