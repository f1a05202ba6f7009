"""Short representations of records, with the shapes of arrays in place of their values."""

import numpy as np

from fastlstm import containers


def brief_repr(record, fields):
    """The repr of a record with these fields."""
    described = ", ".join(f"{name}={_brief(getattr(record, name))}" for name in fields)
    return f"{type(record).__name__}({described})"


def _brief(value):
    if isinstance(value, np.ndarray):
        return f"<array of shape {value.shape}>"
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return f"<list of {len(value)} arrays>"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {_brief(member)}" for name, member in value.items()) + "}"
    return containers.brief(value) if isinstance(value, list) else repr(value)
