"""Phases: what a team computes from barrier to barrier.

What a team does together is an iterator over phases. A phase is for each member's `Part`, and its type says how it is
divided; from that, `threads.Team.run` knows where barriers are needed, and nothing else has any.
"""


class Phase:
    """``function(part, *args)`` in every member, between two barriers."""

    __slots__ = ("args", "function")
    by_rows = False

    def __init__(self, function, *args):
        self.function, self.args = function, args  # not to be called itself: that takes as long as the call of them


class ByRows(Phase):
    """A phase in which each member reads and writes its own rows of a run only, those of the run's ``bounds(part)``.

    So there is no barrier between two of them, unless units are divided.
    """

    __slots__ = ()
    by_rows = True


class Alone(Phase):
    """``function(*args)`` in the member of rank 0, for which the others wait."""

    __slots__ = ()

    def __init__(self, function, *args):
        self.function, self.args = _alone, (function, args)


def _alone(part, function, args):
    if part.rank == 0:
        function(*args)
