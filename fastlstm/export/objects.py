"""Values of fitted estimators to a record that JSON can hold and named arrays, and back.

In a record, lists are lists, and an object with the key "@" is any other value: a tuple, a dict, an array, an instance
of a class in `known`. Nothing else can be made of a record, whatever it says: no name is imported, no function called.
"""

import typing
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from pathlib import Path
from types import UnionType

import numpy as np

from fastlstm.export import frames, known
from fastlstm.export.known import require
from fastlstm.files import ModelFileError

PLAIN = (type(None), bool, int, float, str)
TIMES = "mM"  # kinds of NumPy's dates and durations, stored as integers
TEXTS = "USO"  # kinds of arrays whose members stand in the record
#: Bytes that an array of texts may take beyond those of its characters: where all have room for the longest one, and
#: where they have room for more.
MOST_ROOM, LEAST_ROOM = 1 << 28, 1 << 20


class Encoder:
    """Encodes values; `arrays` collects the arrays, named by their places."""

    def __init__(self):
        self.arrays = {}

    def encode(self, value, place):
        """The record of a value; raises TypeError, naming the place, for one that a file cannot hold."""
        kind = type(value)
        if kind in PLAIN:
            return value
        if isinstance(value, str):  # a member of an enumeration, or NumPy's
            return str.__str__(value)
        if kind is list:
            return [self.encode(member, f"{place}[{n}]") for n, member in enumerate(value)]
        if kind is tuple:
            return {"@": "tuple", "values": self.encode(list(value), place)}
        if isinstance(value, dict):
            items = [[self.encode(key, place), self.encode(of, _of(place, key))] for key, of in value.items()]
            return {"@": "dict", "items": items}
        if kind is np.ndarray:
            return self._encode_array(value, place)
        if isinstance(value, np.generic):
            return self._encode_scalar(value, place)
        if isinstance(value, Path):
            return {"@": "path", "text": str(value)}
        if kind is date:
            return {"@": "date", "text": value.isoformat()}
        if kind is range:
            return {"@": "range", "ends": [value.start, value.stop, value.step]}
        if kind is np.random.RandomState:
            return {"@": "RandomState", "state": self.encode(value.get_state(), place)}
        if kind in known.NAMES:
            return self._encode_known(value, place)
        if frames.can_hold(value):
            return frames.encode(value, lambda part: self.encode(part, place))
        raise TypeError(
            f"{place} is of type {kind.__module__}.{kind.__qualname__}, which a model file cannot hold: replace it, or "
            "use joblib, whose files only load where the same versions are installed."
        )

    def _encode_scalar(self, scalar, place):
        dtype, value = scalar.dtype.str, scalar
        if scalar.dtype.kind in TIMES:
            value = scalar.view("i8")
        if type(value.item()) not in PLAIN:
            raise TypeError(f"{place} is of type {scalar.dtype}, which a model file cannot hold.")
        return {"@": "scalar", "dtype": dtype, "value": value.item()}

    def _encode_array(self, array, place):
        kind = array.dtype.kind
        if kind in TEXTS:
            values = array.ravel().tolist()
            if kind == "S":
                values = [value.decode("latin1") for value in values]
            elif kind == "O":
                values = [self.encode(value, place) for value in values]
            return {"@": "texts", "dtype": array.dtype.str, "shape": list(array.shape), "values": values}
        if kind not in "biuf" + TIMES or array.dtype.itemsize > 8:
            raise TypeError(f"{place} is an array of {array.dtype}, which a model file cannot hold.")
        about = {"@": "array", "name": place}
        if kind in TIMES:
            about["dtype"] = array.dtype.newbyteorder("<").str
            array = array.view(f"{array.dtype.byteorder}i8")
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        n, name = 1, place
        while name in self.arrays:
            n, name = n + 1, f"{place} {n}"
        self.arrays[name] = array
        return {**about, "name": name}

    def _encode_known(self, value, place):
        name = known.NAMES[type(value)]
        if known.is_estimator(value):
            return self._encode_estimator(name, value, place)
        parts = {of: self.encode(getattr(value, of), f"{place}.{of}") for of in _fields(type(value))}
        return {"@": name, **parts}

    def _encode_estimator(self, name, estimator, place):
        params = {**estimator.get_params(deep=False), **known.NOT_KEPT.get(name, {})}
        fitted = {of: value for of, value in vars(estimator).items() if of not in params and of not in known.NOT_SAVED}
        known.check_parameters(estimator)
        place = place and f"{place}."
        return {
            "@": name,
            "params": {of: self.encode(value, f"{place}{of}") for of, value in params.items()},
            "fitted": {of: self.encode(value, f"{place}{of}") for of, value in fitted.items()},
            "requests": known.requests(estimator),
        }


class Decoder:
    """Decodes what an `Encoder` has made; raises some exception, often ModelFileError, for any other record."""

    def __init__(self, arrays):
        self.arrays = dict(arrays)

    def decode(self, record):
        if type(record) in PLAIN:
            return record
        if type(record) is list:
            return [self.decode(member) for member in record]
        kind = record["@"]
        special = getattr(self, f"_decode_{kind}", None) if kind in SPECIAL else None
        if special:
            return special(record)
        if kind in frames.NAMES:
            return frames.decode(record, self.decode)
        cls = known.CLASSES.get(kind)
        if cls is None:
            raise ModelFileError(f"unknown class {str(kind)[:50]!r}")
        return self._decode_estimator(cls, record) if known.is_estimator(cls) else self._decode_known(cls, record)

    def _decode_tuple(self, record):
        return tuple(self._list(record["values"]))

    def _list(self, record):
        require(type(record) is list, "a list", record)
        return self.decode(record)

    def _decode_date(self, record):
        return date.fromisoformat(record["text"])

    def _decode_dict(self, record):
        return dict(self._list(record["items"]))

    def _decode_array(self, record):
        array = self.arrays.pop(record["name"])
        if "dtype" in record:
            dtype = np.dtype(record["dtype"])
            require(dtype.kind in TIMES and array.dtype == np.int64, "a dtype", record["dtype"])
            array = array.view(dtype)
        return array

    def _decode_texts(self, record):
        dtype, shape, values = np.dtype(record["dtype"]), tuple(record["shape"]), record["values"]
        require(dtype.kind in TEXTS and type(values) is list, "an array of texts", record["dtype"])
        require(all(type(size) is int and size >= 0 for size in shape), "a shape", shape)
        if dtype.kind == "O":
            out = np.empty(len(values), object)
            out[:] = [self.decode(value) for value in values]
        else:
            require(all(type(value) is str for value in values), "texts", values)
            room = dtype.itemsize * len(values)
            longest, characters = max(map(len, values), default=1), sum(map(len, values))
            is_wide = dtype.itemsize > longest * (4 if dtype.kind == "U" else 1)
            require(room <= (LEAST_ROOM if is_wide else MOST_ROOM) + 64 * characters, "the size of texts", room)
            values = [value.encode("latin1") for value in values] if dtype.kind == "S" else values
            out = np.array(values, dtype)
        return out.reshape(shape)

    def _decode_scalar(self, record):
        dtype, value = np.dtype(record["dtype"]), record["value"]
        require(dtype.kind in "biufU" + TIMES and type(value) in PLAIN, "a scalar", value)
        if dtype.kind == "U":  # without the room of its type
            require(type(value) is str, "a text", value)
            return np.str_(value)
        return np.array(value, "i8").view(dtype)[()] if dtype.kind in TIMES else np.array(value).astype(dtype)[()]

    def _decode_path(self, record):
        return Path(record["text"])

    def _decode_range(self, record):
        return range(*record["ends"])

    def _decode_RandomState(self, record):
        name, key, position, *gauss = self.decode(record["state"])
        is_valid = name == "MT19937" and isinstance(key, np.ndarray) and (key.dtype, key.shape) == (np.uint32, (624,))
        require(is_valid and type(position) is int and 0 <= position <= 624, "the state of a RandomState", position)
        state = np.random.RandomState()
        state.set_state((name, key, position, *gauss))
        return state

    def _decode_known(self, cls, record):
        parts = {name: self.decode(value) for name, value in record.items() if name != "@"}
        for name, (hint, default) in _fields(cls).items():
            if name not in parts:
                require(default is not MISSING, f"{name} of {record['@']}", "nothing")
            else:
                require(_matches(parts[name], hint), f"{name} of {record['@']}", parts[name])
        value = cls(**parts)
        known.check(value)
        return value

    def _decode_estimator(self, cls, record):
        params = {name: self.decode(value) for name, value in record["params"].items()}
        fitted = {name: self.decode(value) for name, value in record["fitted"].items()}
        estimator = cls(**params)
        known.check_parameters(estimator)
        for name in fitted:
            # a value in place of a method would be called
            is_valid = name.isidentifier() and not hasattr(cls, name) and name not in estimator.get_params(deep=False)
            require(is_valid, f"an attribute of {record['@']}", name)
        vars(estimator).update(fitted)
        known.set_requests(estimator, record["requests"])
        known.check(estimator)
        return estimator


SPECIAL = {name.removeprefix("_decode_") for name in vars(Decoder)} - {"known", "estimator"}


def _of(place, key):
    """The place of a member of a dict."""
    return f"{place}.{key}" if type(key) is str else f"{place}[{key!r}]"


def _fields(cls):
    """For each field of a class: its annotation, and its default or MISSING."""
    hints = typing.get_type_hints(cls)
    if is_dataclass(cls):
        defaults = {of.name: of.default if of.default_factory is MISSING else of.default_factory for of in fields(cls)}
    else:
        defaults = {name: cls._field_defaults.get(name, MISSING) for name in cls._fields}
    return {name: (hints.get(name, object), default) for name, default in defaults.items()}


def _matches(value, hint):
    """Whether a value is of an annotated type; members of containers are not checked."""
    origin = typing.get_origin(hint) or hint
    if hint in (typing.Any, object) or origin is typing.Literal:
        return True
    if origin in (typing.Union, UnionType):
        return any(_matches(value, part) for part in typing.get_args(hint))
    if origin is bool:
        return type(value) is bool
    if origin in (int, float):
        numbers = (int, np.integer) if origin is int else (int, float, np.integer, np.floating)
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, origin)
