"""Files that keep a training: whole or not there, and never run as code.

A file is MAGIC, its format's number, the number of bytes that follow the checksum, a SHA-256 of these two and of the
bytes, and the bytes: a NumPy archive of plain arrays, one of which is a record in JSON.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import platform
import secrets
import stat
import struct
import zipfile
from glob import escape as glob_escape
from pathlib import Path

import numpy as np

MAGIC, FORMAT = b"fastlstm checkpoint\n", 1
FIELDS = struct.Struct("<IQ")  # format, bytes
RECORD = "record"
START = len(MAGIC) + FIELDS.size + hashlib.sha256().digest_size  # where the bytes begin that the checksum is of
DTYPES = {np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64)}


def write(path, record, arrays):
    """Write what JSON can hold and named arrays; the old file stays until the new one is whole on disk.

    The new file is as open to others as the old one was, and from its first byte on. Raises OSError if that cannot be.
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
        with open(_created(temporary, path), "wb") as file:
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
    """The record and the arrays that `write` wrote to the file; ValueError if they are no longer what was written.

    No more memory is taken than a few times the size of the file, whatever the file says of itself.
    """
    with open(path, "rb") as file:
        there, head = os.fstat(file.fileno()).st_size, file.read(START)
        fields, checksum = _divide_head(path, head, there)
        number, size = FIELDS.unpack(fields)
        if there < START + size:  # or the number itself is wrong: the file is refused either way
            raise ValueError(f"{path} is cut short: it has {there} of {START + size} bytes.")
        payload = file.read(size) if there == START + size else b""
    digest = hashlib.sha256(fields)
    digest.update(payload)
    if digest.digest() != checksum:
        raise ValueError(f"{path} is damaged: its checksum is not that of what it holds.")
    if number != FORMAT:
        raise ValueError(f"{path} is a checkpoint of format {number}; this version of fastlstm reads format {FORMAT}.")
    try:
        return _parse(payload)
    except Exception:  # what zipfile, NumPy and json raise for forged bytes is documented nowhere
        raise ValueError(f"{path} holds something else than a checkpoint.") from None


def _divide_head(path, head, there):
    """The fields and the checksum of a file of that many bytes which begins with `head`."""
    if not head:
        raise ValueError(f"{path} is empty, not a checkpoint.")
    if head[: len(MAGIC)] != MAGIC[: len(head)]:
        raise ValueError(f"{path} is not a checkpoint of fastlstm.")
    if len(head) < START:
        raise ValueError(f"{path} is cut short: it has {there} bytes, not even the {START} of a checkpoint's head.")
    return head[len(MAGIC) : len(MAGIC) + FIELDS.size], head[len(MAGIC) + FIELDS.size :]


def _parse(payload):
    """The record and the arrays in an archive as `write` makes it; some exception if it is another."""
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        members = archive.infolist()
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not stored or sum(member.file_size for member in members) > len(payload):
            raise ValueError("the archive would unpack to more than it is")
        arrays = {member.filename.removesuffix(".npy"): _parse_array(archive.read(member)) for member in members}
    record = arrays.pop(RECORD)
    if len(arrays) + 1 != len(members) or record.dtype != np.uint8:
        raise ValueError("two arrays of one name, or a record that is no text")
    return json.loads(record.tobytes()), arrays


def _parse_array(data):
    """The array in the bytes of a NumPy file, checked before memory is taken for it."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("not a file as NumPy writes it for short headers")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    size = math.prod(shape) * dtype.itemsize
    if is_fortran or dtype not in DTYPES or min(shape, default=0) < 0 or size != len(data) - file.tell():
        raise ValueError("the header does not describe the bytes behind it")
    return np.ndarray(shape, dtype, data, file.tell()).copy()


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


def _created(temporary, path):
    """A descriptor of the new file `temporary`, with owner, group and mode of the file at `path` if there is one."""
    try:
        old = os.stat(path)
    except FileNotFoundError:
        old = None
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, mode if os.name == "posix" else 0o666)
    if old is not None and os.name == "posix":
        with contextlib.suppress(OSError):  # only an administrator may give a file away
            os.fchown(descriptor, old.st_uid, old.st_gid)
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, mode)  # the process's mask has taken its part
    return descriptor


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
