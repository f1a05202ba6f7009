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

from fastlstm import files as model_files

RECORD = {"epoch": 3, "curve": [0.1, 1 / 3, float("inf")], "name": "é"}
ARRAYS = {"moments": np.random.default_rng(0).normal(size=(2, 50)).astype("float32"), "nothing": np.empty(0)}


@pytest.fixture
def path(tmp_path):
    model_files.write(tmp_path / "a.checkpoint", "checkpoint", RECORD, ARRAYS)
    return tmp_path / "a.checkpoint"


def files(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_what_is_read_is_what_was_written(path):
    record, arrays = model_files.read(path, "checkpoint")
    assert record == RECORD
    assert arrays.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        assert_array_equal(arrays[name], value, strict=True)
    assert files(path) == ["a.checkpoint"]


def test_the_new_one_replaces_the_old(path):
    model_files.write(path, "checkpoint", {"epoch": 4}, {})
    assert model_files.read(path, "checkpoint") == ({"epoch": 4}, {})
    assert files(path) == ["a.checkpoint"]


@pytest.mark.parametrize("kind", model_files.KINDS)
def test_every_flipped_byte_is_noticed(path, kind):
    path.unlink()
    model_files.write(path, kind, RECORD, ARRAYS)
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        with pytest.raises(model_files.ModelFileError, match=f"is damaged|is not a fastlstm {kind}|has format"):
            model_files.read(path, kind)


def test_every_cut_is_noticed(path):
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(model_files.ModelFileError, match=r"is damaged or truncated|not a fastlstm checkpoint"):
            model_files.read(path, "checkpoint")


def test_bytes_behind_the_end_are_noticed(path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(model_files.ModelFileError, match="is damaged"):
        model_files.read(path, "checkpoint")


def test_another_format_is_named(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(model_files, "FORMAT", 7)
        model_files.write(path, "checkpoint", RECORD, ARRAYS)
    with pytest.raises(model_files.ModelFileError, match="has format 7; this version of fastlstm reads format 1"):
        model_files.read(path, "checkpoint")


def test_a_file_of_another_kind_is_named(path):
    with pytest.raises(model_files.ModelFileError, match="is a fastlstm checkpoint, not a fastlstm model"):
        model_files.read(path, "model")
    with pytest.raises(OSError, match="exists and is not a model"):
        model_files.check_writable(path, "model")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(model_files.ModelFileError, match="is not a file"):
        model_files.read(tmp_path, "model")


def test_what_is_written_is_the_same_bytes_each_time(path):
    data = path.read_bytes()
    model_files.write(path, "checkpoint", RECORD, ARRAYS)
    assert path.read_bytes() == data


FAILURES = {"write": "while writing", "fsync": "while flushing", "replace": "while renaming"}


@pytest.mark.parametrize("place", FAILURES)
def test_the_last_good_file_survives_a_disk_that_fills(path, monkeypatch, place):
    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full(io.FileIO):
        write = fail

    def opened(file, mode):
        return (Full if "w" in mode else io.FileIO)(file, mode)

    if place == "write":
        monkeypatch.setattr(model_files, "open", opened, raising=False)
    else:
        monkeypatch.setattr(os, place, fail)
    with pytest.raises(OSError, match="No space left"):
        model_files.write(path, "checkpoint", {"epoch": 4}, {})
    monkeypatch.undo()
    assert model_files.read(path, "checkpoint")[0] == RECORD
    assert files(path) == ["a.checkpoint"]


def test_what_a_killed_process_left_is_removed_and_a_living_ones_is_not(path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    here, dead = platform.node(), int(dead.stdout)
    names = (f"a.checkpoint.{host}-{pid}-ab.tmp" for host, pid in [(here, dead), (here, os.getpid()), ("far", dead)])
    left, written, elsewhere = map(path.with_name, names)
    others = path.with_name("a.checkpoint.notes.tmp")
    for file in (left, written, elsewhere, others):
        file.write_bytes(b"half")
    model_files.check_writable(path, "checkpoint")
    assert files(path) == sorted([path.name, written.name, elsewhere.name, others.name])


@pytest.mark.parametrize(
    ("name", "error"), [("no/such/folder", FileNotFoundError), ("a.checkpoint/b", NotADirectoryError), (".", OSError)]
)
def test_where_nothing_can_be_written(path, name, error):
    with pytest.raises(error):
        model_files.check_writable(path.parent / name, "checkpoint")
    assert files(path) == ["a.checkpoint"]


def test_only_a_checkpoint_is_replaced(path):
    model_files.check_writable(path, "checkpoint")
    path.write_bytes(b"")
    model_files.check_writable(path, "checkpoint")
    path.write_bytes(b"my thesis")
    with pytest.raises(OSError, match="exists and is not a checkpoint"):
        model_files.check_writable(path, "checkpoint")
    assert path.read_bytes() == b"my thesis"


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name != "posix", reason="links need rights elsewhere")
def test_a_link_stays_a_link(path):
    link = path.with_name("link")
    link.symlink_to(path)
    model_files.write(link, "checkpoint", {"epoch": 5}, {})
    assert link.is_symlink()
    assert Path(path).exists()
    assert model_files.read(path, "checkpoint")[0] == {"epoch": 5}


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_a_replaced_checkpoint_keeps_its_mode(path, mode):
    path.chmod(mode)
    model_files.write(path, "checkpoint", {"epoch": 6}, {})
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
    model_files.write(path, "checkpoint", {"epoch": 6}, {})
    assert modes[0] == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only an administrator gives files away")
def test_a_checkpoint_that_an_administrator_replaces_stays_its_owners(path):
    os.chown(path, 65534, 65534)
    model_files.write(path, "checkpoint", {"epoch": 6}, {})
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
