"""Buffers of a layer's runs, reused once the caller has dropped the results that are stored in them."""

import weakref

import numpy as np

from fastlstm.kernels.workspace import Workspace
from fastlstm.pool import Pool

#: Maximum number of rooms to keep. A loop over `record` and `backward` cycles through three, because its variables hold
#: the previous results while the next are computed.
ROOMS = 3


class Room:
    """Memory for one run at a time: a workspace for each of its layers, and the run last prepared there.

    # Design: results are views of this memory, because copying a large output can take a quarter of the time of the
    # run. To reuse the memory, we need to know when the caller has dropped all views. NumPy collapses a view of a view
    # to the owner of the memory, but not across a memoryview: an array made from a memoryview of `inner`, and all views
    # of that array, keep `inner` alive. So a weak reference to `inner` is dead exactly when the memory is unreachable,
    # on every interpreter and in every thread. The cyclic garbage collector does not track arrays, so it cannot clear
    # the reference early. The next call polls the reference, so no lock is needed, and no callback that could run at
    # a bad moment.
    """

    def __init__(self, places):
        self.workspaces, self.loans = [Workspace() for _ in range(places)], []
        self.shape = self.prepared = None

    def lend(self, array):
        """View of `array`, which is in this room, for the caller; the room is in use until all views are gone."""
        inner = array.view()
        self.loans.append(weakref.ref(inner))
        return np.asarray(memoryview(inner))

    def is_free(self):
        """Whether callers have dropped all views that were lent."""
        for loan in self.loans:  # noqa: SIM110 a generator is slower
            if loan() is not None:
                return False
        return True


class RunMemory:
    """The rooms of a layer's most recent runs."""

    def __init__(self, places):
        self._places, self._rooms = places, Pool(ROOMS)

    def take(self, shape=None):
        """A free room, if possible with a run `prepared` for this shape; otherwise its `prepared` is None.

        Without a shape, any free room; its prepared run remains valid if the forward buffers are not touched.
        """
        room = self._rooms.take(lambda room: room.is_free() and (shape is None or room.shape == shape))
        if room is None:
            room = self._rooms.take(Room.is_free) or Room(self._places)
            room.shape, room.prepared = shape, None
        room.loans.clear()
        return room

    def leave(self, room):
        """Return a room after its run."""
        self._rooms.leave(room)
