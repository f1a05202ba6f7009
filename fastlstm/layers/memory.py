"""The memory of a layer's runs, used again once nobody holds the results in it."""

import weakref
from collections import deque

import numpy as np

from fastlstm.kernels.workspace import Workspace

#: Rooms that a layer keeps. A loop over `record` and `backward` alternates between three: while one result is computed,
#: its variable still holds the one before.
ROOMS = 3


class Room:
    """Memory for one run at a time: a workspace for each of its places, and the run prepared there last.

    # Design: results are views of this memory, as a copy of a large output can take a quarter as long as the run. Such
    # a view must say when its caller has dropped it. NumPy lets a view of a view refer to the owner of the memory, but
    # not past a memoryview: an array made from the memoryview of `inner`, and whatever is made of that array, keeps
    # `inner` alive. So a weak reference to `inner` is dead once nobody can reach the memory any more, on every
    # interpreter and whichever thread was the last. Arrays are not tracked by the cyclic garbage collector, which
    # could clear the reference before a finalizer makes use of the array. Nothing runs when the reference dies: the
    # next call looks at it, so there is neither a lock nor a callback that could come at a bad moment.
    """

    def __init__(self, places):
        self.workspaces, self.loans = [Workspace() for _ in range(places)], []
        self.shape = self.prepared = None

    def lend(self, array):
        """An array in this room for a caller: the room is free again once that array and all its views are gone."""
        inner = array.view()
        self.loans.append(weakref.ref(inner))
        return np.asarray(memoryview(inner))

    def is_free(self):
        """Whether callers have dropped everything that was lent."""
        for loan in self.loans:  # noqa: SIM110 a generator would take longer than the loop
            if loan() is not None:
                return False
        return True


class RunMemory:
    """The rooms of a layer's last runs.

    # Design: there is no lock. A child forked meanwhile would find it held for ever, and a signal handler or a
    # finalizer that calls the layer would wait for its own thread. Whoever needs a room takes it out of the queue,
    # which is one step of the interpreter, and puts it back; whoever finds none that is free makes one.
    """

    def __init__(self, places):
        """For runs of stacks of so many places."""
        self._places, self._kept = places, deque(maxlen=ROOMS)

    def take(self, shape=None):
        """A free room: one with a run `prepared` for this shape, or else one whose `prepared` is None.

        Without a shape, what is prepared there stays valid if the buffers of its way forward are left alone.
        """
        others = []
        while (room := self._pop()) is not None:
            if room.is_free() and (shape is None or room.shape == shape):
                break
            others.append(room)
        if room is None:
            room = next(filter(Room.is_free, others), None)
            if room is None:
                room = Room(self._places)
            else:
                others.remove(room)
            room.shape, room.prepared = shape, None
        self._kept.extend(others)
        room.loans.clear()
        return room

    def leave(self, room):
        """Put a room back whose run is over; it is taken again once nobody holds what was lent."""
        self._kept.append(room)

    def _pop(self):
        try:
            return self._kept.popleft()
        except IndexError:
            return None
