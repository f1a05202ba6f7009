"""Adapters for other libraries, as far as these need not be installed; the rest is in ``tests/contracts``."""

import inspect

import pytest

from fastlstm import LSTMClassifier
from fastlstm.adapters.parameters import with_parameters_of


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
