"""Training in MPI processes: the bits of a training in one."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("mpi4py") is None:
    pytest.skip("mpi4py is not installed", allow_module_level=True)
MPIEXEC = Path(sys.executable).parent / "mpiexec"
if not MPIEXEC.exists():
    pytest.skip("there is no mpiexec beside Python", allow_module_level=True)
PROGRAM = str(Path(__file__).parent / "mpi_program.py")
LIMIT = 60  # seconds


def run(size, how, n_partitions=8):
    command = [MPIEXEC, "-n", size, sys.executable, "-m", "mpi4py", PROGRAM, how, n_partitions]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=LIMIT)


def bits(done):
    """What each process, or each engine of a single one, has computed."""
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("bits ")]


@pytest.mark.parametrize(
    ("size", "how", "n_partitions"),
    [
        (2, "uneven", 8),  # one process has no data
        (4, "even", 2),  # two have no partition
    ],
)
def test_every_process_has_the_bits_of_one_without_mpi(size, how, n_partitions):
    of_mpi, of_local = bits(run(1, "alone", n_partitions))
    assert of_mpi == of_local
    done = run(size, how, n_partitions)
    assert bits(done) == [of_local] * size
    assert done.stdout.count("epoch 1 ") == 1  # only the first reports


def test_a_process_that_fails_ends_all():
    done = run(3, "error")
    assert done.returncode != 0
    assert "OSError: no data for 0" in done.stderr
    assert "This was in chunk 0 of X (0) in process 2." in done.stderr


def test_processes_of_different_parameters_do_not_wait_for_each_other():
    done = run(2, "differing")
    assert done.returncode != 0
    assert "ValueError: Process 1 has max_iter: 3, but process 0 has 2." in done.stderr
