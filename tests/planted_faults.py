"""Plant one fault at a time in a copy of this checkout and check that a test fails.

python tests/planted_faults.py [WORD ...] [--every-combination] plants the faults of planted_faults.txt whose names
contain one of the words, by default all. A fault takes seconds, or a minute or two where kernels are compiled.
The exit status is 1 if one is missed. If the code that a fault replaces has changed, edit planted_faults.txt.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "demo", "*.egg-info", "*.pyc")


class Fault(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    tests: str


def read_faults():
    blocks = Path(__file__).with_suffix(".txt").read_text().split("\n\n")
    faults = [Fault(*block.strip().splitlines()) for block in blocks if not block.startswith("#")]
    faults = [fault._replace(old=fault.old.removeprefix("- "), new=fault.new.removeprefix("+ ")) for fault in faults]
    for name, file, old, _, _ in faults:
        count = (CHECKOUT / file).read_text().count(old)
        if count != 1:
            raise SystemExit(f"{name}: expected this once in {file}, found it {count} times: {old}")
    return faults


def build(tree):
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--force"]
    environment = {**os.environ, "FASTLSTM_BUILD_EXT": "require"}
    subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True)


def first_failure(tree, tests, options):
    """The first test that fails, or None."""
    files, _, words = tests.partition(" -k ")
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *files.split(), *options]
    command += ["-k", words] if words else []
    # byte code is told from other byte code by size and second only
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"the tests did not run:\n{done.stdout}{done.stderr}")
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0] if done.returncode else None


def plant(fault, tree, options):
    """Plant the fault in the tree and remove it again; the first test that fails, or None."""
    path, modules = tree / fault.file, {module: module.read_bytes() for module in tree.rglob("*.so")}
    before = path.read_text()
    path.write_text(before.replace(fault.old, fault.new))
    if fault.file.startswith("csrc"):
        build(tree)
    failure = first_failure(tree, fault.tests, options)
    path.write_text(before)
    for module, content in modules.items():
        module.write_bytes(content)
    return failure


def main(arguments):
    options = [argument for argument in arguments if argument.startswith("-")]
    words = [argument for argument in arguments if not argument.startswith("-")] or [""]
    faults = [fault for fault in read_faults() if any(word in fault.name for word in words)]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = shutil.copytree(CHECKOUT, Path(folder) / "checkout", ignore=LEFT_OUT)
        for fault in faults:
            begin = time.monotonic()
            failure = plant(fault, tree, options)
            missed += failure is None
            print(f"{time.monotonic() - begin:4.0f} s  {fault.name}: {failure or 'MISSED'}", flush=True)
    print(f"{len(faults) - missed} of {len(faults)} faults caught")
    sys.exit(missed > 0)


if __name__ == "__main__":
    main(sys.argv[1:])
