"""Attributes that are computed on first access."""


class lazy:  # noqa: N801 a decorator, lowercase like `property`
    """Like `functools.cached_property`, but without the lock that it has before Python 3.12.

    That lock is shared by all instances, so a child process forked while another thread holds it would deadlock.
    Without it, two threads may both compute the value, but they obtain the same one.
    """

    def __init__(self, function):
        self._function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._function(instance)
        return value
