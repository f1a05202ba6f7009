"""Estimators whose X are sequences of symbols: reading X, and the embedding that the network begins with."""

import numpy as np

from fastlstm import symbols
from fastlstm.estimators.layouts import resolve
from fastlstm.training.embedding import Embedding
from fastlstm.training.standardization import Scaling


def check_parameters(estimator):
    """Raise ValueError if parameters are incompatible with symbols, or have no effect without them."""
    if estimator.embedding_size is None:
        for name, default in (("max_vocabulary", None), ("min_count", 1)):
            if getattr(estimator, name) != default:
                raise ValueError(
                    f"{name}={getattr(estimator, name)!r} has no effect without embedding_size: set embedding_size, or "
                    f"{name}={default!r}."
                )
        return
    for name, default, why in (
        ("missing", "error", "symbols cannot be missing: impute numbers beside them"),
        ("layout", None, "sequences of symbols have no columns of lags"),
        ("time_order", "auto", "sequences of symbols have no columns of lags"),
    ):
        if getattr(estimator, name) != default:
            raise ValueError(
                f"{name}={getattr(estimator, name)!r} is not supported with embedding_size="
                f"{estimator.embedding_size!r}, since {why}; set {name}={default!r}."
            )


def check_symbols(estimator, X, dtype, reset, name):
    """X as Series of numbers and codes.

    reset: if True, sets what later X must match: the attributes ``_schema``, ``n_features_in_`` and
    ``feature_names_in_``, and, for uses that do not know of symbols, ``_channels``, ``_columns`` and ``_plan``.
    """
    if not reset:
        return symbols.read(X, name, estimator._schema, dtype)
    schema = vars(estimator).get("_known_schema")  # of more data than X
    if schema is None:
        series, schema = symbols.learn(X, name, dtype, estimator.max_vocabulary, estimator.min_count)
    else:
        series = symbols.read(X, name, schema, dtype)
    estimator._schema = schema
    estimator.n_features_in_ = estimator._channels = series.channels
    estimator._columns, estimator._plan = None, resolve(None, "auto")
    estimator.__dict__.pop("feature_names_in_", None)
    if schema.names is not None:
        estimator.feature_names_in_ = np.array(schema.names, object)
    return series


def embedding_of(estimator):
    """The `Embedding` of the symbols of fitted columns, with one vector more for unknown ones; None without symbols."""
    if estimator.embedding_size is None:
        return None
    schema = estimator._schema
    channels, C = len(schema.kinds), schema.n_numbers
    sizes = tuple(len(vocabulary) + 1 for vocabulary in schema.vocabularies)
    width = None if estimator.embedding_size == "onehot" else int(estimator.embedding_size)
    return Embedding(channels, tuple(range(C, channels)), sizes, width)


def without_codes(scaling, embedding):
    """A scaling of all channels that leaves codes as they are."""
    mean, scale = scaling.mean.copy(), scaling.scale.copy()
    mean[list(embedding.columns)], scale[list(embedding.columns)] = 0, 1
    return Scaling(mean, scale)


def vocabulary_of(schema):
    """The symbols of each column, by its name; of plain sequences, the only ones."""
    if schema.names is None:
        return schema.vocabularies[0].symbols
    return dict(zip(schema.channel_names[schema.n_numbers :], (of.symbols for of in schema.vocabularies), strict=True))
