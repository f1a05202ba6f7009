"""The record of a run, and the gradients computed from it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    #: (h, c) or (h,): of arrays or, where the layers' sizes differ, of tuples of arrays.
    State = tuple[Any, ...]


class Gradients(NamedTuple):
    """Gradients that a layer's `backward` returns."""

    weights: dict[str, NDArray[Any]]
    x: NDArray[Any] | Any  # None without `input_gradient`; Any, so that other callers need not rule that out
    state: State


class Recording(NamedTuple):
    """A recorded run's room and output; holding the output keeps the room from being used for another run."""

    room: object
    output: NDArray[Any]


@dataclass
class Tape:
    """Record of a forward run, made by a layer's `record` for its `backward`."""

    layer: object
    recordings: deque  # one, until it is used up
    weights: tuple  # flat
    layout: object
    players: deque = field(default_factory=deque)  # one entry for each `backward` at work

    def take(self, keep):
        """The recording to go back through, and whether that may be done in its own room: without `keep`, and alone.

        Threads may play one tape at once, and so may a signal handler that interrupts its own thread: none waits for
        another, each has memory of its own. The caller is one of the `players`, from before until it has finished.
        """
        try:
            recording = self.recordings[0] if keep else self.recordings.pop()
        except IndexError:
            raise ValueError(
                "tape: used up by backward(keep_tape=False); record the run again, or keep the tape."
            ) from None
        return recording, not keep and len(self.players) == 1
