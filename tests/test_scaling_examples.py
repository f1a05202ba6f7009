"""README's programs for more data than memory, and more machines than one, run as README shows them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MPI = [str(Path(sys.executable).with_name("mpiexec")), "-n", "2", sys.executable, "-m", "mpi4py"]


@pytest.mark.parametrize(
    ("name", "command"),
    [("larger_than_memory", [sys.executable]), ("on_dask", [sys.executable]), ("on_mpi", MPI)],
)
def test_programs_of_readme_run(name, command, tmp_path):
    pytest.importorskip({"on_dask": "distributed", "on_mpi": "mpi4py"}.get(name, "numpy"))
    path = ROOT / "examples" / f"{name}.py"
    assert f"```py\n{path.read_text()}```" in README
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, path], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    # two processes may write their scores on one line
    lines = re.sub(r"(?<=\d)(-?0\.)", r"\n\1", done.stdout).splitlines()
    assert len([line for line in lines if line.startswith("epoch")]) == 3
    error = [1 - float(line) if name != "on_dask" else float(line) for line in lines if line[:2] in ("0.", "-0")]
    assert len(error) == (2 if name == "on_mpi" else 1)
    assert max(error) < 0.9
