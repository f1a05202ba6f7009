"""Engines: what runs the processes of a training, and how they find each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastlstm.distributed import together
from fastlstm.distributed.threads import in_threads
from fastlstm.training.collective import gather

if TYPE_CHECKING:
    from typing import Any


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
        if not isinstance(self.n_workers, int) or self.n_workers < 1:
            raise ValueError(f"n_workers={self.n_workers!r}: expected a number of threads, at least 1.")

    def survey(self, function, given, options):
        """What a function finds in each chunk (X, y, sample_weight)."""
        return [given.apply(function, *member) for member in given.numbered()]

    def together(self, function, given, options):
        """``function(collective, chunks)`` in each process, with the chunks of all of them; the first result."""
        chunks = [given.loaded(member) for member in given.members()]
        return in_threads(self.n_workers, lambda collective: function(collective, chunks))[0]

    def train(self, estimator, given, held_out, options):
        size, members = self.n_workers, (given.numbered(), held_out.numbered("_val"))

        def run(collective):
            own = [of[len(of) * collective.rank // size : len(of) * (collective.rank + 1) // size] for of in members]
            return together.train(estimator, given, held_out, own, collective, options)

        return in_threads(size, run)[0]


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
        found = [given.apply(function, *member) for member in given.numbered()]
        return [value for values in gather(self._collective, found) for value in values]

    def together(self, function, given, options):
        """``function(collective, chunks)`` in each process, with the chunks of all of them; that of this process."""
        return function(self._collective, self.survey(lambda *chunk: chunk, given, options))

    def train(self, estimator, given, held_out, options):
        members = given.numbered(), held_out.numbered("_val")
        fitted = together.train(estimator, given, held_out, members, self._collective, options)
        if fitted is not estimator:  # but a copy with other parameters
            vars(estimator).update({**vars(fitted), **estimator.get_params(deep=False)})
        return estimator

    @property
    def _collective(self):
        try:
            from fastlstm.distributed.mpi import MpiCollective, world
        except ImportError as error:
            raise ImportError("engine=Mpi() requires mpi4py: pip install fastlstm[mpi], and an MPI library.") from error
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
