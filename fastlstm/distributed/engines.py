"""Engines: what runs the processes of a training, and how they find each other."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

from fastlstm.distributed import together
from fastlstm.distributed.threads import in_threads
from fastlstm.training.collective import gather

if TYPE_CHECKING:
    from typing import Any


COMPARED = str, int, float, bool, type(None), tuple, list, dict
#: Parameters that may differ between processes, as only those of the first have an effect, or none on the result.
OF_FIRST = "random_state", "verbose", "checkpoint_path", "resume", "n_jobs"


@dataclass(frozen=True)
class Local:
    """Threads of this process, each of which trains on its share of the partitions.

    It gives the same bits as the other engines, and so tries out on one machine what will run on several. To use all
    cores of a machine for one fit, the estimators' own `n_jobs` is faster.

    Parameters
    ----------
    n_workers : int, default=1
        Number of threads, no more of which are used than there are partitions.

    Examples
    --------
    >>> from fastlstm import LSTMRegressor
    >>> from fastlstm.distributed import Local, fit
    >>> X, y = [[0, 1], [1, 0], [2, 2]], [2, 1, 3]
    >>> one, two = (fit(LSTMRegressor(4, random_state=0), X, y, engine=Local(n)) for n in (1, 2))
    >>> bool((one.predict(X) == two.predict(X)).all())
    True
    """

    n_workers: int = 1

    def __post_init__(self):
        if not isinstance(self.n_workers, Integral) or isinstance(self.n_workers, bool) or self.n_workers < 1:
            raise ValueError(f"n_workers={self.n_workers!r}: expected a number of threads, at least 1.")

    def survey(self, function, given, options):
        """What a function finds in each chunk (X, y, sample_weight)."""
        return [given.apply(function, *member) for member in given.numbered()]

    def together(self, function, given, options):
        """``function(collective, chunks)`` in each process, with the chunks of all of them; the first result."""
        chunks = [given.loaded(member) for member in given.members()]
        return in_threads(self._size(options), lambda collective: function(collective, chunks))[0]

    def train(self, estimator, given, held_out, options):
        size, members = self._size(options), (given.numbered(), held_out.numbered("_val"))

        def run(collective):
            own = [of[len(of) * collective.rank // size : len(of) * (collective.rank + 1) // size] for of in members]
            return together.train(estimator, given, held_out, own, collective, options)

        return in_threads(size, run)[0]

    def _size(self, options):
        return min(self.n_workers, options.n_partitions)


@dataclass(frozen=True)
class Mpi:
    """Processes that were started together by ``mpiexec -n P python -m mpi4py program.py``.

    Each runs the same program, but passes its own X, y, or paths to load; all of them return the fitted estimator.
    Requires mpi4py; ``-m mpi4py`` ends all processes when one raises an exception, where the others would wait.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None, default=None
        The communicator; if None, ``MPI.COMM_WORLD``.

    Examples
    --------
    >>> from fastlstm.distributed import Mpi
    >>> Mpi()
    Mpi(comm=None)
    """

    comm: Any = None

    def survey(self, function, given, options):
        """What a function finds in each chunk (X, y, sample_weight) of all processes."""
        given = given._replace(process=self._collective.rank)
        found = [given.apply(function, *member) for member in given.numbered()]
        return [value for values in gather(self._collective, found) for value in values]

    def together(self, function, given, options):
        """``function(collective, chunks)`` in each process, with the chunks of all of them; that of this process."""
        return function(self._collective, self.survey(lambda *chunk: chunk, given, options))

    def train(self, estimator, given, held_out, options):
        collective, members = self._collective, (given.numbered(), held_out.numbered("_val"))
        given, held_out = (of._replace(process=collective.rank) for of in (given, held_out))
        fitted = together.train(estimator, given, held_out, members, collective, options)
        if fitted is not estimator:  # but a copy with other parameters
            vars(estimator).update({**vars(fitted), **estimator.get_params(deep=False)})
        return estimator

    def check_alike(self, estimator, held_out, options):
        """Raise ValueError if the processes have passed different estimators or options, with which they would hang."""
        passed = {"estimator": type(estimator).__name__, "partial_fit": options.partial}
        passed |= {"n_partitions": options.n_partitions}
        passed |= {"validation data": not held_out.is_nothing, "weights to go on from": options.continues(estimator)}
        passed |= {name: value for name, value in estimator.get_params(deep=False).items() if name not in OF_FIRST}
        # the repr of other objects may be that of their place in memory
        shown = {name: repr(value) for name, value in passed.items() if isinstance(value, COMPARED)}
        first, *others = gather(self._collective, shown)
        for number, of in enumerate(others, 1):
            for name in first.keys() | of.keys():
                if first.get(name) != of.get(name):
                    raise ValueError(
                        f"Process {number} has {name}: {of.get(name)}, but process 0 has {first.get(name)}. Pass an "
                        "estimator of the same parameters, and the same options, in all processes."
                    )

    @property
    def _collective(self):
        try:
            from fastlstm.distributed.mpi import MpiCollective, world
        except ImportError as error:
            raise ImportError("engine=Mpi() requires mpi4py: pip install fastlstm[mpi], and an MPI library.") from error
        if self.comm is not None and not hasattr(self.comm, "Alltoallv"):
            raise TypeError(f"comm is {self.comm!r}; expected a communicator of mpi4py, such as MPI.COMM_WORLD.")
        return MpiCollective(world() if self.comm is None else self.comm)


@dataclass(frozen=True)
class Dask:
    """The workers of a Dask cluster, one task on each at a time.

    Training goes on in rounds of about ten seconds, or of one epoch if each is looked at (`verbose`, callbacks,
    `checkpoint_path`). If a worker fails, its partitions move to others and the round is done again, to the same bits.
    Progress, callbacks, checkpoints and Ctrl-C work where `fit` is called. Requires distributed.

    Parameters
    ----------
    client : distributed.Client or None, default=None
        If None, the current client.

    Examples
    --------
    >>> from fastlstm.distributed import Dask
    >>> Dask()
    Dask(client=None)
    """

    client: Any = None

    def survey(self, function, given, options):
        """What a function finds in each chunk (X, y, sample_weight), where it is."""
        return self._module.survey(self.client, function, given, options)

    def together(self, function, given, options):
        """``function(collective, chunks)`` on each worker, with the chunks of all of them; the first result."""
        return self._module.together(self.client, function, given, options)

    def train(self, estimator, given, held_out, options):
        return self._module.train(self.client, estimator, given, held_out, options)

    @property
    def _module(self):
        try:
            from fastlstm.distributed import dask_client
        except ImportError as error:
            raise ImportError("engine=Dask() requires distributed: pip install fastlstm[dask].") from error
        return dask_client
