"""The classes whose instances model files hold, by the names that stand in the files, and what must hold of them.

A name stays for ever, also when its class moves: files of all releases are read by these names.
"""

import numpy as np
from sklearn import config_context, pipeline, preprocessing
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import validate_parameter_constraints

from fastlstm import containers, kernels
from fastlstm.estimators.classifier import LSTMClassifier
from fastlstm.estimators.encoder import SequenceEncoder
from fastlstm.estimators.layouts import Plan as Layout
from fastlstm.estimators.layouts import TableLayout
from fastlstm.estimators.regressor import LSTMRegressor
from fastlstm.estimators.scaler import SequenceScaler
from fastlstm.files import ModelFileError
from fastlstm.forecasting import (
    counts,
    data,
    encoding,
    histories,
    intervals,
    linear,
    panel,
    predictor,
    selection,
    transforms,
)
from fastlstm.forecasting.calendars.pandas import PandasCalendar
from fastlstm.forecasting.calendars.polars import Offset, PolarsCalendar
from fastlstm.forecasting.calendars.steps import StepCalendar
from fastlstm.forecasting.forecaster import LSTMForecaster
from fastlstm.language.language_model import LSTMLanguageModel
from fastlstm.language.pieces import Codes
from fastlstm.language.translator import LSTMTranslator
from fastlstm.layers.checks import MOST_LAYERS
from fastlstm.stacks import Stack
from fastlstm.symbols.schema import Schema
from fastlstm.symbols.vocabulary import Vocabulary
from fastlstm.training import losses
from fastlstm.training.embedding import Embedding
from fastlstm.training.losses import Loss
from fastlstm.training.model import Model, check_weights
from fastlstm.training.outputs import ClassificationOutput, RegressionOutput
from fastlstm.training.progress import Progress
from fastlstm.training.standardization import Scaling
from fastlstm.translation.model import ATTENTION, TranslationModel

CLASSES = {
    "LSTMClassifier": LSTMClassifier,
    "LSTMRegressor": LSTMRegressor,
    "SequenceEncoder": SequenceEncoder,
    "SequenceScaler": SequenceScaler,
    "LSTMForecaster": LSTMForecaster,
    "LSTMLanguageModel": LSTMLanguageModel,
    "LSTMTranslator": LSTMTranslator,
    # of a network
    "Model": Model,
    "TranslationModel": TranslationModel,
    "Stack": Stack,
    "Embedding": Embedding,
    "ClassificationOutput": ClassificationOutput,
    "RegressionOutput": RegressionOutput,
    "Loss": Loss,
    "Scaling": Scaling,
    "Progress": Progress,
    # of what it reads
    "Layout": Layout,
    "TableLayout": TableLayout,
    "Schema": Schema,
    "Vocabulary": Vocabulary,
    "Codes": Codes,
    # of a forecaster
    "Data": data.Data,
    "Roles": data.Roles,
    "Encoding": encoding.Encoding,
    "Panel": panel.Panel,
    "StepCalendar": StepCalendar,
    "PandasCalendar": PandasCalendar,
    "PolarsCalendar": PolarsCalendar,
    "Offset": Offset,
    "Plan": selection.Plan,
    "Fit": selection.Fit,
    "Units": histories.Units,
    "Levels": transforms.Levels,
    "Differences": transforms.Differences,
    "Direct": predictor.Direct,
    "Recursive": predictor.Recursive,
    "Linear": linear.Linear,
    "Inputs": linear.Inputs,
    "Counts": counts.Counts,
    "Errors": intervals.Errors,
    "Hits": intervals.Hits,
    # of scikit-learn
    "sklearn.Pipeline": pipeline.Pipeline,
    **{
        f"sklearn.{name}": getattr(preprocessing, name)
        for name in (
            "MaxAbsScaler", "MinMaxScaler", "Normalizer", "PowerTransformer", "QuantileTransformer", "RobustScaler",
            "StandardScaler",
        )
    },
}  # fmt: skip
NAMES = {cls: name for name, cls in CLASSES.items()}

#: Attributes that are not saved: scikit-learn's callbacks, which are functions, and the requests for metadata, which
#: are saved in their own way.
NOT_SAVED = ("_skl_callbacks", "_metadata_request")
#: Parameters that are reset, by the names of classes: a cache holds pickles.
NOT_KEPT = {"sklearn.Pipeline": {"memory": None}}
MOST_DIFFERENCES = 10


def require(holds, what, value):
    """Raise ModelFileError unless what a file holds is valid."""
    if not holds:
        raise ModelFileError(f"{what} cannot be {containers.brief(value)}")


def is_estimator(value):
    """Whether this is an estimator, or a class of them."""
    return issubclass(value if isinstance(value, type) else type(value), BaseEstimator)


def check_parameters(estimator):
    """Raise ValueError unless all parameters are valid."""
    constraints = getattr(type(estimator), "_parameter_constraints", {})
    params = {name: value for name, value in estimator.get_params(deep=False).items() if name in constraints}
    validate_parameter_constraints(constraints, params, type(estimator).__name__)


def requests(estimator):
    """Which metadata the methods of an estimator request, as set by its ``set_..._request`` methods."""
    asked = vars(estimator).get("_metadata_request")
    return {} if asked is None else {method: dict(names) for method, names in asked._serialize().items()}


def set_requests(estimator, asked):
    """Set what `requests` has returned."""
    with config_context(enable_metadata_routing=True):
        for method, names in asked.items():
            require(f"set_{method}_request" in dir(estimator), "a method that requests metadata", method)
            getattr(estimator, f"set_{method}_request")(**names)


# -- what must hold of the values, as kernels trust their sizes -----------------------------------------------------


def check(value):
    """Raise ModelFileError, or another exception, unless a value of a known class is consistent in itself."""
    checked = CHECKS.get(type(value))
    if checked is not None:
        checked(value)


def _are_counts(values, least=1):
    return all(type(value) is int and value >= least for value in values)


def _check_stack(stack):
    sizes = stack.hidden_sizes
    require(stack.cell in kernels.CELLS, "cell", stack.cell)
    require(_are_counts([stack.input_size]), "input_size", stack.input_size)
    require(_are_counts(sizes) and 0 < len(sizes) <= MOST_LAYERS, "hidden_sizes", sizes)


def _check_embedding(embedding):
    channels, columns, sizes, width = embedding.channels, embedding.columns, embedding.sizes, embedding.width
    require(_are_counts([channels]), "channels", channels)
    is_valid = _are_counts(columns, 0) and all(column < channels for column in columns)
    require(is_valid and 0 < len(columns) == len(set(columns)), "columns of symbols", columns)
    require(_are_counts(sizes) and len(sizes) == len(columns), "sizes of vocabularies", sizes)
    require(width is None or _are_counts([width]), "width", width)


def _check_scaling(scaling):
    for name, array in scaling._asdict().items():
        is_valid = array.dtype == np.float64 and array.shape == scaling.mean.shape == (len(array),)
        require(is_valid and np.isfinite(array).all(), name, array)
    require((scaling.scale > 0).all(), "scale", scaling.scale)


def _check_loss(loss):
    require(loss.name in losses.NAMES, "loss", loss.name)
    require(loss.activation in losses.ACTIVATIONS, "activation", loss.activation)
    require(all(type(level) is float and 0 < level < 1 for level in loss.levels), "levels", loss.levels)


def _check_differences(differences):
    for name, value in differences._asdict().items():
        least, most = (1, None) if name == "period" else (0, MOST_DIFFERENCES)
        require(_are_counts([value], least) and (most is None or value <= most), name, value)


def _check_sequence_scaler(scaler):
    for name, value in vars(scaler).items():
        if isinstance(value, np.ndarray) and name != "feature_names_in_":
            require(value.shape == (scaler._channels,) and value.dtype.kind in "fi", name, value)


def _check_vocabulary(vocabulary):
    symbols = vocabulary.symbols
    is_valid = symbols.ndim == 1 and (symbols.dtype.kind == "U" or symbols.dtype == np.int64) and len(symbols)
    require(is_valid and (symbols[1:] > symbols[:-1]).all(), "symbols", symbols)


def _check_schema(schema):
    kinds = schema.kinds
    require(len(kinds) > 0 and set(kinds) <= {"characters", "words", "integers", "numbers"}, "kinds", kinds)
    of_symbols = len(kinds) - schema.n_numbers
    are_valid = all(type(vocabulary) is Vocabulary for vocabulary in schema.vocabularies)
    require(are_valid and len(schema.vocabularies) == of_symbols, "vocabularies", schema.vocabularies)
    require(schema.names is None or len(schema.names) == len(kinds), "names", schema.names)


def _check_layout(layout):
    columns = layout.columns
    if columns is not None:
        require(columns.ndim == 2 and columns.dtype.kind == "i" and (columns >= 0).all(), "columns", columns)
        require(1 <= layout.lagged <= columns.shape[1], "lagged", layout.lagged)


def _check_weights(weights, shapes):
    check_weights(weights, shapes)
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise ModelFileError(f"weights of {name} are not finite")


def _check_model(model):
    stack, scaling, output = model.stack, model.scaling, model.output
    require(_are_counts([model.n_targets]), "n_targets", model.n_targets)
    _check_weights(model.weights, model.shapes)
    if isinstance(output, ClassificationOutput):
        require(output.classes.shape == (model.n_targets,), "classes", output.classes)
    else:
        require(output.scaling is None or len(output.scaling.mean) == model.n_targets, "scaling", output.scaling)
    channels = channels_of(model)
    require(channels is not None, "input_size", stack.input_size)
    require(scaling is None or len(scaling.mean) == channels, "scaling", scaling)


def channels_of(model):
    """Number of channels of the series that a `Model` reads; None if there can be none."""
    if model.embedding is not None:
        return model.embedding.channels if model.embedding.n_outputs == model.stack.input_size else None
    channels, rest = divmod(model.stack.input_size, 2 if model.masked else 1)
    return None if rest else channels


def _check_translation(model):
    encoder, decoder = model.encoder, model.decoder
    require(model.attention in (None, *ATTENTION), "attention", model.attention)
    require(not decoder.bidirectional, "bidirectional of a decoder", decoder.bidirectional)
    require(encoder.cell == decoder.cell, "cell", decoder.cell)
    require(encoder.hidden_sizes == decoder.hidden_sizes, "hidden_sizes", decoder.hidden_sizes)
    for stack, embedding in ((encoder, model.source), (decoder, model.target)):
        is_valid = embedding.channels == 1 and embedding.n_outputs == stack.input_size
        require(is_valid, "input_size", stack.input_size)
    require(model.n_outputs == model.target.sizes[0] - 1 > 0, "n_outputs", model.n_outputs)
    _check_weights(model.weights, model.shapes)


def _check_estimator(estimator):
    """That of a classifier or a regressor."""
    found = vars(estimator)
    if "_model" not in found:  # not fitted
        return
    model, channels = found["_model"], found["_channels"]
    require(type(model) is Model, "the model", model)
    require(type(channels) is int and channels == channels_of(model), "the number of channels", channels)
    require(_are_counts([found["n_features_in_"]]), "n_features_in_", found["n_features_in_"])
    layout = found["_plan"]
    require(type(layout) is Layout, "the layout", layout)
    if layout.columns is not None:
        is_valid = layout.columns.shape[1] == channels and (layout.columns < found["n_features_in_"]).all()
        require(is_valid, "columns of the layout", layout.columns)
    if model.embedding is not None:
        schema = found["_schema"]
        require(type(schema) is Schema and len(schema.kinds) == channels, "the schema", schema)
        _check_sizes(schema, model.embedding)
        columns = model.embedding.columns
        require(columns == tuple(range(schema.n_numbers, channels)), "columns of symbols", columns)
    is_classifier = isinstance(estimator, LSTMClassifier)
    require(isinstance(model.output, ClassificationOutput) == is_classifier, "the output", model.output)
    if is_classifier:
        require(np.array_equal(found["classes_"], model.output.classes), "classes_", found["classes_"])


def _check_sizes(schema, embedding, beyond=1):
    """That an embedding has a vector for each symbol, and so many others."""
    sizes = tuple(len(vocabulary) + beyond for vocabulary in schema.vocabularies)
    require(sizes == embedding.sizes, "sizes of vocabularies", embedding.sizes)


def _check_translator(translator):
    found = vars(translator)
    if "_model" not in found:
        return
    require(type(found["_model"]) is TranslationModel, "the model", found["_model"])
    require(_are_counts([found["max_length_"]]), "max_length_", found["max_length_"])
    for side, embedding, beyond in (
        ("_source_schema", found["_model"].source, 1),
        ("_target_schema", found["_model"].target, 2),
    ):
        require(type(found[side]) is Schema, "the schema", found[side])
        _check_sizes(found[side], embedding, beyond)


def _check_language_model(model):
    found = vars(model)
    if "classifier_" not in found:
        return
    inner, schema = found["classifier_"], found["_schema"]
    require(type(inner) is LSTMClassifier and "_model" in vars(inner), "the classifier", inner)
    require(type(schema) is Schema and len(schema.vocabularies) == 1, "the schema", schema)
    require(found["_codes"] == Codes.of(schema.vocabularies[0].symbols), "codes", found["_codes"])


def _check_encoder(encoder):
    inner = vars(encoder).get("estimator_")
    fitted = inner is None or (type(inner) in (LSTMClassifier, LSTMRegressor) and "_model" in vars(inner))
    require(fitted, "the estimator", inner)


def _check_forecaster(forecaster):
    found = vars(forecaster)
    if "_fitted" not in found:
        return
    plan, fit, known, parameters = (found[name] for name in ("_plan", "_fitted", "_data", "_parameters"))
    require(type(plan) is selection.Plan and type(fit) is selection.Fit, "the plan", plan)
    require(type(known) is data.Data and type(known.panel) is panel.Panel, "the data", known)
    require(type(parameters) is LSTMForecaster, "the parameters", parameters)
    lists = fit.units, known.values, known.observed, known.past, known.known, known.panel.ids, known.panel.index
    require({len(of) for of in lists} == {len(known.static)}, "the number of series", [len(of) for of in lists])
    of_predictor = fit.predictor
    of_units = [unit.differences for unit in fit.units]
    require(all(of == plan.differences for of in of_units), "the differences of a series", of_units)
    sizes = plan.window, plan.horizon, of_predictor.window, of_predictor.horizon
    require(_are_counts(sizes) and sizes[:2] == sizes[2:], "window and horizon", sizes)
    covariates = known.channels(plan.shift, 0, plan.differences)
    channels = 1 + (0 if covariates is None else covariates[0].shape[1])
    for network in of_predictor.networks:
        require(type(network) is Model and channels_of(network) == channels, "a network", network)


CHECKS = {
    Stack: _check_stack,
    Embedding: _check_embedding,
    Scaling: _check_scaling,
    Loss: _check_loss,
    transforms.Differences: _check_differences,
    SequenceScaler: _check_sequence_scaler,
    Vocabulary: _check_vocabulary,
    Schema: _check_schema,
    Layout: _check_layout,
    Model: _check_model,
    TranslationModel: _check_translation,
    LSTMClassifier: _check_estimator,
    LSTMRegressor: _check_estimator,
    LSTMTranslator: _check_translator,
    LSTMLanguageModel: _check_language_model,
    SequenceEncoder: _check_encoder,
    LSTMForecaster: _check_forecaster,
}
