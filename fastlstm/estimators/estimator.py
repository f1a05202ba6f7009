"""The base class of all estimators."""

from sklearn.base import BaseEstimator

from fastlstm.estimators.links import DocumentationLinkMixin
from fastlstm.estimators.pickles import VersionedPickleMixin


class Estimator(VersionedPickleMixin, DocumentationLinkMixin, BaseEstimator):
    """scikit-learn's base class, with links to the documentation, and pickles that later versions read."""
