"""Atomic updates of fitted estimators, so that other threads see the state before or after a fit, never a mixture."""


def snapshot(estimator):
    """Shallow copy of an estimator, not affected by later fits."""
    copied = object.__new__(type(estimator))
    vars(copied).update(vars(estimator))
    return copied


class AtomicUpdate:
    """A copy of an estimator to be fitted; the estimator itself does not change until `commit`.

    Attributes
    ----------
    copy : estimator
        The copy to fit.
    """

    def __init__(self, estimator):
        self._estimator, self.copy = estimator, snapshot(estimator)
        self._before = vars(self.copy).copy()

    def changes(self):
        """Attributes of the copy that are new or have been reassigned."""
        before, nothing = self._before, object()
        return {name: value for name, value in vars(self.copy).items() if before.get(name, nothing) is not value}

    def commit(self):
        """Apply all changes to the estimator in one step."""
        removed = self._before.keys() - vars(self.copy).keys()
        updated = {**vars(self._estimator), **self.changes()}  # callbacks may have set attributes during the fit
        self._estimator.__dict__ = {name: value for name, value in updated.items() if name not in removed}
