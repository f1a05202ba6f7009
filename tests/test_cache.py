"""Machine code on disk: kept, used again, and never used where anything that made it has changed."""

import os
import shutil
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from helpers import run_python

jit = pytest.importorskip("fastlstm.kernels.numba.jit")
import fastlstm  # noqa: E402
from fastlstm.kernels.numba import permissions  # noqa: E402


def twice(number):
    return number + number


def calls(function, argument):
    """The result of a new dispatcher, as another process would make it, and whether its code came from the disk."""
    dispatcher = jit.entry(function)
    return dispatcher(argument), sum(dispatcher.stats.cache_hits.values()) == 1


@pytest.fixture
def new_process(monkeypatch):
    """Forget which folder is used, as another process would not know."""

    jit.cache_folder.cache_clear()
    yield jit.cache_folder.cache_clear
    monkeypatch.undo()
    jit.cache_folder.cache_clear()


@pytest.fixture
def folder(tmp_path, monkeypatch, new_process):
    """An empty folder that is used."""
    monkeypatch.setattr(jit.numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return jit.cache_folder()


# -- files --------------------------------------------------------------------------------------------------


def test_machine_code_is_kept(folder):
    assert calls(twice, 1.5) == (3.0, False)
    assert calls(twice, 2.5) == (5.0, True)


def test_every_signature_has_its_machine_code(folder):
    assert calls(twice, 1.5) == (3.0, False)
    assert calls(twice, 2) == (4, False)
    assert len(list(folder.glob("test_cache.twice-*.nbc"))) == 2


def flip(position):
    def spoil(data):
        data[position] ^= 1
        return data

    return spoil


DAMAGE = {
    "a flipped bit of the checksum": flip(5),
    "a flipped bit of the code": flip(-300),
    "cut short": lambda data: data[: len(data) // 2],
    "only a checksum": lambda data: data[:32],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("spoil", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_not_used_and_is_mended(folder, spoil):
    calls(twice, 1.5)
    (file,) = folder.glob("*.nbc")
    file.write_bytes(spoil(bytearray(file.read_bytes())))
    assert calls(twice, 2.5) == (5.0, False)
    assert calls(twice, 2.5) == (5.0, True)


def test_a_folder_that_is_gone_costs_a_compilation(folder):
    shutil.rmtree(folder.parent)
    assert calls(twice, 1.5) == (3.0, False)


def test_a_folder_that_is_gone_is_made_anew_by_the_next_process(folder, new_process):
    shutil.rmtree(folder.parent)
    new_process()
    assert calls(twice, 1.5) == (3.0, False)
    assert calls(twice, 1.5) == (3.0, True)


# -- places -------------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path, monkeypatch, new_process):
    """The places where machine code may be kept, the preferred one first."""
    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(jit, "__file__", str(package / "jit.py"))
    monkeypatch.setattr(jit.numba.config, "CACHE_DIR", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return [tmp_path / "chosen", package / "__pycache__", tmp_path / "home"]


def refuse(place):
    """A file in place of a folder, which even an administrator cannot write into."""
    place.write_text("not a folder")


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_the_first_place_that_can_be_written_is_used(places, refused):
    for place in places[:refused]:
        refuse(place)
    assert jit.cache_folder().parent == places[refused]


def test_without_xdg_cache_home_the_last_place_is_in_the_home(places, tmp_path, monkeypatch):
    for place in places[:2]:
        refuse(place)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert jit.cache_folder().parent == tmp_path / ".cache"


def test_without_a_place_there_is_one_warning_and_no_cache(places):
    for place in places:
        refuse(place)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert calls(twice, 1.5) == calls(twice, 1.5) == (3.0, False)
    assert [warning.category for warning in caught] == [RuntimeWarning]
    assert "NUMBA_CACHE_DIR" in str(caught[0].message)


# -- owners -------------------------------------------------------------------------------------------------

modes = pytest.mark.skipif(os.name != "posix", reason="there are no modes")
administrator = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="others' files cannot be made"
)
NOBODY = 65534


def folder_in(place):
    """The folder in a place, made as others would who know its name."""
    folder = place / f"fastlstm-{jit.SOURCE_KEY}"
    folder.mkdir(parents=True)
    return folder


def open_to_all(place):
    place.mkdir()
    place.chmod(0o777)


def with_a_folder_open_to_all(place):
    folder_in(place).chmod(0o777)


def with_a_folder_open_to_a_group(place):
    folder = folder_in(place)
    os.chown(folder, -1, NOBODY)
    folder.chmod(0o770)


def with_a_link(place):
    place.mkdir()
    (place.parent / "elsewhere").mkdir()
    (place / f"fastlstm-{jit.SOURCE_KEY}").symlink_to(place.parent / "elsewhere")


def with_a_link_to_nothing(place):
    place.mkdir()
    (place / f"fastlstm-{jit.SOURCE_KEY}").symlink_to(place / "nothing")


def with_a_folder_of_another_user(place):
    place.mkdir()
    place.chmod(0o1777)
    os.chown(folder_in(place), NOBODY, NOBODY)


def of_another_user(place):
    place.mkdir()
    os.chown(place, NOBODY, NOBODY)


EXPOSED = [open_to_all, with_a_folder_open_to_all, with_a_link, with_a_link_to_nothing]
BY_OTHERS = [with_a_folder_of_another_user, of_another_user, with_a_folder_open_to_a_group]


@modes
@pytest.mark.parametrize("expose", [*EXPOSED, *(pytest.param(make, marks=administrator) for make in BY_OTHERS)])
def test_a_chosen_place_that_others_may_change_is_passed_over_with_a_warning(places, expose):
    expose(places[0])
    with pytest.warns(RuntimeWarning, match=r"does not cache .* in NUMBA_CACHE_DIR=.* because .* It uses .* instead"):
        folder = jit.cache_folder()
    assert folder.parent == places[1]
    assert not list(places[0].rglob("*.nbc"))


@modes
def test_a_place_below_a_folder_that_others_may_change_is_passed_over(places, tmp_path, monkeypatch):
    open_to_all(tmp_path / "open")
    (tmp_path / "open" / "ours").mkdir(mode=0o700)
    monkeypatch.setattr(jit.numba.config, "CACHE_DIR", str(tmp_path / "open" / "ours"))
    with pytest.warns(RuntimeWarning, match="other users can write to"):
        assert jit.cache_folder().parent == places[1]


@modes
def test_a_place_where_nobody_can_move_what_is_anothers_is_used(places):
    places[0].mkdir()
    places[0].chmod(0o1777)
    folder = jit.cache_folder()
    assert folder.parent == places[0]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@modes
def test_folders_are_made_for_this_user_alone(places, tmp_path, monkeypatch):
    monkeypatch.setattr(jit.numba.config, "CACHE_DIR", str(tmp_path / "new" / "newer"))
    before = os.umask(0)
    try:
        folder = jit.cache_folder()
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *list(folder.parents)[:2])] == [0o700] * 3


@modes
def test_a_place_behind_a_link_of_ours_is_used(places, tmp_path):
    (tmp_path / "real").mkdir()
    places[0].symlink_to(tmp_path / "real")
    assert jit.cache_folder().parent == tmp_path / "real"


@modes
def test_a_folder_beside_the_sources_that_others_may_change_is_passed_over_in_silence(places, monkeypatch):
    monkeypatch.setattr(jit.numba.config, "CACHE_DIR", "")
    with_a_folder_open_to_all(places[1])
    assert jit.cache_folder().parent == places[2]


@modes
def test_without_a_place_of_our_own_the_warning_says_why(places):
    for place in places:
        with_a_folder_open_to_all(place)
    with pytest.warns(RuntimeWarning, match=r"cannot cache its compiled kernels: .* other users can write to .*home"):
        assert jit.cache_folder() is None


def give_away(file):
    os.chown(file, NOBODY, NOBODY)


@modes
@pytest.mark.parametrize(
    "expose", [lambda file: file.chmod(0o666), pytest.param(give_away, marks=administrator)], ids=["mode", "owner"]
)
def test_a_file_that_others_may_have_written_is_not_used_and_is_replaced(folder, expose):
    calls(twice, 1.5)
    (file,) = folder.glob("*.nbc")
    expose(file)
    assert calls(twice, 2.5) == (5.0, False)
    assert calls(twice, 2.5) == (5.0, True)


@modes
def test_a_group_of_the_owner_alone_may_write(tmp_path, monkeypatch):
    pwd, grp = pytest.importorskip("pwd"), pytest.importorskip("grp")
    tmp_path.chmod(0o770)
    user = type("User", (), {"pw_gid": tmp_path.stat().st_gid, "pw_name": "ada"})
    group = type("Group", (), {"gr_name": "ada", "gr_mem": []})
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: user)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: group)
    assert permissions.exposure(tmp_path, parents=False) is None
    group.gr_mem = ["eve"]
    assert permissions.exposure(tmp_path, parents=False) == f"other users can write to {tmp_path}"


def test_where_there_are_no_owners_nothing_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(permissions, "HAS_OWNERS", False)
    tmp_path.chmod(0o777)
    assert permissions.exposure(tmp_path) is None
    assert permissions.is_ours(tmp_path.stat())


# -- processes ----------------------------------------------------------------------------------------------

#: Prints numbers from kernels that are made of tiles, activations and losses, and how many came from the disk.
PROGRAM = """
import sys
import time
from pathlib import Path

import numpy as np

from fastlstm.kernels.numba.activations import tanh
from fastlstm.kernels.numba.head import HUBER, residual_loss
from fastlstm.kernels.numba.jit import entry
from fastlstm.kernels.numba.tiles import load, store


@entry
def of_tiles(a, out):
    store(tanh(load(1, 1, a, 0, 0)) + 1, out, 0, 0)


@entry
def of_losses(a, out):
    for n in range(a.size):
        out[n] = residual_loss(HUBER, 2.5 * a[n])[0]


{before}
a, out = np.linspace(0.5, 1, 32, dtype="float32"), np.empty(32, "float32")
for probe in (of_tiles, of_losses):
    probe(a, out)
    print(out[0])
print(sum(sum(probe.stats.cache_hits.values()) for probe in (of_tiles, of_losses)))
"""


def write_program(home, before=""):
    """A copy of the package, and PROGRAM beside it with `before` what it does first; how to run it."""
    if not (home / "fastlstm").exists():
        shutil.copytree(Path(fastlstm.__file__).parent, home / "fastlstm", ignore=shutil.ignore_patterns("__pycache__"))
    (home / "program.py").write_text(PROGRAM.replace("{before}", before))
    return home / "program.py"


def environment(home, **more):
    """For Python to take that copy, and to leave no byte code, which it would take for that of an edited file."""
    unset = {"NUMBA_CACHE_DIR": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**unset, "PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")]), **more}


def outcome(home, before="", **more):
    """The numbers that PROGRAM prints, and how many kernels it found compiled."""
    *numbers, found = run_python(write_program(home, before), **environment(home, **more)).split()
    return numbers, int(found)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A copy of the package that has compiled its kernels, and their numbers."""
    home = tmp_path_factory.mktemp("compiled")
    return home, outcome(home)[0]


@pytest.fixture
def copy(compiled, tmp_path):
    """Another copy, machine code included."""
    shutil.copytree(compiled[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def edit(path, old, new):
    """Edit a file in one place so that neither its size nor its time tells."""
    before, text = path.stat(), path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_machine_code_of_other_sources_is_not_used(compiled, copy):
    edit(copy / "fastlstm/kernels/rationals.py", "(0.5, 0.014905646", "(0.6, 0.014905646")
    numbers, found = outcome(copy)
    assert found == 0
    assert numbers != compiled[1]


def test_every_source_of_the_kernels_has_a_part_in_the_key(tmp_path, monkeypatch):
    kernels = tmp_path / "kernels"
    shutil.copytree(Path(jit.__file__).parents[1], kernels, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    monkeypatch.setattr(jit, "__file__", str(kernels / "numba/jit.py"))
    before, sources = jit._source_key(), list(kernels.rglob("*.py"))
    assert before == jit.SOURCE_KEY
    for source in sources:
        data = source.read_bytes()
        source.write_bytes(data + b"#")
        assert jit._source_key() != before, source
        source.write_bytes(data)
    assert len(sources) > 20


def test_the_same_sources_find_their_machine_code(compiled, copy):
    assert outcome(copy) == (compiled[1], 2)


@pytest.mark.system
def test_sources_edited_while_a_process_runs_are_not_taken_for_what_it_compiles(compiled, copy):
    shutil.rmtree(copy / "fastlstm/kernels/numba/__pycache__")
    rationals = copy / "fastlstm/kernels/rationals.py"
    edit = f"path = Path({str(rationals)!r}); path.write_text(path.read_text().replace('(0.5, ', '(0.6, '))"
    assert outcome(copy, before=edit) == (compiled[1], 0)
    numbers, found = outcome(copy)
    assert found == 0
    assert numbers != compiled[1]


@pytest.mark.system
def test_a_package_and_home_that_cannot_be_written_cost_one_warning(compiled, copy):
    cache = copy / "fastlstm/kernels/numba/__pycache__"
    shutil.rmtree(cache)
    refuse(cache)
    refuse(copy / "home")
    places = {"HOME": copy / "home", "XDG_CACHE_HOME": ""}
    done = subprocess.run(
        [sys.executable, "-W", "always::RuntimeWarning", write_program(copy)],
        env={**os.environ, **environment(copy, **{name: str(place) for name, place in places.items()})},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*compiled[1], "0"]
    assert done.stderr.count("RuntimeWarning: fastlstm cannot cache its compiled kernels") == 1


@pytest.mark.system
def test_processes_that_compile_at_once_leave_what_the_next_one_uses(compiled, copy):
    shutil.rmtree(copy / "fastlstm/kernels/numba/__pycache__")
    together = """
Path(f"{sys.argv[1]}.ready").touch()
while len(list(Path(sys.argv[1]).parent.glob("*.ready"))) < 2:
    time.sleep(1e-3)
"""
    program = write_program(copy, together)
    processes = [
        subprocess.Popen(
            [sys.executable, program, copy / name],
            env={**os.environ, **environment(copy)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "other")
    ]
    try:
        for process in processes:
            printed, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            assert printed.split()[:2] == compiled[1]
    finally:
        for process in processes:
            process.kill()
    assert outcome(copy) == (compiled[1], 2)
    (folder,) = (copy / "fastlstm/kernels/numba/__pycache__").iterdir()
    assert [path.suffix for path in folder.iterdir()] == [".nbc"] * 2  # nothing half-written is left


@pytest.mark.system
def test_functions_of_one_name_from_two_processes_stay_apart(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
import sys
from fastlstm.kernels.numba.jit import entry, kernel


def adding(number):
    @kernel
    def times(count):
        return 0.5 if count == 0 else number + times(count - 1)  # a recursion is not inlined

    return times


ones, tens = adding(1.0), adding(10.0)


@entry
def of_ones(count):
    return ones(count)


@entry
def of_tens(count):
    return tens(count)


for name in sys.argv[1:]:
    print(globals()[name](3))
""")
    folder = {"NUMBA_CACHE_DIR": tmp_path / "cache"}
    apart = run_python(program, "of_ones", **folder), run_python(program, "of_tens", **folder)
    together = run_python(program, "of_ones", "of_tens", **folder)
    assert together.split() == list(apart) == ["3.5", "30.5"]
