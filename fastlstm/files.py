"""Files of models and of checkpoints: written atomically, read without trust, never executed as code.

All bytes from outside are parsed here. A file is one of safetensors: named arrays, and a header in JSON, whose only
metadata, METADATA, is a text in JSON again: the kind of the file, the version of the format, a SHA-256 checksum, and a
record of plain values.
"""

import contextlib
import errno
import hashlib
import json
import os
import platform
import secrets
import stat
import struct
from glob import escape as glob_escape
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import save

METADATA, FORMAT = "fastlstm", 1
KINDS = ("checkpoint", "model")
SIZE = struct.Struct("<Q")  # of the header, which follows
#: NumPy's types by their names in a header.
DTYPES = {
    name: np.dtype(dtype)
    for name, dtype in {
        "BOOL": "?", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "I8": "i1", "I16": "<i2", "I32": "<i4",
        "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
    }.items()
}  # fmt: skip


class ModelFileError(ValueError):
    """A file that is damaged, or lacks required content.

    Examples
    --------
    >>> import fastlstm, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.safetensors"
    >>> path.write_bytes(b"something else")
    14
    >>> try:
    ...     fastlstm.load(path)
    ... except fastlstm.ModelFileError as error:
    ...     print(str(error).partition("a.safetensors")[2])
     is not a fastlstm model.
    """


def write(path, kind, record, arrays, expect=None):
    """Write a record that JSON can hold and named arrays, replacing an existing file atomically.

    Raises OSError on failure.

    expect: function that is called with the `identity` of the new file before it replaces the old one.
    """
    other = _kind(_first_bytes(path)) if os.path.isfile(path) else None
    if other not in (None, kind):
        raise OSError(errno.EEXIST, f"Is a fastlstm {other}, not a {kind}", str(path))
    arrays = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    about = {"kind": kind, "format": FORMAT, "checksum": _checksum(record, arrays), "record": record}
    write_atomically({path: save(arrays, {METADATA: json.dumps(about)})}, expect)


def _checksum(record, arrays):
    digest = hashlib.sha256(json.dumps(record).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode("utf-8", "surrogatepass"))
        digest.update(array.reshape(-1).view("u1"))
    return digest.hexdigest()


def write_atomically(contents, expect=None):
    """Write files, replacing existing ones when all new ones are complete; see `write`.

    A new file gets the permissions of the old one before anything is written to it. Raises OSError, which names the
    file.

    contents: dict of path to bytes.
    """
    targets = {path: _target(path) for path in contents}
    staged = {path: _temporary(target) for path, target in targets.items()}
    try:
        for path, data in contents.items():
            with _named_errors(path), open(_created(staged[path], targets[path]), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if expect:
                expect(identity(staged[path]))
        for path, target in targets.items():
            with _named_errors(path):
                os.replace(staged[path], target)
    except BaseException:
        for temporary in staged.values():
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise
    for folder in {target.parent for target in targets.values()}:
        _sync_folder(folder)


@contextlib.contextmanager
def _named_errors(path):
    """Let errors name the file that was asked for, not a temporary one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _target(path):
    """The file to write for a path; raises OSError if that is a folder, a device or read-only."""
    try:
        target = Path(path).resolve()  # replace the target of a symbolic link, not the link
    except RuntimeError as error:  # before Python 3.13, for links in a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if target.is_dir():
        raise OSError(errno.EISDIR, "Is a folder, not a file", str(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "Is a device or a pipe, not a file", str(path))
    if target.exists() and not os.access(target, os.W_OK):
        raise OSError(errno.EACCES, "Is read-only", str(path))
    return target


def identity(path):
    """What distinguishes a file from another one at the same path, also after it is renamed; None without a file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def read(path, kind):
    """Read the record and the arrays of a file that `write` has written; raise ModelFileError if it is damaged.

    Memory use is limited to a few times the file size, whatever sizes the file declares.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise ModelFileError(f"{path} is not a file.")
    with open(path, "rb") as file:
        begin = file.read(LONGEST_BEGIN)
        if _kind(begin) != kind:
            what = f"a fastlstm {_kind(begin)}, " if _kind(begin) else "" if begin else "empty, "
            raise ModelFileError(f"{path} is {what}not a fastlstm {kind}.")
        data = begin + file.read()
    try:
        about, arrays = _parse(data)
        version, record = about["format"], about["record"]
        is_whole = about["checksum"] == _checksum(record, arrays)
    except Exception:  # those of safetensors, NumPy and json on malformed input are not documented
        raise ModelFileError(f"{path} is damaged or truncated: get an intact copy.") from None
    if not is_whole:
        raise ModelFileError(f"{path} is damaged: its checksum does not match its contents. Get an intact copy.")
    if version != FORMAT:
        raise ModelFileError(
            f"{path} has format {str(version)[:20]}; this version of fastlstm reads format {FORMAT}: use the version "
            "that wrote it."
        )
    return record, arrays


def _begin(kind):
    """What a file begins with, after the header's size."""
    text = json.dumps(json.dumps({"kind": kind})[:-1])[1:-1]
    return f'{{"__metadata__":{{"{METADATA}":"{text}'.encode()


LONGEST_BEGIN = SIZE.size + max(len(_begin(kind)) for kind in KINDS)


def _kind(begin):
    """The kind of a file by its first bytes; None if it is not one of ours."""
    return next((kind for kind in KINDS if begin[SIZE.size :].startswith(_begin(kind))), None)


def _first_bytes(path):
    """Those of a file that tell its kind."""
    with open(path, "rb") as file:
        return file.read(LONGEST_BEGIN)


def _parse(data):
    """What the metadata say, and the arrays; raises some exception if the bytes are malformed."""
    arrays = {}
    for name, of_array in safetensors.deserialize(data):  # checks all sizes
        array = np.frombuffer(of_array["data"], DTYPES[of_array["dtype"]])
        arrays[name] = array.reshape(of_array["shape"]).copy()
    header = json.loads(data[SIZE.size : SIZE.size + SIZE.unpack_from(data)[0]])
    return json.loads(header["__metadata__"][METADATA]), arrays


def check_writable(path, kind):
    """Raise OSError unless a file can be written to `path` without overwriting any of another kind.

    Also removes temporary files left by killed processes.
    """
    path = Path(path).resolve()
    if path.exists():
        if not path.is_file():
            raise OSError(f"{path} is not a file")
        begin = _first_bytes(path)
        if begin and _kind(begin) != kind:
            raise OSError(f"{path} exists and is not a {kind}")
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
