"""Metadata routing with short docstrings: scikit-learn generates about 30 lines for each ``set_*_request`` method."""


class MetadataRequestMixin:
    """Shortens the docstrings of the ``set_*_request`` methods that scikit-learn adds to a class."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, generated in list(vars(cls).items()):
            if name.startswith("set_") and name.endswith("_request"):
                setattr(cls, name, _RequestMethod(generated, name.removeprefix("set_").removesuffix("_request")))


class _RequestMethod:
    """Descriptor of a ``set_*_request`` method, which scikit-learn creates with its docstring on each access."""

    def __init__(self, generated, method):
        self._generated, self._method = generated, method

    def __get__(self, instance, owner):
        function = self._generated.__get__(instance, owner)
        function.__doc__ = (
            f"Configure which metadata a meta-estimator passes to `{self._method}`; see the metadata routing guide of "
            "scikit-learn."
        )
        return function
