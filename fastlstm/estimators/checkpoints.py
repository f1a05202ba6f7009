"""Checkpoints of a fit: when they are written, and whether a fit can go on from one."""

import contextlib
import hashlib
import re
import time
from pathlib import Path

import numpy as np

from fastlstm import kernels
from fastlstm._version import __version__
from fastlstm.layers.checks import check_sizes
from fastlstm.training import checkpoints
from fastlstm.training.restoring import ForgedError, require, short

#: Parameters that may be others when a fit goes on: what it comes to does not depend on them, or the file has it.
FREE = {"checkpoint_every", "checkpoint_path", "max_iter", "n_jobs", "random_state", "resume", "verbose", "warm_start"}
SEEDS = np.iinfo(np.int32).max  # that a fit may draw
SECONDS = {"s": 1, "min": 60, "h": 3600}


def period(every):
    """`checkpoint_every` as a number of epochs and of seconds, one of which is 0."""
    if not isinstance(every, str):
        return every, 0.0
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h)", every, re.ASCII)
    if not found or float(found[1]) == 0:
        raise ValueError(
            f"checkpoint_every={every!r}: expected a number of epochs (1 or more), or a time such as '30s', '10min' or "
            "'1h'."
        )
    return 0, float(found[1]) * SECONDS[found[2]]


def fingerprint(*data):
    """Of series, targets and weights: other data have another."""
    digest = hashlib.blake2b(digest_size=16)
    for series, *arrays in data:
        for array in (series.values, series.at, series.lengths, *arrays):
            digest.update(f"{array.dtype} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()


@contextlib.contextmanager
def _in_words(path):
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # of links in a circle, and of names that cannot be
        raise ValueError(
            f"checkpoint_path={str(path)!r} cannot be written: {getattr(error, 'strerror', None) or error}. Pass the "
            "name of a file, new or a checkpoint, in a folder that exists and may be written to."
        ) from error


class Checkpoints:
    """The file of one fit.

    Raises ValueError if it cannot be written or, with `resume`, is there but not what was written.
    """

    def __init__(self, path, every, resume):
        self._epochs, self._seconds = period(every)
        with _in_words(path):
            self._path = Path(path).resolve()
            is_there = resume and self._path.is_file()
        self.earlier = self._read() if is_there else None
        with _in_words(path):
            checkpoints.check_writable(self._path)
        self._last_epoch, self._last_time, self._file = None, time.monotonic(), self._file_now()

    def _read(self):
        with self._in_words_of_resume():
            record, arrays = checkpoints.read(self._path)
            made_by = _version_of(record)
        if made_by != __version__:
            raise ValueError(
                f"{self._path} was made by fastlstm {made_by}; this is {__version__}, which may not go on with the "
                "same bits. Use that version, or start anew with resume=False, which replaces the file."
            )
        with self._in_words_of_resume():
            _check_record(record)
        return record, arrays

    @contextlib.contextmanager
    def _in_words_of_resume(self):
        try:
            yield
        except (OSError, ValueError) as error:
            what = error
            if isinstance(error, OSError):
                what = f"{self._path} cannot be read: {error.strerror or error}."
            elif isinstance(error, ForgedError):
                what = f"{self._path} holds what this training cannot have written: {error}."
            raise ValueError(
                f"resume=True cannot go on from the checkpoint: {what} It was left as it is: put a good copy in its "
                "place, or move it away to start anew."
            ) from error

    def describe(self, model, seed, **more):
        """Note what the training is of; raise ValueError unless that of the file to go on from is the same."""
        free = FREE - {"max_iter"} if model.settings_["learning_rate"] == "cosine" else FREE
        params = {**model.get_params(), **model.settings_}
        given = {name: _plain(value) for name, value in params.items() if name not in free}
        sizes = check_sizes(model.hidden_size, model.num_layers)
        given["hidden_size"] = list(sizes) if len(sizes) > 1 else sizes[0]
        given["backend"] = kernels.load(kernels.resolve(model.backend)).bits()
        more["labels"] = _plain(getattr(model, "classes_", []))
        given = {"fastlstm": __version__, "estimator": type(model).__name__, **given, **more}
        self._record = {"description": given, "seed": seed}
        if self.earlier and self.earlier[0]["seed"] != seed:
            self._refuse("another random_state: set it back")
        theirs = self.earlier[0]["description"] if self.earlier else given
        for name, value in given.items():
            if theirs.get(name) != value:
                what = f"{name}={short(theirs.get(name))}; this one has {name}={value!r}: set it back"
                if name in more:
                    what = f"other {name}: pass the same"
                self._refuse(what)
        with self._in_words_of_resume():
            require(theirs.keys() == given.keys(), "the list of parameters", sorted(theirs), "those of the estimator")

    def _refuse(self, what):
        raise ValueError(
            f"{self._path} is of a training with {what}, or start anew with resume=False, which replaces the file, or "
            "with another checkpoint_path: every fit needs its own, those of a search or a cross-validation, too."
        )

    def restore(self, training):
        """Let the training go on from the file, if there is one to go on from."""
        if self.earlier:
            record, arrays = self.earlier
            with self._in_words_of_resume():
                training.restore(record["progress"], arrays)
            self._last_epoch, self.earlier = training.progress.epochs, None

    def keep(self, training, over):
        """Write the training if it is time to."""
        epochs, now = training.progress.epochs, time.monotonic()
        due = self._epochs and epochs % self._epochs == 0
        if not (over or due or (self._seconds and now - self._last_time >= self._seconds)):
            return
        progress, arrays = training.state()
        if self._file_now() not in (None, self._file):
            raise RuntimeError(
                f"{self._path} was written by another training meanwhile, and is left to it: every fit needs a "
                "checkpoint_path of its own, those of a search, too."
            )
        try:
            checkpoints.write(self._path, {**self._record, "progress": progress}, arrays)
        except OSError as error:
            kept, again = f"That of epoch {self._last_epoch} is still good", "with resume=True"
            if self._last_epoch is None:
                kept, again = "What is there is of an earlier training" if self._file else "There is none yet", "again"
            raise OSError(
                error.errno,
                f"The checkpoint after epoch {epochs} could not be written to {self._path}: "
                f"{error.strerror or error}. {kept}; make room, and fit {again}.",
            ) from error
        self._last_epoch, self._last_time, self._file = epochs, now, self._file_now()

    def _file_now(self):
        """What tells the file from any that another process puts in its place; None if there is none."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns


def _version_of(record):
    """The version of fastlstm that wrote a record."""
    require(isinstance(record, dict), "the record", record, "names and values")
    description = record.get("description")
    require(isinstance(description, dict), "description", description, "names and values")
    version = description.get("fastlstm")
    known = isinstance(version, str) and version.isprintable() and len(version) < 100
    require(known, "the version of fastlstm", version, "numbers such as '1.0'")
    return version


def _check_record(record):
    expected = {"description", "progress", "seed"}
    require(record.keys() == expected, "the list of names", sorted(record), sorted(expected))
    seed, progress = record["seed"], record["progress"]
    require(type(seed) is int and 0 <= seed < SEEDS, "seed", seed, f"an integer from 0 to {SEEDS - 1}")
    require(isinstance(progress, dict), "progress", progress, "names and values")


def _plain(value):
    """A parameter as JSON has it."""
    if isinstance(value, dict):
        return sorted(([_plain(key), _plain(value[key])] for key in value), key=repr)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(member) for member in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)
