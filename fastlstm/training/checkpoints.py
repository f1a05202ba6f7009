"""Checkpoint files, written atomically and never executed as code.

A file consists of MAGIC, the format version, the size of the payload, a SHA-256 checksum of these two fields and the
payload, and the payload: a NumPy archive of plain arrays, one of which holds a record in JSON.
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
FIELDS = struct.Struct("<IQ")  # format version, payload size
RECORD = "record"
START = len(MAGIC) + FIELDS.size + hashlib.sha256().digest_size  # offset of the payload
DTYPES = {np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64)}


def write(path, record, arrays, expect=None):
    """Write a record that JSON can hold and named arrays, replacing an existing file atomically.

    The new file gets the permissions of the old one before anything is written to it. Raises OSError on failure.

    expect: function that is called with the `identity` of the new file before it replaces the old one.
    """
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(record).encode(), np.uint8)
    np.savez(buffer, **{RECORD: text}, **arrays)
    payload = buffer.getbuffer()
    fields = FIELDS.pack(FORMAT, len(payload))
    checksum = hashlib.sha256(fields)
    checksum.update(payload)
    path = Path(path).resolve()  # replace the target of a symbolic link, not the link; likewise in `check_writable`
    temporary = _temporary(path)
    try:
        with open(_created(temporary, path), "wb") as file:
            for part in (MAGIC, fields, checksum.digest(), payload):
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if expect:
            expect(identity(temporary))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def identity(path):
    """What distinguishes a file from another one at the same path, also after it is renamed; None without a file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def read(path):
    """Read the record and the arrays of a file written by `write`; raise ValueError if the file is damaged.

    Memory use is limited to a few times the file size, whatever sizes the file declares.
    """
    with open(path, "rb") as file:
        file_size, header = os.fstat(file.fileno()).st_size, file.read(START)
        fields, checksum = _split_header(path, header, file_size)
        version, size = FIELDS.unpack(fields)
        if file_size < START + size:  # or `size` is wrong: the file is rejected either way
            raise ValueError(f"{path} is truncated: it has {file_size} of {START + size} bytes.")
        payload = file.read(size) if file_size == START + size else b""
    digest = hashlib.sha256(fields)
    digest.update(payload)
    if digest.digest() != checksum:
        raise ValueError(f"{path} is damaged: its checksum does not match its contents.")
    if version != FORMAT:
        raise ValueError(f"{path} is a checkpoint of format {version}; this version of fastlstm reads format {FORMAT}.")
    try:
        return _parse(payload)
    except Exception:  # the exceptions of zipfile, NumPy and json on malformed input are not documented
        raise ValueError(f"{path} does not contain a valid checkpoint.") from None


def _split_header(path, header, file_size):
    """The fields and the checksum in the header of a file."""
    if not header:
        raise ValueError(f"{path} is empty, not a checkpoint.")
    if header[: len(MAGIC)] != MAGIC[: len(header)]:
        raise ValueError(f"{path} is not a fastlstm checkpoint.")
    if len(header) < START:
        raise ValueError(f"{path} is truncated: it has {file_size} bytes, fewer than the {START} of a header.")
    return header[len(MAGIC) : len(MAGIC) + FIELDS.size], header[len(MAGIC) + FIELDS.size :]


def _parse(payload):
    """The record and the arrays in an archive made by `write`; raises some exception if it is malformed."""
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        members = archive.infolist()
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not stored or sum(member.file_size for member in members) > len(payload):
            raise ValueError("the archive is compressed, or declares sizes beyond its own")
        arrays = {member.filename.removesuffix(".npy"): _parse_array(archive.read(member)) for member in members}
    record = arrays.pop(RECORD)
    if len(arrays) + 1 != len(members) or record.dtype != np.uint8:
        raise ValueError("duplicate array names, or a record that is not text")
    return json.loads(record.tobytes()), arrays


def _parse_array(data):
    """The array in the bytes of a NumPy file, validated before memory is allocated for it."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("not a NumPy file of format 1.0")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    size = math.prod(shape) * dtype.itemsize
    if is_fortran or dtype not in DTYPES or min(shape, default=0) < 0 or size != len(data) - file.tell():
        raise ValueError("the header does not match the data")
    return np.ndarray(shape, dtype, data, file.tell()).copy()


def check_writable(path):
    """Raise OSError unless a checkpoint can be written to `path` without overwriting any other kind of file.

    Also removes temporary files left by killed processes.
    """
    path = Path(path).resolve()
    if path.exists():
        if not path.is_file():
            raise OSError(f"{path} is not a file")
        with open(path, "rb") as file:
            begin = file.read(len(MAGIC))
        if begin not in (b"", MAGIC):
            raise OSError(f"{path} exists and is not a checkpoint")
    temporary = _temporary(path)
    open(temporary, "xb").close()
    temporary.unlink()
    ours = f"{path.name}.{platform.node()}-"  # whether processes of other machines are alive cannot be known here
    for leftover in path.parent.glob(f"{glob_escape(ours)}*.tmp"):
        process = leftover.name[len(ours) :].split("-")[0]
        if process.isdecimal() and not _is_alive(int(process)):
            with contextlib.suppress(OSError):
                leftover.unlink()


def _created(temporary, path):
    """Descriptor of the new file `temporary`, with the owner, group and mode of the file at `path`, if any."""
    try:
        old = os.stat(path)
    except FileNotFoundError:
        old = None
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, mode if os.name == "posix" else 0o666)
    if old is not None and os.name == "posix":
        with contextlib.suppress(OSError):  # only root can change the owner
            os.fchown(descriptor, old.st_uid, old.st_gid)
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, mode)  # `os.open` has applied the umask
    return descriptor


def _temporary(path):
    """Name of a temporary file of this process in the same folder."""
    return path.with_name(f"{path.name}.{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _is_alive(process):
    if os.name != "posix":  # os.kill with signal 0 would terminate the process on Windows
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _sync_folder(folder):
    """Flush the folder entry to disk, where the system supports that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
