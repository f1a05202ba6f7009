"""Files that keep a training: whole or not there, and never run as code.

A file is MAGIC, its format's number, the number of bytes that follow the checksum, a SHA-256 of these two and of the
bytes, and the bytes: a NumPy archive of plain arrays, one of which is a record in JSON.
"""

import contextlib
import hashlib
import io
import json
import os
import platform
import secrets
import struct
from glob import escape as glob_escape
from pathlib import Path

import numpy as np

MAGIC, FORMAT = b"fastlstm checkpoint\n", 1
FIELDS = struct.Struct("<IQ")  # format, bytes
RECORD = "record"


def write(path, record, arrays):
    """Write what JSON can hold and named arrays; the old file stays until the new one is whole on disk.

    Raises OSError if that cannot be.
    """
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(record).encode(), np.uint8)
    np.savez(buffer, **{RECORD: text}, **arrays)
    payload = buffer.getbuffer()
    fields = FIELDS.pack(FORMAT, len(payload))
    checksum = hashlib.sha256(fields)
    checksum.update(payload)
    path = Path(path).resolve()  # a link stays one, here and in `check_writable`
    temporary = _temporary(path)
    try:
        with open(temporary, "xb") as file:
            for part in (MAGIC, fields, checksum.digest(), payload):
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def read(path):
    """The record and the arrays that `write` wrote to the file; ValueError if they are no longer what was written."""
    data = Path(path).read_bytes()
    start = len(MAGIC) + FIELDS.size + hashlib.sha256().digest_size
    if not data:
        raise ValueError(f"{path} is empty, not a checkpoint.")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise ValueError(f"{path} is not a checkpoint of fastlstm.")
    if len(data) < start:
        raise ValueError(f"{path} is cut short: it has {len(data)} bytes, not even the {start} of a checkpoint's head.")
    fields = data[len(MAGIC) : len(MAGIC) + FIELDS.size]
    number, size = FIELDS.unpack(fields)
    payload = memoryview(data)[start:]
    if len(payload) < size:  # or the number itself is wrong: the file is refused either way
        raise ValueError(f"{path} is cut short: it has {len(data)} of {start + size} bytes.")
    checksum = hashlib.sha256(fields)
    checksum.update(payload)
    if checksum.digest() != data[start - checksum.digest_size : start]:
        raise ValueError(f"{path} is damaged: its checksum is not that of what it holds.")
    if number != FORMAT:
        raise ValueError(f"{path} is a checkpoint of format {number}; this version of fastlstm reads format {FORMAT}.")
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            arrays = dict(archive)
        return json.loads(arrays.pop(RECORD).tobytes()), arrays
    except (KeyError, OSError, ValueError):  # NumPy's words would advise to load pickles
        raise ValueError(f"{path} holds something else than a checkpoint.") from None


def check_writable(path):
    """Raise OSError unless a checkpoint can be written there and replaces nothing but a checkpoint.

    Removes what processes left half-written that were killed.
    """
    path = Path(path).resolve()
    if path.exists():
        if not path.is_file():
            raise OSError(f"{path} is not a file")
        with open(path, "rb") as file:
            begin = file.read(len(MAGIC))
        if begin not in (b"", MAGIC):
            raise OSError(f"{path} is there, and not a checkpoint")
    temporary = _temporary(path)
    open(temporary, "xb").close()
    temporary.unlink()
    ours = f"{path.name}.{platform.node()}-"  # other machines' processes are not known here
    for leftover in path.parent.glob(f"{glob_escape(ours)}*.tmp"):
        process = leftover.name[len(ours) :].split("-")[0]
        if process.isdecimal() and not _is_alive(int(process)):
            with contextlib.suppress(OSError):
                leftover.unlink()


def _temporary(path):
    """A name beside the file, of this process."""
    return path.with_name(f"{path.name}.{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _is_alive(process):
    if os.name != "posix":  # elsewhere to ask would be to kill
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _sync_folder(folder):
    """Make the new name last, where the system lets folders be synced."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
