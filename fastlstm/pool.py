"""A bounded pool of reusable objects."""

from collections import deque


class Pool:
    """Objects that serve one call at a time; at most `size` idle ones are kept, and the least recent are dropped.

    # Design: there is no lock, because a process forked while it is held could never acquire it, and a signal handler
    # or a finalizer that uses the pool would deadlock with its own thread. A call pops an object from the queue, which
    # is atomic, and appends it when done. A call that fails does not return its object.
    """

    def __init__(self, size):
        self._idle = deque(maxlen=size)

    def __len__(self):
        return len(self._idle)

    def take(self, fits):
        """Remove and return the first object for which ``fits(object)`` is true, or None."""
        others = []
        while (found := self._pop()) is not None and not fits(found):
            others.append(found)
        self._idle.extend(others)
        return found

    def leave(self, item):
        """Return an object to the pool."""
        self._idle.append(item)

    def _pop(self):
        try:
            return self._idle.popleft()
        except IndexError:
            return None
