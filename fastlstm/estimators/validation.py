"""Validation of an estimator's parameters before it is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.base import _fit_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Method = TypeVar("Method", bound=Callable[..., Any])


def validates_parameters(method: Method) -> Method:
    """Decorate a method that fits: scikit-learn's decorator, through which type checkers cannot see the method."""
    return _fit_context(prefer_skip_nested_validation=True)(method)
