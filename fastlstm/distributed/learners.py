"""What each kind of estimator needs beside the training of a network: a vocabulary, a classifier inside."""

from functools import partial

from fastlstm import symbols
from fastlstm.distributed import panels
from fastlstm.distributed.chunks import without_series
from fastlstm.distributed.engines import Mpi
from fastlstm.estimators.atomic import AtomicUpdate
from fastlstm.estimators.base import BaseLSTM
from fastlstm.estimators.classifier import LSTMClassifier
from fastlstm.estimators.validation import validates_parameters
from fastlstm.forecasting import LSTMForecaster
from fastlstm.language import LSTMLanguageModel, LSTMTranslator


def train(engine, estimator, given, held_out, options):
    """Train an estimator of any kind on an engine."""
    if not isinstance(estimator, (BaseLSTM, LSTMForecaster, LSTMLanguageModel, LSTMTranslator)):
        raise TypeError(
            f"estimator is a {type(estimator).__name__}; expected an LSTMClassifier, LSTMRegressor, LSTMForecaster, "
            "LSTMLanguageModel or LSTMTranslator of fastlstm."
        )
    if isinstance(engine, Mpi):
        engine.check_alike(estimator, held_out, options)
    if isinstance(estimator, LSTMLanguageModel):
        return _train_language_model(engine, estimator, given, held_out, options)
    if isinstance(estimator, LSTMForecaster):
        if options.partial or not held_out.is_nothing:
            raise ValueError("A forecaster has no partial_fit and no X_val: it holds out the end of each series.")
        return panels.train(engine, estimator, given, options)
    if isinstance(estimator, LSTMTranslator):
        return _train_translator(engine, estimator, given, held_out, options)
    return _train_network(estimator, engine, given, held_out, options)


@validates_parameters
def _train_network(estimator, engine, given, held_out, options):
    if estimator.embedding_size is not None and not options.continues(estimator):
        schema = _schema(engine, estimator, given, options)
        options = options._replace(schema=schema)
    if options.partial and isinstance(estimator, LSTMClassifier):
        options = options._replace(classes=estimator._check_classes(options.classes))
    return engine.train(estimator, given, held_out, options)


def _counted(engine, count, given, options):
    """What a function that counts symbols finds in each chunk that has any."""
    counted = [of for of in engine.survey(count, given, options) if of is not None]
    if not counted:
        raise without_series()
    return counted


def _schema(engine, estimator, given, options):
    """The vocabularies of all chunks."""
    counted = _counted(engine, _count, given, options)
    return symbols.Schema.of_counts(counted, "X", estimator.max_vocabulary, estimator.min_count)


def _count(X, y=None, sample_weight=None):
    return symbols.counts(X, "X") if len(X) else None


def _train_translator(engine, translator, given, held_out, options):
    """The vocabularies of both sides, then the translator."""
    if options.partial:
        raise ValueError("A translator has no partial_fit: call fit.")
    translator._validate_params()
    counted = _counted(engine, _count_pairs, given, options)
    limits = translator.max_vocabulary, translator.min_count
    schemas = tuple(
        symbols.Schema.of_counts(of_side, name, *limits)
        for of_side, name in zip(zip(*counted, strict=True), ("X", "y"), strict=True)
    )
    for schema, name in zip(schemas, ("X", "y"), strict=True):
        symbols.check_plain(schema.names, name)
    return engine.train(translator, given, held_out, options._replace(schema=schemas))


def _count_pairs(X, y, sample_weight=None):
    return (symbols.counts(X, "X"), symbols.counts(y, "y", allow_empty=True)) if len(X) else None


def _train_language_model(engine, model, given, held_out, options):
    """The vocabulary, then the classifier inside, whose examples are made of each chunk where it is read."""
    if options.partial or not held_out.is_nothing:
        raise ValueError("A language model has no partial_fit and no X_val: leave them out.")
    model._validate_params()
    model._check_parameters()
    update = AtomicUpdate(model)
    update.copy._begin(_schema(engine, model, given, options))
    total = sum(engine.survey(partial(_steps, update.copy), given, options))
    given = given._replace(then=partial(_examples, update.copy, total))
    try:
        train(engine, update.copy.classifier_, given, held_out, options)
    except KeyboardInterrupt:  # the classifier has kept its complete epochs, if any
        if hasattr(update.copy.classifier_, "n_iter_"):
            update.copy._describe()
            update.commit()
        raise
    update.copy._describe()
    update.commit()
    return model


def _steps(model, X, y=None, sample_weight=None):
    return sum(len(sequence) + 1 for sequence in model._read(X)) if len(X) else 0


def _examples(model, total, X, y=None, sample_weight=None):
    return model._examples(model._read(X), total) if len(X) else (X, None, None)
