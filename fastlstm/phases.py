"""Phases of a parallel computation, which are separated by barriers.

A team of threads iterates over phases. Each thread executes its `Part` of a phase; the type of the phase defines how
the work is divided, from which `threads.Team.run` derives where barriers are needed. Nothing else contains barriers.
"""


class Phase:
    """``function(part, *args)`` in every thread, between two barriers."""

    __slots__ = ("args", "function")
    by_rows = False

    def __init__(self, function, *args):
        self.function, self.args = function, args  # no __call__, which would double the cost of a call


class ByRows(Phase):
    """A phase in which each thread accesses only its own rows of a run, those of the run's ``bounds(part)``.

    No barrier is needed between two of these, unless threads divide hidden units instead of rows.
    """

    __slots__ = ()
    by_rows = True


class Alone(Phase):
    """``function(*args)`` in the thread of rank 0 only, while the others wait."""

    __slots__ = ()

    def __init__(self, function, *args):
        self.function, self.args = _alone, (function, args)


def _alone(part, function, args):
    if part.rank == 0:
        function(*args)
