"""The parameters of a wrapped estimator as those of its adapter."""

import functools
import inspect


def with_parameters_of(estimator, *, without=(), **defaults):
    """Decorator of ``__init__(self)`` of an adapter, which gives it the parameters of an estimator.

    # Design: scikit-learn, sktime and aeon read the parameters of a class from the signature of its ``__init__``. This
    # one is that of the estimator, so that a parameter added there is one of the adapters, too.

    Parameters
    ----------
    estimator : class
        The estimator.
    without : sequence of str, default=()
        Parameters to leave out.
    **defaults
        Values that replace the estimator's defaults.

    Returns
    -------
    callable
        The decorator. Parameters are stored as attributes before the decorated function is called.

    Raises
    ------
    ValueError
        If the estimator lacks one of these parameters.

    Examples
    --------
    >>> from fastlstm import LSTMForecaster
    >>> from fastlstm.adapters.parameters import with_parameters_of
    >>> class Adapter:
    ...     @with_parameters_of(LSTMForecaster, without=["freq"], horizon=1)
    ...     def __init__(self):
    ...         super().__init__()
    >>> adapter = Adapter(window=20)
    >>> adapter.horizon, adapter.window, hasattr(adapter, "freq")
    (1, 20, False)
    """
    parameters = inspect.signature(estimator.__init__).parameters
    unknown = [name for name in (*without, *defaults) if name not in parameters]
    if unknown:
        raise ValueError(f"{estimator.__name__} has no parameters {unknown}.")
    signature = inspect.Signature(
        [
            parameter.replace(default=defaults.get(name, parameter.default))
            for name, parameter in parameters.items()
            if name not in without
        ]
    )

    def decorate(init):
        @functools.wraps(init)
        def with_parameters(self, *args, **kwargs):
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            vars(self).update((name, value) for name, value in bound.arguments.items() if name != "self")
            init(self)

        with_parameters.__signature__ = signature
        return with_parameters

    return decorate
