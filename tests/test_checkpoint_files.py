"""Files of checkpoints: what was written, or an error that says what is wrong; never half a file."""

import errno
import io
import os
import platform
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastlstm.training import checkpoints

RECORD = {"epoch": 3, "curve": [0.1, 1 / 3, float("inf")], "name": "é"}
ARRAYS = {"moments": np.random.default_rng(0).normal(size=(2, 50)).astype("float32"), "nothing": np.empty(0)}


@pytest.fixture
def path(tmp_path):
    checkpoints.write(tmp_path / "a.checkpoint", RECORD, ARRAYS)
    return tmp_path / "a.checkpoint"


def files(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_what_is_read_is_what_was_written(path):
    record, arrays = checkpoints.read(path)
    assert record == RECORD
    assert arrays.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        assert_array_equal(arrays[name], value, strict=True)
    assert files(path) == ["a.checkpoint"]


def test_the_new_one_replaces_the_old(path):
    checkpoints.write(path, {"epoch": 4}, {})
    assert checkpoints.read(path) == ({"epoch": 4}, {})
    assert files(path) == ["a.checkpoint"]


def test_every_flipped_byte_is_noticed(path):
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        with pytest.raises(ValueError, match=r"a\.checkpoint (is damaged|is truncated|is not a fastlstm checkpoint)"):
            checkpoints.read(path)


def test_every_cut_is_noticed(path):
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"a\.checkpoint (is truncated: it has \d+|is empty)"):
            checkpoints.read(path)


def test_bytes_behind_the_end_are_noticed(path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="is damaged"):
        checkpoints.read(path)


def test_another_format_is_named(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "FORMAT", 7)
        checkpoints.write(path, RECORD, ARRAYS)
    with pytest.raises(ValueError, match="is a checkpoint of format 7; this version of fastlstm reads format 1"):
        checkpoints.read(path)


def test_nothing_in_a_file_is_run(path):
    """An array of objects would be a pickle: there is none, and one put there is refused."""
    payload = io.BytesIO()
    np.savez(payload, record=np.array([print], dtype=object))
    fields = checkpoints.FIELDS.pack(checkpoints.FORMAT, len(payload.getvalue()))
    checksum = checkpoints.hashlib.sha256(fields + payload.getvalue()).digest()
    path.write_bytes(checkpoints.MAGIC + fields + checksum + payload.getvalue())
    with pytest.raises(ValueError, match="does not contain a valid checkpoint"):
        checkpoints.read(path)


FAILURES = {"write": "while writing", "fsync": "while flushing", "replace": "while renaming"}


@pytest.mark.parametrize("place", FAILURES)
def test_the_last_good_file_survives_a_disk_that_fills(path, monkeypatch, place):
    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full(io.FileIO):
        write = fail

    if place == "write":
        monkeypatch.setattr(checkpoints, "open", lambda name, mode: Full(name, "xb"), raising=False)
    else:
        monkeypatch.setattr(os, place, fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.write(path, {"epoch": 4}, {})
    monkeypatch.undo()
    assert checkpoints.read(path)[0] == RECORD
    assert files(path) == ["a.checkpoint"]


def test_what_a_killed_process_left_is_removed_and_a_living_ones_is_not(path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    here, dead = platform.node(), int(dead.stdout)
    names = (f"a.checkpoint.{host}-{pid}-ab.tmp" for host, pid in [(here, dead), (here, os.getpid()), ("far", dead)])
    left, written, elsewhere = map(path.with_name, names)
    others = path.with_name("a.checkpoint.notes.tmp")
    for file in (left, written, elsewhere, others):
        file.write_bytes(b"half")
    checkpoints.check_writable(path)
    assert files(path) == sorted([path.name, written.name, elsewhere.name, others.name])


@pytest.mark.parametrize(
    ("name", "error"), [("no/such/folder", FileNotFoundError), ("a.checkpoint/b", NotADirectoryError), (".", OSError)]
)
def test_where_nothing_can_be_written(path, name, error):
    with pytest.raises(error):
        checkpoints.check_writable(path.parent / name)
    assert files(path) == ["a.checkpoint"]


def test_only_a_checkpoint_is_replaced(path):
    checkpoints.check_writable(path)
    path.write_bytes(b"")
    checkpoints.check_writable(path)
    path.write_bytes(b"my thesis")
    with pytest.raises(OSError, match="exists and is not a checkpoint"):
        checkpoints.check_writable(path)
    assert path.read_bytes() == b"my thesis"


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name != "posix", reason="links need rights elsewhere")
def test_a_link_stays_a_link(path):
    link = path.with_name("link")
    link.symlink_to(path)
    checkpoints.write(link, {"epoch": 5}, {})
    assert link.is_symlink()
    assert Path(path).exists()
    assert checkpoints.read(path)[0] == {"epoch": 5}


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_a_replaced_checkpoint_keeps_its_mode(path, mode):
    path.chmod(mode)
    checkpoints.write(path, {"epoch": 6}, {})
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
def test_a_closed_checkpoint_is_open_to_nobody_while_it_is_replaced(path, monkeypatch):
    path.chmod(0o600)
    modes, create = [], os.open

    def noted(*args):
        descriptor = create(*args)
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", noted)
    checkpoints.write(path, {"epoch": 6}, {})
    assert modes[0] == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only an administrator gives files away")
def test_a_checkpoint_that_an_administrator_replaces_stays_its_owners(path):
    os.chown(path, 65534, 65534)
    checkpoints.write(path, {"epoch": 6}, {})
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
