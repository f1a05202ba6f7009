"""What users pass to `fit`, and how: the data of one process, or of a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Number
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

from fastlstm import containers

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Given(NamedTuple):
    """Data as they are passed to `fit`."""

    X: Any
    y: Any = None
    sample_weight: Any = None
    load: Callable | None = None  # makes (X, y) or (X, y, sample_weight) of each member of X
    then: Callable | None = None  # what else to make of a chunk, where it is read
    process: int | None = None  # which has the data, if each has its own

    @property
    def is_nothing(self):
        """Whether no data were passed."""
        return self.X is None

    def named(self, suffix):
        """Names of X, y and sample_weight in error messages."""
        return tuple(name + suffix for name in ("X", "y", "sample_weight"))

    @property
    def without_data(self):
        """How to read the data, without these."""
        return self._replace(X=None, y=None, sample_weight=None)

    def _check_here(self, suffix):
        """Raise TypeError if X are delayed objects or futures, which only Dask can read."""
        first = self.X[0] if isinstance(self.X, (list, tuple)) and self.X else self.X
        if type(first).__module__.partition(".")[0] in ("dask", "distributed") and not hasattr(first, "__array__"):
            raise TypeError(f"X{suffix} is held by Dask: pass engine=Dask(), or what is computed from it.")

    def check_load(self, suffix=""):
        """Raise ValueError unless X can be loaded."""
        X, y, sample_weight = self.named(suffix)
        for name, given in ((y, self.y), (sample_weight, self.sample_weight)):
            if given is not None:
                raise ValueError(f"{name} was passed, but `load` returns it together with {X}: leave it out.")
        if isinstance(self.X, (str, bytes)) or not isinstance(self.X, Iterable):
            raise ValueError(f"{X} is {self.X!r}; expected a list of paths, or whatever else `load` reads.")
        if not callable(self.load):
            raise TypeError(f"load is {containers.brief(self.load)}; expected a function that reads a member of {X}.")

    def members(self, suffix=""):
        """What `loaded` is called with, for each chunk, if the data are in this process."""
        if self.is_nothing:
            return []
        if self.load is None:
            self._check_here(suffix)
            return [(self.X, self.y, self.sample_weight)]
        self.check_load(suffix)
        return list(self.X)

    def numbered(self, suffix=""):
        """The members with their numbers, which errors name."""
        return list(enumerate(self.members(suffix)))

    def loaded(self, member):
        """A chunk (X, y, sample_weight)."""
        chunk = self.load(member) if self.load else member
        if not isinstance(chunk, (tuple, list)) or not 1 <= len(chunk) <= 3:
            how = "load returned" if self.load else "a chunk is"
            raise TypeError(f"{how} a {type(chunk).__name__}; expected a tuple (X, y) or (X, y, sample_weight).")
        return self.then(*chunk) if self.then else tuple(chunk)

    def apply(self, function, number, member, suffix=""):
        """``function(X, y, sample_weight)`` of a chunk; a note on its error says which chunk it is."""
        try:
            return function(*self.loaded(member))
        except Exception as error:
            what = f" ({member!r})" if self.load and isinstance(member, (str, PathLike, Number)) else ""
            where = "" if self.process is None else f" in process {self.process}"
            error.add_note(f"This was in chunk {number} of X{suffix}{what}{where}.")
            raise


class Options(NamedTuple):
    """How to train, whatever the engine."""

    n_partitions: int = 8
    partial: bool = False  # one more epoch, as by `partial_fit`
    classes: Any = None
    schema: Any = None  # of the symbols of X
    retries: int = 3
    timeout: float = 300.0

    def continues(self, estimator):
        """Whether training goes on from the weights of an estimator."""
        return hasattr(estimator, "weights_") and (self.partial or getattr(estimator, "warm_start", False))

    @property
    def of_reading(self):
        """Arguments of ``chunks.read`` for the data to train on."""
        return {"classes": self.classes, "schema": self.schema}
