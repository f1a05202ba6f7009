"""Kinds of things that are a file each, found by its name: losses, solvers."""

import importlib
import pkgutil


def files_of(package, path):
    """The modules of a package by their names, but those with a leading underscore."""
    names = (module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_"))
    return {name: importlib.import_module(f"{package}.{name}") for name in names}
