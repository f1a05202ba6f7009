"""Attributes that are computed when they are first asked for."""


class lazy:  # noqa: N801 a decorator, named as `property` is
    """As `functools.cached_property`, without the lock that this has before Python 3.12.

    That lock is one for all instances, and a child that is forked while another thread holds it would wait for ever.
    Two threads may both compute a value; they compute the same.
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
