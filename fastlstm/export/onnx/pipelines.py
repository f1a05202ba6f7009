"""Converters for skl2onnx, so that it exports Pipelines with this package's estimators."""

from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from fastlstm.estimators.classifier import LSTMClassifier
from fastlstm.export.onnx import estimators
from fastlstm.export.onnx.graph import OPSETS, Graph

ZIPMAP = {"zipmap": [True, False, "columns"]}  # skl2onnx's option of all classifiers


def register_onnx_converters() -> None:
    """Register the estimators with skl2onnx, so that ``skl2onnx.to_onnx`` converts Pipelines that contain them.

    `to_onnx` of this package does so itself.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import skl2onnx
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from fastlstm import LSTMRegressor, register_onnx_converters
    >>> X, y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([2.0, 1.0])
    >>> model = make_pipeline(StandardScaler(), LSTMRegressor(8, max_iter=2, learning_rate="cosine")).fit(X, y)
    >>> register_onnx_converters()
    >>> skl2onnx.to_onnx(model, X.astype("float32"), target_opset=15).graph.output[0].name
    'variable'
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError("Pipelines require skl2onnx: pip install skl2onnx.") from error
    for cls in estimators.CLASSES:
        options = ZIPMAP if cls is LSTMClassifier else None
        update_registered_converter(cls, f"Fastlstm{cls.__name__}", _set_types, _convert, options=options)


def convert(pipeline, dtype):
    """A fitted Pipeline as a `ModelProto`."""
    register_onnx_converters()
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    steps, shape = _steps_of(pipeline), [None, getattr(pipeline, "n_features_in_", None)]
    if not steps:
        raise ValueError("All steps of the Pipeline are 'passthrough': there is nothing to export.")
    if isinstance(steps[0], estimators.CLASSES):
        _check(steps[0])
        shape = [None if isinstance(size, str) else size for size in estimators.inputs_of(steps[0], dtype)[0].shape]
    kind = {"float32": FloatTensorType, "float64": DoubleTensorType}[dtype]
    options = {id(steps[-1]): {"zipmap": False}} if is_classifier(steps[-1]) else None
    try:
        return convert_sklearn(pipeline, "Pipeline", [("X", kind(shape))], target_opset=OPSETS, options=options)
    except (RuntimeError, NotImplementedError) as error:  # its errors of missing converters are of the first
        raise ValueError(f"skl2onnx cannot convert a step of this Pipeline: {error}") from error


def _steps_of(pipeline):
    """Steps of a Pipeline, and of those within it."""
    steps = []
    for _, step in pipeline.steps:
        steps += _steps_of(step) if isinstance(step, Pipeline) else [step] * (step not in (None, "passthrough"))
    return steps


def _check(estimator):
    """Raise ValueError if an estimator cannot be a step of a Pipeline."""
    if estimators.reads_symbols(estimator):
        raise ValueError(
            f"A Pipeline with a {type(estimator).__name__} of symbols cannot be exported to ONNX: export this "
            "estimator itself."
        )


def _set_types(operator):
    """Set the types and shapes of the outputs of one of our estimators."""
    outputs = _outputs(Graph(str), operator)
    for variable, value in zip(operator.outputs, outputs, strict=True):
        variable.type = _tensor_type(value)


def _convert(scope, operator, container):
    """Add the nodes of one of our estimators to the container."""
    graph = Graph(scope.get_unique_variable_name)
    for variable, value in zip(operator.outputs, _outputs(graph, operator), strict=True):
        graph.rename(value._replace(name=variable.full_name))
    for domain in {node.domain for node in graph.nodes}:
        version, most = OPSETS[domain], container.target_opset_any_domain(domain)
        if most < version:
            raise ValueError(f"target_opset={most}: expected {version} or a later version of ONNX's operators.")
        container.node_domain_version_pair_sets.add((domain, version))
    container.nodes.extend(graph.nodes)
    container.initializers.extend(graph.constants)


def _outputs(graph, operator):
    """Add the nodes of the estimator of an operator; returns its outputs."""
    from skl2onnx.common.data_types import DoubleTensorType

    estimator, (variable, *others) = operator.raw_operator, operator.inputs
    _check(estimator)
    if others:
        raise ValueError(
            f"{type(estimator).__name__} has {1 + len(others)} inputs; expected one, X: pass an array, or one initial "
            "type for all columns."
        )
    dtype = "float64" if isinstance(variable.type, DoubleTensorType) else "float32"
    x = variable.full_name if dtype == "float64" else graph.cast(variable.full_name, dtype)  # integers, too
    return estimators.add_estimator(graph, estimator, {"X": x}, dtype)


def _tensor_type(value):
    from skl2onnx.common import data_types

    shape = [None if isinstance(size, str) else size for size in value.shape]
    kinds = {
        "float32": data_types.FloatTensorType,
        "float64": data_types.DoubleTensorType,
        "int64": data_types.Int64TensorType,
        "bool": data_types.BooleanTensorType,
    }
    return data_types.StringTensorType(shape) if value.dtype is str else kinds[str(value.dtype)](shape)
