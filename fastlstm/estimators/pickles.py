"""Pickled estimators, which may be of an earlier version."""

import math
from dataclasses import MISSING, fields, is_dataclass

from fastlstm._version import __version__
from fastlstm.estimators.layouts import Plan

KEY = "_fastlstm_version"
FIRST = "0.1.0"  # it did not pickle its version


def _release(version):
    """The numbers of a version, without those of its development."""
    return tuple(int(part) for part in version.split(".")[:3])


class VersionedPickleMixin:
    """Pickles the version with an estimator; one of an earlier version is brought up to date when it is unpickled."""

    def __getstate__(self):
        return {**super().__getstate__(), KEY: __version__}

    def __setstate__(self, state):
        state = dict(state)
        made_by = state.pop(KEY, FIRST)
        if _release(made_by) > _release(__version__):
            raise ValueError(
                f"This {type(self).__name__} was pickled by fastlstm {made_by}, but this is version {__version__}: use "
                "that version, or a file of fastlstm.save."
            )
        if made_by == FIRST:
            state = _since_first(type(self), state)
        super().__setstate__(state)


def _since_first(cls, state):
    """The state that a later version would have: with new parameters at their defaults."""
    if is_dataclass(cls):
        state = {**{field.name: field.default for field in fields(cls) if field.default is not MISSING}, **state}
    if "_channels" in state:
        state.setdefault("_plan", Plan())
    progress = state.get("_progress")
    if progress is not None and "rate_curve" not in vars(progress):
        progress.rate_curve = [math.nan] * progress.epochs
        state["learning_rate_curve_"] = list(progress.rate_curve)
    return state
