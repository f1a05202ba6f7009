"""Fitted estimators to files and other frameworks, and back."""

from importlib import import_module

#: The module of each function, which is imported when the function is first used.
MODULES = {
    "from_keras": "keras",
    "from_torch": "pytorch",
    "load": "saving",
    "register_onnx_converters": "onnx",
    "save": "saving",
    "to_c": "c",
    "to_keras": "keras",
    "to_onnx": "onnx",
    "to_torch": "pytorch",
}
__all__ = list(MODULES)


def __getattr__(name):
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)


def __dir__():
    return __all__
