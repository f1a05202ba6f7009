"""Adapters for other libraries, as far as these need not be installed; the rest is in ``tests/contracts``."""

import importlib
import inspect
import sys

import pytest

from fastlstm import LSTMClassifier
from fastlstm.adapters.parameters import with_parameters_of


@pytest.mark.parametrize("library", ["sktime", "aeon"])
def test_a_missing_library_is_named(library, monkeypatch):
    module = f"fastlstm.adapters.{library}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    for name in [library, *(name for name in sys.modules if name.startswith(f"{library}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"{module} requires {library}, .*pip install 'fastlstm\[{library}\]'"):
        importlib.import_module(module)


class Adapter:
    @with_parameters_of(LSTMClassifier, without=["layout"], max_iter=7)
    def __init__(self):
        self.seen = vars(self).copy()


def test_the_signature_is_that_of_the_estimator():
    expected = dict(inspect.signature(LSTMClassifier).parameters)
    del expected["layout"]
    expected["max_iter"] = expected["max_iter"].replace(default=7)
    assert dict(inspect.signature(Adapter).parameters) == expected
    assert inspect.getfullargspec(Adapter.__init__).varkw is None


def test_parameters_are_stored_before_the_library_starts():
    expected = LSTMClassifier(5, cell="gru", max_iter=7).get_params()
    del expected["layout"]
    assert Adapter(5, cell="gru").seen == expected


def test_other_arguments_are_refused():
    with pytest.raises(TypeError, match="layout"):
        Adapter(layout=None)


def test_unknown_parameters_cannot_be_left_out():
    with pytest.raises(ValueError, match=r"LSTMClassifier has no parameters \['lags'\]"):
        with_parameters_of(LSTMClassifier, without=["lags"])
