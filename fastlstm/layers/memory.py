"""The memory of a layer's runs, which is used again once nobody looks at it."""

from collections import deque

import numpy as np

from fastlstm.kernels.workspace import Workspace


class RunMemory:
    """Workspaces of a layer's runs, and its last run for a next one of the same shape.

    # Design: references to a run's outputs say whether its caller still looks at them, so while they are counted nobody
    # else may handle that memory. There is no lock for this: a child forked meanwhile would find it held for ever, and
    # a signal handler or a finalizer that runs the layer would wait for its own thread. Who needs the memory takes it
    # out of a queue, which is one step of the interpreter, and puts it back; who finds none there, makes some.
    """

    def __init__(self, size):
        """For runs of stacks of so many places."""
        self._size, self._kept = size, deque(maxlen=1)

    def take(self, make, starts, recording, threads):
        """A run of this shape, and the references to its outputs: the last one, or what `make(workspaces)` returns."""
        workspaces, run, references = self._pop() or ([Workspace() for _ in range(self._size)], None, None)
        fits = (
            run is not None
            and (run.recording, run.threads) == (recording, threads)
            and np.array_equal(run.starts, starts)
            and run.references() == references
        )
        if not fits:
            run = None  # its buffers are free
            run = make(workspaces)
            references = run.references()
        self._kept.append((workspaces, None, None))
        return run, references

    def leave(self, run, references):
        """Keep a run that is over for the next one; `references` as `take` returned them."""
        kept = self._pop()
        if kept:  # otherwise another call has the memory, and puts it back
            workspaces = kept[0]
            self._kept.append((workspaces, run, references) if workspaces is run.workspaces else kept)

    def _pop(self):
        try:
            return self._kept.pop()
        except IndexError:
            return None
