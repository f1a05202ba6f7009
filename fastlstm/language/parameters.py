"""Parameters shared by language models and translators."""

from dataclasses import dataclass
from os import PathLike
from typing import Literal

from sklearn.utils._param_validation import StrOptions

from fastlstm.estimators.parameters import Integers, NetworkParameters, Parameters, remove_defaults

#: Those that mean the same as for the classifier.
SHARED = (
    "max_vocabulary", "min_count", "symbol_dropout", "tol", "n_iter_no_change", "early_stopping",
    "validation_fraction", "checkpoint_path", "checkpoint_every", "resume",
)  # fmt: skip


@dataclass(repr=False, eq=False, kw_only=True)
class LanguageParameters(NetworkParameters):
    """Further parameters of estimators that read symbols only; each documents them, as their units differ."""

    embedding_size: int | Literal["onehot"] = 64
    max_vocabulary: int | None = None
    min_count: int = 1
    symbol_dropout: float = 0.01
    tol: float = 1e-4
    n_iter_no_change: int = 10
    early_stopping: bool = False
    validation_fraction: float = 0.1
    checkpoint_path: str | PathLike | None = None
    checkpoint_every: int | str = 1
    resume: bool = False

    _parameter_constraints = {
        **NetworkParameters._parameter_constraints,
        **{name: Parameters._parameter_constraints[name] for name in SHARED},
        "embedding_size": [Integers(1), StrOptions({"onehot"})],
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        return tags


remove_defaults(LanguageParameters)
