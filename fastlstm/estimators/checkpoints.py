"""Checkpoints of a fit: when to write them, and whether a fit can resume from one."""

import contextlib
import hashlib
import re
import time
from itertools import chain
from pathlib import Path

import numpy as np

from fastlstm import files, kernels, sequences
from fastlstm._version import __version__
from fastlstm.layers.checks import check_sizes
from fastlstm.training.checkpoint_validation import InvalidCheckpointError, require, short

#: Parameters that may differ when a fit resumes: its result does not depend on them, or the file stores them.
MAY_DIFFER = {
    "checkpoint_every",
    "checkpoint_path",
    "max_iter",
    "n_jobs",
    "random_state",
    "resume",
    "verbose",
    "warm_start",
}
KIND = "checkpoint"
MAX_SEED = np.iinfo(np.int32).max
SECONDS = {"s": 1, "min": 60, "h": 3600}


def parse_interval(every):
    """`checkpoint_every` as a number of epochs and a number of seconds, one of which is 0."""
    if not isinstance(every, str):
        return every, 0.0
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h)", every, re.ASCII)
    if not found or float(found[1]) == 0:
        raise ValueError(
            f"checkpoint_every={every!r}: expected a number of epochs, at least 1, or a time such as '30s', '10min' or "
            "'1h'."
        )
    return 0, float(found[1]) * SECONDS[found[2]]


def fingerprint(*data, vocabularies=()):
    """Hash of series, targets and weights, and of the vocabularies whose codes are among them."""
    digest = hashlib.blake2b(digest_size=16)
    for vocabulary in vocabularies:
        digest.update(repr(vocabulary.symbols.tolist()).encode())
    for series, *arrays in data:
        for part in chain(series.bytes_to_hash(), *map(sequences.bytes_of, arrays)):
            digest.update(part)
    return digest.hexdigest()


@contextlib.contextmanager
def _path_errors(path):
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # including circular links and invalid names
        raise ValueError(
            f"checkpoint_path={str(path)!r} cannot be written: {getattr(error, 'strerror', None) or error}. Pass the "
            "path of a new file or of a checkpoint, in an existing and writable directory."
        ) from error


class Checkpoints:
    """The checkpoint file of a fit.

    Raises ValueError if the file cannot be written or, with `resume`, if it exists but is not a valid checkpoint.
    """

    def __init__(self, path, every, resume):
        self._epochs, self._seconds = parse_interval(every)
        with _path_errors(path):
            self._path = Path(path).resolve()
            is_there = resume and self._path.is_file()
        self.earlier = self._read() if is_there else None
        with _path_errors(path):
            files.check_writable(self._path, KIND)
        self._last_epoch, self._last_time = None, time.monotonic()
        self._file = self._expected = files.identity(self._path)  # if it is another later, another fit wrote it

    def _read(self):
        with self._resume_errors():
            record, arrays = files.read(self._path, KIND)
            made_by = _version_of(record)
        if made_by != __version__:
            raise ValueError(
                f"{self._path} was written by fastlstm {made_by}, but this is version {__version__}, which might not "
                "continue with the same bits. Use that version, or set resume=False, which overwrites the file."
            )
        with self._resume_errors():
            _check_record(record)
        return record, arrays

    @contextlib.contextmanager
    def _resume_errors(self):
        try:
            yield
        except (OSError, ValueError) as error:
            what = error
            if isinstance(error, OSError):
                what = f"{self._path} cannot be read: {error.strerror or error}."
            elif isinstance(error, InvalidCheckpointError):
                what = f"{self._path} has contents that this training cannot have written: {error}."
            raise ValueError(
                f"Cannot resume from the checkpoint: {what} The file was not modified: replace it by a "
                "valid copy, or move it away to start from scratch."
            ) from error

    def describe(self, model, seed, **more):
        """Record what identifies the training; raise ValueError if the checkpoint to resume from differs."""
        free = MAY_DIFFER - {"max_iter"} if model.settings_["learning_rate"] == "cosine" else MAY_DIFFER
        params = {**model.get_params(), **model.settings_}
        given = {name: _plain(value) for name, value in params.items() if name not in free}
        sizes = check_sizes(model.hidden_size, model.num_layers)
        given["hidden_size"] = list(sizes) if len(sizes) > 1 else sizes[0]
        bits = kernels.load(kernels.resolve(model.backend, model.precision, model.dtype)).bits()
        given["backend"] = bits.partition(", ")[0]  # the precision is another parameter
        more["labels"] = _plain(getattr(model, "classes_", []))
        given = {"fastlstm": __version__, "estimator": type(model).__name__, **given, **more}
        self._record = {"description": given, "seed": seed}
        if self.earlier and self.earlier[0]["seed"] != seed:
            self._reject("a different random_state: restore it")
        theirs = self.earlier[0]["description"] if self.earlier else given
        for name, value in given.items():
            if theirs.get(name) != value:
                what = f"{name}={short(theirs.get(name))}, but now {name}={value!r}: restore it"
                if name in more:
                    what = f"different {name}: pass the same"
                self._reject(what)
        with self._resume_errors():
            require(theirs.keys() == given.keys(), "the list of parameters", sorted(theirs), "those of the estimator")

    def _reject(self, what):
        raise ValueError(
            f"{self._path} belongs to a fit with {what}, or set resume=False, which overwrites the file, or pass "
            "another checkpoint_path. Each fit needs its own, also in a search or a cross-validation."
        )

    def restore(self, training):
        """Restore the training from the checkpoint, if there is one to resume from."""
        if self.earlier:
            record, arrays = self.earlier
            with self._resume_errors():
                training.restore(record["progress"], arrays)
            self._last_epoch, self.earlier = training.progress.epochs, None

    def save(self, training, finished):
        """Write a checkpoint if one is due."""
        epochs, now = training.progress.epochs, time.monotonic()
        due = self._epochs and epochs % self._epochs == 0
        if not (finished or due or (self._seconds and now - self._last_time >= self._seconds)):
            return
        progress, arrays = training.state()
        # an interrupted call may have replaced the file, or not
        if files.identity(self._path) not in (None, self._file, self._expected):
            raise RuntimeError(
                f"{self._path} has been overwritten by another fit, and was not modified. Each fit needs its own "
                "checkpoint_path, also in a search or a cross-validation."
            )
        try:
            files.write(self._path, KIND, {**self._record, "progress": progress}, arrays, self._expect)
        except OSError as error:
            kept, again = f"The checkpoint of epoch {self._last_epoch} remains valid", "with resume=True"
            if self._last_epoch is None:
                kept, again = "The file is of an earlier fit" if self._file else "There is no checkpoint yet", "again"
            raise OSError(
                error.errno,
                f"The checkpoint of epoch {epochs} could not be written to {self._path}: "
                f"{error.strerror or error}. {kept}; free disk space, and fit {again}.",
            ) from error
        self._last_epoch, self._last_time, self._file = epochs, now, self._expected

    def _expect(self, identity):
        self._expected = identity


def _version_of(record):
    """The version of fastlstm that wrote a record."""
    require(isinstance(record, dict), "the record", record, "a dict")
    description = record.get("description")
    require(isinstance(description, dict), "description", description, "a dict")
    version = description.get("fastlstm")
    known = isinstance(version, str) and version.isprintable() and len(version) < 100
    require(known, "the version of fastlstm", version, "a version such as '1.0'")
    return version


def _check_record(record):
    expected = {"description", "progress", "seed"}
    require(record.keys() == expected, "the list of names", sorted(record), sorted(expected))
    seed, progress = record["seed"], record["progress"]
    require(type(seed) is int and 0 <= seed < MAX_SEED, "seed", seed, f"an integer from 0 to {MAX_SEED - 1}")
    require(isinstance(progress, dict), "progress", progress, "a dict")


def _plain(value):
    """A parameter as a value that JSON can represent."""
    if isinstance(value, dict):
        return sorted(([_plain(key), _plain(value[key])] for key in value), key=repr)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(member) for member in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)
