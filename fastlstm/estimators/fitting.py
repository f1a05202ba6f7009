"""From X and y to a fitted estimator: the steps of `fit` and `partial_fit`."""

import contextlib
import math
from dataclasses import fields, replace
from numbers import Integral

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastlstm import kernels
from fastlstm.callers import warn
from fastlstm.estimators.agreement import check_parameters, check_partial, check_same_model
from fastlstm.estimators.callbacks import FitTask
from fastlstm.estimators.checkpoints import SEEDS, Checkpoints, fingerprint
from fastlstm.estimators.data import check_data, check_validation_data, learn_scaling, prepare, split
from fastlstm.estimators.doubts import doubts
from fastlstm.estimators.drafts import Draft
from fastlstm.estimators.view import watched
from fastlstm.layers.checks import check_sizes
from fastlstm.stacks import Stack
from fastlstm.training import outcome, plan
from fastlstm.training.loop import Training
from fastlstm.training.model import Model, run_over
from fastlstm.training.network import Network, initialise
from fastlstm.training.progress import Settings
from fastlstm.training.solvers import SOLVERS

FAR = 10  # from 0, beyond which values are hardly of unit variance


def fit(estimator, X, y, sample_weight, validation_data):
    """Train the estimator anew, or with `warm_start` on; it changes at the end, in one step."""
    most = None if estimator.max_iter == "auto" else estimator.max_iter
    task = FitTask(estimator, X, y, sample_weight, max_subtasks=most)
    draft = Draft(estimator)
    going_on = estimator.warm_start and hasattr(estimator, "weights_")
    training, checkpoints = _begin(draft.copy, (X, y, sample_weight), going_on, validation_data)
    epochs_before = training.progress.epochs
    if checkpoints:
        checkpoints.restore(training)

    def attributes():
        return {**draft.changes(), **_fitted_attributes(draft.copy, training, copied=True)}

    if estimator.verbose:
        print(plan.described(draft.copy.settings_), flush=True)
    with _adopting(draft, training, epochs_before):
        for _ in task.epochs(watched(training, estimator.verbose), training, attributes):
            pass
        _warn_of_shortfall(draft.copy, training)
    task.end()
    return estimator


def partial_fit(estimator, X, y, sample_weight, classes=None):
    """Train the estimator for one epoch, on from what it was; it changes at the end, in one step."""
    estimator._validate_params()  # scikit-learn's `_fit_context` skips this once the estimator is fitted
    check_partial(estimator)
    estimator._check_partial()
    draft = Draft(estimator)
    data = X, y, sample_weight
    training, _ = _begin(draft.copy, data, hasattr(estimator, "weights_"), partial=True, classes=classes)
    with _adopting(draft, training, training.progress.epochs):
        for _ in watched(training, estimator.verbose, say_why=False):
            pass
    return estimator


@contextlib.contextmanager
def _adopting(draft, training, epochs_before):
    """Let the estimator become what is trained meanwhile, or what was when an interrupt came after a whole epoch."""
    try:
        yield
    except KeyboardInterrupt:
        if training.progress.epochs > epochs_before:
            training.leave()
            _adopt(draft, training)
        raise
    _adopt(draft, training)


def _begin(estimator, data, going_on, validation_data=(None, None, None), partial=False, classes=None):
    """The `Training` that is to be run, and its checkpoints or None."""
    check_parameters(estimator)
    if going_on:
        check_same_model(estimator)
    estimator._asked_loss()  # raises where there is none
    data = check_data(estimator, *data, not going_on, classes)
    held_out = check_validation_data(estimator, *validation_data)
    seed, checkpoints = _seed(estimator)
    rng = np.random.default_rng(seed)
    if estimator.early_stopping and not partial and held_out is None:
        data, held_out = split(estimator, data, rng)
    dtype, weighed = np.dtype(estimator.dtype), estimator._weigh(data.targets, data.weights)
    if going_on:
        scaling, target_scaling = estimator._model.scaling, estimator._model.target_scaling
    else:
        for doubt in doubts(data.series, estimator._columns):
            warn(doubt, UserWarning)
        scaling = target_scaling = None
        if estimator._standardised:
            scaling, target_scaling = learn_scaling(data, estimator._per_step, dtype, estimator._scales_targets())
            if partial:
                _warn_of_no_scale(scaling, target_scaling)
    estimator.settings_ = _settled(estimator, data.series, partial)
    if checkpoints:
        checkpoints.describe(estimator, seed, data=fingerprint(data, *([held_out] if held_out else [])))
    data = prepare(data, scaling, target_scaling, estimator._masked, dtype)._replace(weights=weighed)
    if held_out is not None:
        held_out = prepare(held_out, scaling, target_scaling, estimator._masked, dtype, "_val")
        estimator._check_held_out(held_out.targets, held_out.weights)

    stack = estimator._model.stack if going_on else _stack(estimator, data.series.channels)
    answers = estimator._answers(target_scaling)
    estimator._model = Model(
        stack,
        weights=estimator.weights_ if going_on else _initial_weights(estimator, stack, answers.loss, data, rng),
        answers=answers,
        n_targets=estimator.n_outputs_,
        per_step=estimator._per_step,
        masked=estimator._masked,
        scaling=scaling,
    )
    network = Network(
        stack,
        estimator.weights_,
        dtype,
        kernels.resolve(estimator.backend),
        checkpoint=estimator.bptt_checkpoint,
        per_step=estimator._per_step,
        dropout=estimator.settings_["dropout"],
        recurrent_dropout=estimator.recurrent_dropout,
    )
    training = Training(
        network,
        _settings(estimator, answers.loss),
        data.series,
        targets=data.targets,
        weights=data.weights,
        seed=seed,
        validate=held_out and (lambda: _validate(estimator, network, held_out)),
        progress=_earlier_progress(estimator, network, partial) if going_on else None,
        keep=checkpoints and checkpoints.keep,
        n_jobs=estimator.n_jobs,
    )
    return training, checkpoints


def _warn_of_no_scale(scaling, target_scaling):
    """Warn where the first call of `partial_fit`, which settles the units of all, has only constants far from 0."""
    for name, of in [("X", scaling), ("y", target_scaling)]:
        if of is not None and (of.scale == 1).all() and np.abs(of.mean).max() > FAR:
            warn(
                f"The first call of partial_fit has a constant {name}, from which no scale can be learned; it stays 1. "
                "Begin with a batch that shows how the data vary, or pass data of about unit variance and "
                "standardize=False.",
                UserWarning,
            )


def _seed(estimator):
    """The seed of all that is random, and the checkpoints; a training that goes on from one has its seed."""
    seed = int(check_random_state(estimator.random_state).randint(SEEDS))
    if estimator.checkpoint_path is None:
        return seed, None
    checkpoints = Checkpoints(estimator.checkpoint_path, estimator.checkpoint_every, estimator.resume)
    if checkpoints.earlier and not isinstance(estimator.random_state, Integral):
        seed = checkpoints.earlier[0]["seed"]
    return seed, checkpoints


def _settled(estimator, series, partial):
    """What the parameters that may be "auto" come to."""
    given = {name: getattr(estimator, name) for name in plan.NAMES}
    return plan.settle(given, estimator.cell, len(series), int(series.lengths.max()), series.steps, online=partial)


def _settings(estimator, loss):
    given = {field.name: getattr(estimator, field.name, None) for field in fields(Settings)}
    settled = {name: value for name, value in estimator.settings_.items() if name in given}
    return Settings(**{**given, **settled, "loss": loss})


def _stack(estimator, channels):
    sizes = check_sizes(estimator.hidden_size, estimator.num_layers)
    return Stack(estimator.cell, channels, sizes, bool(estimator.bidirectional))


def _initial_weights(estimator, stack, loss, data, rng):
    longest = None
    if estimator.settings_["init"] == "chrono":
        longest = int(data.series.lengths.max()) if estimator.longest_lag is None else estimator.longest_lag
    weights = initialise(stack, estimator.n_outputs_ * loss.width, rng, longest)
    first = loss.first_scores(data.targets, data.weights)
    return weights if first is None else {**weights, "head.bias": first}


def _earlier_progress(estimator, network, partial):
    """What training goes on with: everything for partial_fit, the history for warm_start."""
    progress = estimator._progress.copy(estimator._progress.moments.copy())
    solver, rate = estimator.solver, estimator.settings_["learning_rate_init"]
    moments = np.zeros((SOLVERS[solver][1], network.parameters.size), network.parameters.dtype)
    if partial and (solver, moments.dtype) == (progress.solver, progress.moments.dtype):
        if estimator.learning_rate != "adaptive":
            progress.rate = rate  # it may have been set anew since
        return progress
    progress.solver, progress.moments, progress.updates, progress.rate = solver, moments, 0, rate
    progress.no_improvement, progress.best_validation_score = 0, -np.inf
    return progress


def _validate(estimator, network, held_out):
    """Score and loss of the network, as it is, on data held out."""
    series, targets, weights = held_out
    package, loss = kernels.load(kernels.resolve(estimator.backend)), estimator._model.loss
    scores = run_over(network.stack, series, network.weights, package, estimator.n_jobs, network.per_step)
    with np.errstate(over="ignore", invalid="ignore"):  # the training reports what is not finite
        values, _ = loss(scores, targets)
        mean = float(np.where(weights > 0, values * weights, 0).sum() * weights.shape[1] / weights.sum())
        # R squared is greatest for the mean, which a quantile is not, and says nothing of a distribution's width
        return -mean if loss.is_distribution else estimator._score_of(scores, targets, weights), mean


def _warn_of_shortfall(estimator, training):
    gated = kernels.CELLS[estimator.cell].forget_gate and estimator.settings_["init"] != "chrono"
    untried = [] if estimator._standardised else ["standardize=True"]
    why = outcome.shortfall(training, [*untried, "init='chrono'"] if gated else untried)
    if why:
        warn(why, ConvergenceWarning)


def _fitted_attributes(estimator, training, copied=False):
    """What a fit that ended now would set; `copied` where the training goes on."""
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
        "best_loss_": None if estimator.early_stopping else progress.best_loss,
        "validation_scores_": list(progress.validation_scores) if validated else None,
        "validation_loss_curve_": list(progress.validation_loss_curve) if validated else None,
        "best_validation_score_": progress.best_validation_score if validated else None,
        "_progress": progress,
    }


def _adopt(draft, training):
    """Let the estimator become what was trained."""
    training.progress.best_parameters = None  # of use to nobody now
    vars(draft.copy).update(_fitted_attributes(draft.copy, training))
    draft.adopt()
