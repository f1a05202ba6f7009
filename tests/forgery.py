"""Files that `fastlstm.files` has not written: records, arrays and bytes with changes."""

import copy
import json
import math

import numpy as np

VALUES = [None, True, False, 0, 1, 2, 3, -1, 10**6, 1 << 80, 0.0, 0.5, -1.5, 1e300, math.inf, -math.inf, math.nan]
VALUES += ["", "adam", "\ud800", [], [0.5], [0.5] * 3, [[[[]]]], {}, {"a": 1}]
ARRAYS = [np.zeros(0), np.ones((2, 3), "float32"), np.zeros((), "uint8"), np.full(5, np.nan)]


def places(value, path=()):
    """The paths to all that is in a record."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from places(value[key], (*path, key))


def mutate(record, arrays, draw):
    """Change something in a record, or an array."""
    if draw.random() < 0.2:
        name = draw.choice(sorted(arrays) or ["parameters"])
        arrays[name] = draw.choice(ARRAYS)
        if draw.random() < 0.2:
            del arrays[name]
        return
    found = list(places(record))
    if not found:  # nothing is left of it
        return
    *path, last = draw.choice(found)
    for key in path:
        record = record[key]
    action = draw.random()
    if action < 0.2:
        del record[last]
    elif action < 0.3 and isinstance(record, dict):
        record[draw.choice(["more", "epochs", "rate"])] = copy.deepcopy(draw.choice(VALUES))
    else:
        record[last] = copy.deepcopy(draw.choice(VALUES))


def damaged(data, draw):
    """Bytes with a few changes by a `random.Random`: other bytes, some less, some twice."""
    data = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data))
        if draw.random() < 0.5:
            data[at] = draw.randrange(256)
        elif draw.random() < 0.5:
            del data[at : at + draw.randint(1, 50)]
        else:
            data[at:at] = data[draw.randrange(len(data)) :][: draw.randint(1, 300)]
    return bytes(data)


def forged_bytes(kind, record, tensors="", data=b""):
    """A file with this text as the record, and these as its entries of tensors."""
    about = f'{{"kind": "{kind}", "format": 1, "checksum": "", "record": {record}}}'
    header = f'{{"__metadata__":{{"fastlstm":{json.dumps(about)}}}{tensors}}}'.encode()
    return len(header).to_bytes(8, "little") + header + data


def tensor(shape, first, last, dtype="F32", name="a"):
    return f', "{name}": {{"dtype": "{dtype}", "shape": {shape}, "data_offsets": [{first}, {last}]}}'


def files_of(kind):
    """Files that none of ours are, but begin like one."""
    return {
        "terabytes": forged_bytes(kind, "{}", tensor([10**12, 8], 0, 32 * 10**12)),
        "more numbers than can be counted": forged_bytes(kind, "{}", tensor([1 << 63, 1 << 63], 0, 4), bytes(4)),
        "a negative shape": forged_bytes(kind, "{}", tensor([-1], 0, 4), bytes(4)),
        "many dimensions": forged_bytes(kind, "{}", tensor([1] * 100, 0, 4), bytes(4)),
        "more than its bytes": forged_bytes(kind, "{}", tensor([2], 0, 4), bytes(4)),
        "overlapping arrays": forged_bytes(kind, "{}", tensor([1], 0, 4) + tensor([2], 0, 8, name="b"), bytes(8)),
        "a hole": forged_bytes(kind, "{}", tensor([1], 4, 8), bytes(8)),
        "bytes behind the last array": forged_bytes(kind, "{}", "", bytes(8)),
        "the end before the beginning": forged_bytes(kind, "{}", tensor([1], 4, 0), bytes(4)),
        "an unknown type": forged_bytes(kind, "{}", tensor([1], 0, 4, "X32"), bytes(4)),
        "numbers of a type that is not ours": forged_bytes(kind, "{}", tensor([2], 0, 4, "BF16"), bytes(4)),
        "a header that goes on": (1 << 40).to_bytes(8, "little") + forged_bytes(kind, "{}")[8:],
        "a header that ends early": (40).to_bytes(8, "little") + forged_bytes(kind, "{}")[8:],
        "a record nested deeply": forged_bytes(kind, "[" * 100_000),
        "a record nested deeply and whole": forged_bytes(kind, "[" * 100_000 + "]" * 100_000),
        "a number of too many digits": forged_bytes(kind, "1" * 10_000),
        "a record that is no JSON": forged_bytes(kind, "\udcff{"),
        "a record that is a list": forged_bytes(kind, "[]"),
    }
