"""The kernels of csrc: compiled, and called by what the Numba backend's entries are given.

csrc/table.h says what the functions' arguments are: those of the entries by name and in order, but that an array and
its offset are one pointer, and that sizes are arguments which Numba reads off an array.
"""

import ctypes
import inspect
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.testing import assert_array_equal

FOLDER = Path(__file__).parents[1] / "csrc"
COMPILER = shutil.which("cc")
OPTIONS = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC"]
LEVELS = {"avx512": "avx512", "avx2": "avx2", "sse2": "baseline", "neon": "baseline"}

#: Where Numba's entries have an array's offset.
OFFSETS = {"states": "s_at", "sums": "sums_at", "out": "o_at", "d": "d_at", "panel": "panel_at"}


def build(folder):
    """A library of all levels, compiled side by side."""
    compilers = [
        subprocess.Popen(
            [COMPILER, *OPTIONS, f"-DFL_BITS={bits}", "-c", FOLDER / f"{level}.c", "-o", folder / f"{level}{bits}.o"]
        )
        for level in sorted(set(LEVELS.values()))
        for bits in (32, 64)
    ]
    failed = [compiler.wait() for compiler in compilers]
    assert not any(failed)
    library = folder / "kernels.so"
    subprocess.run([COMPILER, "-shared", *sorted(folder.glob("*.o")), "-o", library, "-lm"], check=True)
    return ctypes.CDLL(library)


def signatures():
    """The parameters of every function of a table, as (name, type)."""
    types = {"bool": ctypes.c_bool, "double": ctypes.c_double, "uint64_t": ctypes.c_uint64, "int64_t": ctypes.c_int64}
    text = re.sub(r"/\*.*?\*/", "", (FOLDER / "table.h").read_text(), flags=re.DOTALL)
    functions = {}
    for name, parameters in re.findall(r"\(\*(\w+)\)\((.*?)\);", text, flags=re.DOTALL):
        words = [parameter.replace("*", " * ").split() for parameter in parameters.split(",")]
        functions[name] = [(of[-1], ctypes.c_void_p if "*" in of else types[of[0]]) for of in words]
    return functions


SIGNATURES = signatures()


def table(library, level, dtype):
    """A level's functions for numbers of one type, by name, and L."""

    class Table(ctypes.Structure):
        _fields_ = [
            ("lanes", ctypes.c_int64),
            *(
                (name, ctypes.CFUNCTYPE(ctypes.c_bool if name == "wait" else None, *(of for _, of in parameters)))
                for name, parameters in SIGNATURES.items()
            ),
        ]

    entries = Table.in_dll(library, f"fl_f{8 * dtype.itemsize}_{level}")
    return {name: getattr(entries, name) for name, _ in Table._fields_}


def row_stride(array):
    return array.strides[0] // array.itemsize


def sizes(given):
    """What Numba's entries read off the arrays that they are given."""
    found = {}
    if "starts" in given:
        found["T"] = found["steps"] = given["starts"].size - 1
    for name in ("x", "h_0", "h"):
        if name in given:
            found[f"{name[0]}_stride"] = row_stride(given[name])
    weight = given.get("weight", given.get("d_weight"))
    if weight is not None:  # of a linear layer
        found["K"], found["F"] = weight.shape
    if "features" in given:
        found["M"] = len(given["features"])
    if "shares" in given:  # of a loss
        found["share_columns"], found["d_stride"] = given["shares"].shape[1], row_stride(given["d_scores"])
        found["labels"] = given["targets"]
    if "levels" in given:  # of a distribution
        found["K"] = given["targets"].shape[1]
    rows = given.get("rows", given.get("masks"))
    if rows is not None and rows.ndim == 2:
        found["W"], found["stride"] = rows.shape[1], row_stride(rows)
    if "order" in given:  # of a packed batch
        found["N"] = given["order"].size
        if "out" in given:
            _, found["T"], found["F"] = given["out"].shape
    if "g" in given:
        found["P"] = given["g"].size
    return found


def call(functions, name, given):
    """The function of this name, with what Numba's entry is given, by names."""
    given = {**sizes(given), **given}
    arguments = []
    for parameter, kind in SIGNATURES[name]:
        value = given[parameter]
        if kind is ctypes.c_void_p:
            value = value.ctypes.data + given.get(OFFSETS.get(parameter), 0) * value.itemsize
        arguments.append(value)
    return functions[name](*arguments)


def bits(array):
    """The numbers as whole numbers; NaNs are all the same, as nobody promises which they are."""
    if array.dtype.kind != "f":
        return array
    return np.where(np.isnan(array), -1, np.ascontiguousarray(array).view(f"i{array.itemsize}"))


def beside(functions, name, entry, **more):
    """Numba's entry, which fails where the function of csrc leaves other bits in copies of the arrays.

    functions: those of `table`, by the type of numbers. more: arguments that the entry does not have.
    """
    parameters = list(inspect.signature(getattr(entry, "py_func", entry)).parameters)

    def both(*arguments):
        given, copies, types = dict(zip(parameters, arguments, strict=True)), {}, set()
        for parameter, value in given.items():
            if isinstance(value, np.ndarray):
                types.add(value.dtype.name)
                place = value.ctypes.data, value.shape, value.strides  # an array may come twice
                given[parameter] = copies.setdefault(place, (value, np.array(value, order="C")))[1]
        if name != "multiply_rows" or given["first"] < given["last"]:  # Numba's computes one row at least
            entry(*arguments)
            call(functions["float32" if "float32" in types else "float64"], name, {**given, **more})
        for ours, theirs in copies.values():
            assert_array_equal(bits(theirs), bits(ours), err_msg=f"{name}, of an array {ours.shape}")

    return both
