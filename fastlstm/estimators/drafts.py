"""Fitted estimators are replaced as a whole: another thread sees the old one or the new one, never parts of both."""


def as_it_is(estimator):
    """A shallow copy, which stays as it is when another thread fits the estimator."""
    copied = object.__new__(type(estimator))
    vars(copied).update(vars(estimator))
    return copied


class Draft:
    """A copy of an estimator to fit; the estimator itself does not change until `adopt`.

    Attributes
    ----------
    copy : estimator
        What is fitted.
    """

    def __init__(self, estimator):
        self._estimator, self.copy = estimator, as_it_is(estimator)
        self._before = vars(self.copy).copy()

    def changes(self):
        """Attributes that the copy has gained, or has others of."""
        before, nothing = self._before, object()
        return {name: value for name, value in vars(self.copy).items() if before.get(name, nothing) is not value}

    def adopt(self):
        """Change the estimator as the copy was changed, in one step."""
        gone = self._before.keys() - vars(self.copy).keys()
        adopted = {**vars(self._estimator), **self.changes()}  # whoever watches the fit may have set some meanwhile
        self._estimator.__dict__ = {name: value for name, value in adopted.items() if name not in gone}
