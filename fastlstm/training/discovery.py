"""Discovery of losses and solvers, which are one module each."""

import importlib
import pkgutil


def modules_in(package, path):
    """Modules of a package by name, except those with a leading underscore."""
    names = (module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))
    return {name: importlib.import_module(f"{package}.{name}") for name in names}
