"""Facts that stand in several files of a checkout agree."""

import re
import tomllib
from pathlib import Path

import pytest

from fastlstm import __version__

CHECKOUT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not (CHECKOUT / "CITATION.cff").exists(), reason="these tests are not in a checkout")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def citation():
    """The entries of CITATION.cff that are one line of text."""
    text = (CHECKOUT / "CITATION.cff").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w-]+): (.+)$", text, re.MULTILINE))


def test_the_citation_names_this_version_and_its_licence(project, citation):
    assert citation["version"] == __version__
    assert citation["license"] == project["license"]
    assert citation["repository-code"] == project["urls"]["Source"]


def test_the_oldest_versions_are_the_lower_bounds(project):
    bounds = dict(re.match(r"([\w-]+)>=([\d.]+)", dependency).groups() for dependency in project["dependencies"])
    pins = (CHECKOUT / "tests" / "oldest.txt").read_text(encoding="utf-8")
    assert dict(re.findall(r"^([\w-]+)==([\d.]+)\.\*$", pins, re.MULTILINE)) == bounds


def test_the_commit_hook_formats_as_the_tests_expect(project):
    (ruff,) = (name for name in project["optional-dependencies"]["test"] if name.startswith("ruff"))
    hooks = (CHECKOUT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"ruff-pre-commit\n +rev: v([\d.]+)\n", hooks) == [ruff.removeprefix("ruff==")]
