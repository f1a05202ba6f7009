"""Implementation of `fit` and `partial_fit`."""

import contextlib
import functools
import math
from dataclasses import fields, replace
from numbers import Integral

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastlstm import kernels
from fastlstm.estimators import symbolic
from fastlstm.estimators.atomic import AtomicUpdate
from fastlstm.estimators.callbacks import FitTask
from fastlstm.estimators.checkpoints import MAX_SEED, Checkpoints, fingerprint
from fastlstm.estimators.data import (
    check_data,
    check_validation_data,
    combine_weights,
    fit_scalings,
    joined,
    split,
    there,
    transform,
)
from fastlstm.estimators.diagnostics import data_warnings
from fastlstm.estimators.validation import check_compatible, check_parameters, check_partial_fit
from fastlstm.estimators.verbose import report_epochs
from fastlstm.layers.checks import check_sizes
from fastlstm.stacks import Stack
from fastlstm.training import convergence, defaults
from fastlstm.training.collective import ALONE
from fastlstm.training.examples import Examples
from fastlstm.training.inference import run_over
from fastlstm.training.losses import weighted_means, weighted_sums
from fastlstm.training.model import Model
from fastlstm.training.network import Network, initialise
from fastlstm.training.partitions import training_on
from fastlstm.training.progress import Settings
from fastlstm.training.solvers import SOLVERS
from fastlstm.user_warnings import warn

FAR_FROM_ZERO = 10  # a constant beyond this is unlikely in data of unit variance


def fit(estimator, X, y, sample_weight, validation_data):
    """Fit a classifier or regressor, from scratch or with `warm_start` from its weights."""
    continued = estimator.warm_start and hasattr(estimator, "weights_")

    def prepared(copy):
        return _prepare(copy, (X, y, sample_weight), continued, validation_data)

    return train(estimator, (X, y, sample_weight), prepared)


def train(estimator, data, prepared, warns=True):
    """Train an estimator, which changes in one step at the end.

    prepared: function that returns the `Training` of a copy of the estimator, and its checkpoints or None.
    warns: whether to warn if the training has not converged.
    """
    max_epochs = None if estimator.max_iter == "auto" else estimator.max_iter
    task = FitTask(estimator, *data, max_subtasks=max_epochs)
    update = AtomicUpdate(estimator)
    training, checkpoints = prepared(update.copy)
    epochs_before = training.progress.epochs
    if checkpoints:
        checkpoints.restore(training)

    def attributes():
        return {**update.changes(), **_fitted_attributes(update.copy, training, copied=True)}

    if estimator.verbose:
        print(defaults.summary(update.copy.settings_), flush=True)
    with _committing(update, training, epochs_before):
        for _ in task.epochs(report_epochs(training, estimator.verbose), training, attributes):
            pass
        if warns:
            _warn_if_not_converged(update.copy, training)
    task.end()
    return estimator


def partial_fit(estimator, X, y, sample_weight, classes=None):
    """Train the estimator for one more epoch; it changes in one step at the end."""
    continued = hasattr(estimator, "weights_")

    def prepared(copy):
        return _prepare(copy, (X, y, sample_weight), continued, partial=True, classes=classes)

    return train_once(estimator, prepared)


def train_once(estimator, prepared):
    """Train an estimator for one more epoch; otherwise as `train`."""
    estimator._validate_params()  # scikit-learn's `_fit_context` skips the validation of a fitted estimator
    check_partial_fit(estimator)
    estimator._check_partial_fit()
    update = AtomicUpdate(estimator)
    training, _ = prepared(update.copy)
    with _committing(update, training, training.progress.epochs):
        # `undo` would copy all parameters for an epoch that nothing is kept of if it fails
        for _ in report_epochs(training, estimator.verbose, show_reason=False, undo=False):
            pass
    return estimator


@contextlib.contextmanager
def _committing(update, training, epochs_before):
    """Commit the training done in the block; after a KeyboardInterrupt, commit its complete epochs, if any."""
    try:
        yield
    except KeyboardInterrupt:
        if training.progress.epochs > epochs_before:
            try:
                training.finish_interrupted()
            finally:  # even if the last checkpoint cannot be written
                _commit(update, training)
        raise
    _commit(update, training)


def _prepare(estimator, data, continued, validation_data=(None, None, None), partial=False, classes=None):
    """The `Training` to run, and its checkpoints or None."""
    begin(estimator, continued)
    data = check_data(estimator, *data, not continued, classes)
    held_out = check_validation_data(estimator, *validation_data)
    seed, checkpoints = seed_of(estimator)
    training = prepare(estimator, [data], held_out and [held_out], seed, continued, partial, checkpoints)
    return training, checkpoints


def begin(estimator, continued):
    """Check the parameters of an estimator, and remove what was fitted unless training continues."""
    check_parameters(estimator)
    if continued:
        check_compatible(estimator)
    else:
        for name in ("_model", "feature_names_in_"):
            vars(estimator).pop(name, None)
    estimator._make_loss()  # raises if the parameters are invalid


def prepare(estimator, parts, held_out, seed, continued=False, partial=False, checkpoints=None, share=ALONE):
    """The `Training` of an estimator, whose attributes that depend on the data are set by `check_data`.

    Parameters
    ----------
    parts, held_out : list of Data or None
        The data of each partition of this process, None where one has no series; and the validation data, or None if
        there are none.
    seed, checkpoints : int, Checkpoints or None
        As returned by `seed_of`.
    continued, partial : bool
        Whether to continue from the fitted weights, and for one epoch only.
    share : Share
        The partitions of this process. If not `ALONE`, a minibatch is spread over all partitions.
    """
    rng = np.random.default_rng(seed)
    if estimator.early_stopping and not partial and held_out is None:
        parts, held_out = split(estimator, parts, rng, share)
    dtype, unweighted, parts = np.dtype(estimator.dtype), parts, combine_weights(estimator, parts, share)
    sizes = [(len(of.series), int(of.series.lengths.max()), of.series.steps) for of in there(parts)]
    n, longest, steps = sizes_of_all(sizes, share)
    if continued:
        scaling, target_scaling = estimator._model.scaling, estimator._model.target_scaling
        embedding = estimator._model.embedding
    else:
        embedding = symbolic.embedding_of(estimator)
        if embedding is None:
            _warn_of_data(estimator, parts, share)
        scaling = target_scaling = None
        if estimator._standardised:
            given = estimator._per_step, dtype, estimator._scales_targets()
            scaling, target_scaling = fit_scalings(unweighted, *given, share)
            scaling = symbolic.without_codes(scaling, embedding) if embedding else scaling
            if partial:
                _warn_if_constant(scaling, target_scaling)
    given = {name: getattr(estimator, name) for name in defaults.NAMES}
    estimator.settings_ = defaults.resolve(
        given, estimator.cell, n, longest, steps, online=partial, n_partitions=share.n_partitions
    )
    vocabularies = estimator._schema.vocabularies if embedding else ()
    digest = functools.partial(fingerprint, vocabularies=vocabularies)
    describe(checkpoints, estimator, seed, digest, unweighted, held_out, share)
    how = scaling, target_scaling, estimator._masked, dtype, estimator.precision
    parts = [part and transform(part, *how) for part in parts]
    if held_out is not None:
        held_out = [transform(part, *how, "_val") for part in there(held_out)]
        targets, weights = (
            joined(share.gather([getattr(part, name) for part in held_out])) for name in ("targets", "weights")
        )
        estimator._check_validation_data(targets, weights)

    channels = share.gather([part.series.channels for part in there(parts)])[0]
    channels = embedding.n_outputs if embedding else channels
    stack = estimator._model.stack if continued else _stack(estimator, channels)
    output = estimator._output(target_scaling)
    if continued:
        weights_of_network = estimator.weights_
    else:
        sums = share.total([weighted_sums(part.targets, part.weights) for part in there(parts)])
        first = output.loss.initial_scores(weighted_means(sums))
        weights_of_network = _initial_weights(estimator, stack, embedding, output.loss, longest, first, rng)
    estimator._model = Model(
        stack,
        weights=weights_of_network,
        output=output,
        n_targets=estimator.n_outputs_,
        per_step=estimator._per_step,
        masked=estimator._masked,
        scaling=scaling,
        embedding=embedding,
    )
    network = Network(
        stack,
        estimator.weights_,
        dtype,
        estimator._kernels_for(dtype),
        checkpoint=estimator.bptt_checkpoint,
        per_step=estimator._per_step,
        dropout=estimator.settings_["dropout"],
        recurrent_dropout=estimator.recurrent_dropout,
        embedding=embedding,
        symbol_dropout=estimator.symbol_dropout,
    )
    examples = [part and Examples(*part, estimator._per_step) for part in parts]

    def validate():
        scores = share.gather([_scores(estimator, network, part.series) for part in held_out])
        return _validate(estimator, joined(scores), targets, weights)

    return training_on(
        examples,
        share,
        network,
        settings_of(estimator, output.loss),
        seed=seed,
        validate=None if held_out is None else validate,
        progress=_earlier_progress(estimator, network, partial) if continued else None,
        save=checkpoints and checkpoints.save,
        n_jobs=estimator.n_jobs,
    )


def sizes_of_all(sizes, share):
    """Number of series, length of the longest and number of steps of all partitions, from those of each."""
    n, longest, steps = zip(*share.gather(sizes), strict=True)
    return sum(n), max(longest), sum(steps)


def describe(checkpoints, estimator, seed, digest, parts, held_out, share):
    """Describe the checkpoints, if the first process has any, by hashes of the data of all partitions.

    digest: function of the part to train on and the part held out of a partition, of those that it has.
    """
    if share.collective.broadcast(checkpoints is not None):
        data = zip(parts, held_out or [None] * len(parts), strict=True)
        digests = share.gather([digest(*there(of)) for of in data])
        partitions = {"n_partitions": share.n_partitions} if share is not ALONE else {}
        if checkpoints:
            checkpoints.describe(estimator, seed, **partitions, data=" ".join(digests))


def _warn_of_data(estimator, parts, share):
    found = share.gather([data_warnings(part.series, estimator._columns) for part in there(parts)])
    for message in dict.fromkeys(message for messages in found for message in messages):
        if share.collective.rank == 0:
            warn(message, UserWarning)


def _warn_if_constant(scaling, target_scaling):
    """Warn if the first call of `partial_fit`, which fixes the standardisation, has only constants far from 0."""
    for name, of in [("X", scaling), ("y", target_scaling)]:
        if of is not None and (of.scale == 1).all() and np.abs(of.mean).max() > FAR_FROM_ZERO:
            warn(
                f"The first call of partial_fit has a constant {name}, so its scale is set to 1 for all calls. Start "
                "with a batch that is representative of the data, or pass data of about unit variance and set "
                "standardize=False.",
                UserWarning,
            )


def seed_of(estimator):
    """The random seed, taken from the checkpoint if there is one to resume from, and the checkpoints or None."""
    seed = int(check_random_state(estimator.random_state).randint(MAX_SEED))
    if estimator.checkpoint_path is None:
        return seed, None
    checkpoints = Checkpoints(estimator.checkpoint_path, estimator.checkpoint_every, estimator.resume)
    if checkpoints.earlier and not isinstance(estimator.random_state, Integral):
        seed = checkpoints.earlier[0]["seed"]
    return seed, checkpoints


def settings_of(estimator, loss):
    given = {field.name: getattr(estimator, field.name, None) for field in fields(Settings)}
    resolved = {name: value for name, value in estimator.settings_.items() if name in given}
    return Settings(**{**given, **resolved, "loss": loss})


def _stack(estimator, channels):
    sizes = check_sizes(estimator.hidden_size, estimator.num_layers)
    return Stack(estimator.cell, channels, sizes, bool(estimator.bidirectional))


def longest_lag_of(estimator, longest):
    """The longest lag of a chrono initialisation, by default the length of the longest series; else None."""
    if estimator.settings_["init"] != "chrono":
        return None
    return longest if estimator.longest_lag is None else estimator.longest_lag


def _initial_weights(estimator, stack, embedding, loss, longest, first_scores, rng):
    longest_lag = longest_lag_of(estimator, longest)
    weights = initialise(stack, estimator.n_outputs_ * loss.width, rng, longest_lag)
    if embedding:
        weights |= embedding.initial_weights(rng)
    return weights if first_scores is None else {**weights, "head.bias": first_scores}


def _earlier_progress(estimator, network, partial):
    """Progress to continue from: all of it for partial_fit, only the history for warm_start."""
    progress = estimator._progress.copy(estimator._progress.moments.copy())
    solver, rate = estimator.solver, estimator.settings_["learning_rate_init"]
    moments = np.zeros((SOLVERS[solver][1], network.parameters.size), network.parameters.dtype)
    if partial and (solver, moments.dtype) == (progress.solver, progress.moments.dtype):
        if estimator.learning_rate != "adaptive":
            progress.rate = rate  # learning_rate_init may have changed since the last call
        return progress
    progress.solver, progress.moments, progress.updates, progress.rate = solver, moments, 0, rate
    progress.no_improvement, progress.best_validation_score = 0, -np.inf
    return progress


def _scores(estimator, network, series):
    """Scores of the network on series."""
    return run_over(
        network.stack,
        series,
        network.weights,
        network.kernels,
        estimator.n_jobs,
        network.per_step,
        embedding=network.embedding,
    )


def _validate(estimator, scores, targets, weights):
    """Score and loss of scores on validation data."""
    loss = estimator._model.loss
    with np.errstate(over="ignore", invalid="ignore"):  # the training reports results that are not finite
        values, _ = loss(scores, targets)
        mean = float(np.where(weights > 0, values * weights, 0).sum() * weights.shape[1] / weights.sum())
        # R squared is maximal for the mean, so it suits neither quantiles nor the width of a distribution
        return -mean if loss.is_distribution else estimator._score_encoded(scores, targets, weights), mean


def _warn_if_not_converged(estimator, training):
    gated = kernels.CELLS[estimator.cell].forget_gate and estimator.settings_["init"] != "chrono"
    untried = [] if estimator._standardised or estimator._reads_symbols else ["standardize=True"]
    why = convergence.problem(training, [*untried, "init='chrono'"] if gated else untried)
    if why:
        warn(why, ConvergenceWarning)


def _fitted_attributes(estimator, training, copied=False):
    """Fitted attributes after the last epoch; `copied` if training continues."""
    progress = training.progress
    progress = progress.copy(progress.moments.copy()) if copied else progress
    curve, validated = progress.loss_curve, training.validate is not None
    weights = {name: value.copy() for name, value in training.network.weights.items()}
    return {
        "_model": replace(estimator._model, weights=weights),
        "n_iter_": progress.epochs,
        "t_": progress.samples,
        "loss_": curve[-1] if curve else math.inf,
        "loss_curve_": list(curve),
        "grad_norm_curve_": list(progress.grad_norm_curve),
        "learning_rate_curve_": list(progress.rate_curve),
        "best_loss_": None if estimator.early_stopping else progress.best_loss,
        "validation_scores_": list(progress.validation_scores) if validated else None,
        "validation_loss_curve_": list(progress.validation_loss_curve) if validated else None,
        "best_validation_score_": progress.best_validation_score if validated else None,
        "_progress": progress,
    }


def _commit(update, training):
    """Set the fitted attributes of the estimator."""
    training.progress.best_parameters = None  # not needed any more
    vars(update.copy).update(_fitted_attributes(update.copy, training))
    update.commit()
