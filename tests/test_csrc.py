"""The sources of the C kernels: what the compiler does not see."""

import re
from pathlib import Path

import pytest

from fastlstm.kernels import rationals

CSRC = Path(__file__).parents[1] / "csrc"
pytestmark = pytest.mark.skipif(not CSRC.exists(), reason="these are the tests of an installed package")


def functions(file, pattern):
    """Their names, and the types of their parameters as Cython has them."""
    text = re.sub(r"/\*.*?\*/", "", (CSRC / file).read_text(), flags=re.DOTALL)
    found = {}
    for name, parameters in re.findall(pattern, text, flags=re.DOTALL):
        without_names = (
            re.sub(r"(?<=[ *])\w+(?=,|$)", "", " ".join(parameters.split())) if file == "table.h" else parameters
        )
        words = without_names.replace("bool", "bint").replace("*", " * ")
        for name_of_type in ("REAL", "OPERAND"):
            words = words.replace(f"FL_{name_of_type}", name_of_type.lower())
        words = re.sub(r"FL_NAME\((\w+)\)", r"\1", words)
        found[name] = [" ".join(of.split()) for of in words.split(",")]
    return found


def test_cython_has_the_functions_of_the_table():
    ours = functions("table.pxi", r"\(\*(\w+)\)\((.*?)\) noexcept nogil")
    assert len(ours) > 25
    assert list(ours.items()) == list(functions("table.h", r"\(\*(\w+)\)\((.*?)\);").items())


def test_coefficients_of_activations():
    text = (CSRC / "activations.h").read_text()
    single, double = re.search(r"#if FL_BITS == 32\n(.*?)#else\n(.*?)#endif", text, flags=re.DOTALL).groups()
    for bits, part in ((32, single), (64, double)):
        arrays = dict(re.findall(r"real (\w+)\[\] = \{(.*?)\}", part, flags=re.DOTALL))
        arrays |= dict(re.findall(r"#define (\w+_BOUND) (\S+)", part))
        numbers = {
            name: tuple(float(n.rstrip("f")) for n in re.split(r",\s*", of.strip())) for name, of in arrays.items()
        }
        for name in ("TANH", "SIGMOID"):
            bound, p, q = getattr(rationals, f"{name}{bits}")
            assert (numbers[f"{name}_BOUND"], numbers[f"{name}_P"], numbers[f"{name}_Q"]) == ((bound,), p, q)


def test_neither_python_nor_allocation():
    for path in CSRC.glob("*.[chi]*"):
        assert not re.search(r"Python\.h|\b(m|c|re|aligned_)alloc\b|\bfree\(", path.read_text()), path.name
