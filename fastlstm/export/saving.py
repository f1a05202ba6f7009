"""Files of fitted estimators."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fastlstm import containers, files
from fastlstm._version import __version__
from fastlstm.estimators.encoder import SequenceEncoder
from fastlstm.estimators.parameters import NetworkParameters
from fastlstm.export import known
from fastlstm.export.objects import Decoder, Encoder
from fastlstm.export.sources import check_quantize
from fastlstm.files import ModelFileError
from fastlstm.training.model import Model

if TYPE_CHECKING:
    from typing import Any, Literal

KIND = "model"


def save(estimator: Any, path: str | PathLike[str]) -> None:
    """Save a fitted estimator to a file.

    The file is one of safetensors [1]_: arrays, and the rest as text in JSON. There is no code in it: whatever a file
    holds, `load` runs nothing of it.

    Parameters
    ----------
    estimator : estimator
        A fitted `LSTMClassifier`, `LSTMRegressor`, `SequenceEncoder`, `SequenceScaler`, `LSTMForecaster`,
        `LSTMLanguageModel` or `LSTMTranslator`; a MaxAbsScaler, MinMaxScaler, Normalizer, PowerTransformer,
        QuantileTransformer, RobustScaler or StandardScaler of scikit-learn; or a Pipeline of these. All parameters,
        fitted attributes and metadata requests are saved, but no callbacks, and no `memory` of a Pipeline.
    path : str or path
        The file, usually with the suffix ``.safetensors``. An existing one is replaced when the new one is complete.

    Raises
    ------
    TypeError
        If the estimator, or a part of it, cannot be saved; the message names it.
    ValueError
        If a parameter is invalid, or a weight is not finite.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    OSError
        If the file cannot be written. An existing file remains as it was.

    See Also
    --------
    load : The estimator in a file.

    References
    ----------
    .. [1] https://github.com/huggingface/safetensors

    Examples
    --------
    >>> import fastlstm, numpy as np, pathlib, tempfile
    >>> X, y = np.random.default_rng(0).normal(size=(20, 5, 2)), [0, 1] * 10
    >>> model = fastlstm.LSTMClassifier(4, max_iter=2, random_state=0).fit(X, y)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> fastlstm.save(model, path)
    >>> bool((fastlstm.load(path).predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    if type(estimator) not in known.NAMES or not known.is_estimator(estimator):
        kind = type(estimator)
        advice = ": pass its best_estimator_" if hasattr(estimator, "best_estimator_") else ""
        if isinstance(estimator, (str, PathLike)):
            advice = ": pass the estimator first, then the path"
        names = ", ".join(cls.__name__ for cls in known.CLASSES.values() if known.is_estimator(cls))
        raise TypeError(
            f"{kind.__module__}.{kind.__qualname__} cannot be saved; expected an instance of one of {names}{advice}."
        )
    check_is_fitted(estimator)
    encoder = Encoder()
    try:
        record = {"fastlstm": __version__, "estimator": encoder.encode(estimator, "")}
        Decoder(encoder.arrays).decode(record["estimator"])  # what could not be loaded again is not saved
    except TypeError:
        raise
    except RecursionError:
        raise TypeError(
            "The estimator cannot be saved: an attribute contains itself, or is nested too deeply."
        ) from None
    except Exception as error:
        raise ValueError(f"The estimator cannot be saved: {error}.") from error
    files.write(path, KIND, record, encoder.arrays)


def load(path: str | PathLike[str], quantize: Literal["int8"] | None = None) -> Any:
    """Load an estimator that `save` has written, by this version or an earlier one.

    Files from strangers can be loaded, too: nothing in them is executed, and all that is read is checked.

    Parameters
    ----------
    path : str or path
        The file.
    quantize : "int8" or None, default=None
        If "int8", predictions and streams multiply weights, inputs and states of recurrent layers that are rounded to 8
        bits, as with ``set_params(precision="int8")`` of all networks in the estimator. Expect predictions of a
        regressor to change by less than 1 % of the range of its targets, probabilities by less than 0.005 on average
        (but near a decision boundary by up to 0.1), and the accuracy of a classifier by less than half a percentage
        point. Outliers among the channels of a step, or among the weights of a unit, lead to larger errors: compare
        predictions on data of your own. Streams are faster, and so are predictions of up to eight long series with
        about 256 units or more, most of all on CPUs with AVX512-VNNI or AVX-VNNI (see `fastlstm.show_versions`). The
        float32 weights stay in memory, and every prediction first packs them as bytes. Fitting the estimator further
        raises an error.

    Returns
    -------
    estimator
        The fitted estimator, whose predictions, without `quantize`, have the same bits as those of the one that was
        saved.

    Raises
    ------
    ModelFileError
        If the file is damaged, of another kind, or written by a later version.
    ValueError
        If `quantize` is unknown, or the estimator has no network, one of float64, or one whose `backend` has no
        products of 8 bits.
    OSError
        If the file does not exist or cannot be opened.

    See Also
    --------
    save : Writes the file.

    Examples
    --------
    >>> import fastlstm, numpy as np, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "scaler.safetensors"
    >>> fastlstm.save(fastlstm.SequenceScaler().fit(np.arange(6.0).reshape(1, 3, 2)), path)
    >>> fastlstm.load(path).mean_.tolist()
    [2.0, 3.0]
    >>> X, y = np.random.default_rng(0).normal(size=(20, 5, 2)), [0, 1] * 10
    >>> model, path = fastlstm.LSTMClassifier(16, max_iter=2, random_state=0).fit(X, y), path.with_name("model")
    >>> fastlstm.save(model, path)
    >>> quantized = fastlstm.load(path, quantize="int8")
    >>> bool(np.abs(quantized.predict_proba(X) - model.predict_proba(X)).max() < 0.01)
    True
    """
    check_quantize(quantize)
    record, arrays = files.read(path, KIND)
    version = "of an unknown version"
    try:
        version = containers.brief(record["fastlstm"])
        decoder = Decoder(arrays)
        estimator = decoder.decode(record["estimator"])
        if decoder.arrays:
            raise ModelFileError(f"there are arrays that nothing refers to: {containers.brief(list(decoder.arrays))}")
        if not known.is_estimator(estimator):
            raise ModelFileError(f"it holds {containers.brief(estimator)}, not an estimator")
        check_is_fitted(estimator)
    except ImportError:  # of pandas or Polars, whose tables the forecasts are
        raise
    except Exception as error:  # a record may hold anything
        raise ModelFileError(
            f"{path}, written by fastlstm {version}, does not hold a model that version {__version__} can load: "
            f"{str(error)[:300]}."
        ) from error
    if quantize:
        _quantize(estimator, quantize)
    return estimator


def _quantize(estimator, quantize):
    """Set the precision of the predictions of all networks in an estimator."""
    networks = list(_networks(estimator))
    if not networks:
        raise ValueError(f"quantize={quantize!r}: {type(estimator).__name__} has no network: load it without quantize.")
    for network in networks:
        network.set_params(precision=quantize)
        try:
            network._kernels_for(network.dtype)
            model = getattr(network, "_model", None)
            if isinstance(model, Model) and model.embedding is None:  # symbols are looked up, not multiplied
                model.stack.check_sizes(quantize)
        except ValueError as error:
            raise ValueError(f"quantize={quantize!r} sets a precision that this model does not have: {error}") from None


def _networks(estimator):
    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            yield from _networks(step)
    elif isinstance(estimator, SequenceEncoder):
        yield estimator.estimator
        yield estimator.estimator_
    elif isinstance(estimator, NetworkParameters):
        yield estimator
