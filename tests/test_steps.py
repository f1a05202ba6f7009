"""A target for each step: what is trained, what comes back, and the head and losses that both are made of."""

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import (
    FAST,
    FASTEST,
    assert_gradient_is_that_of_finite_differences,
    assert_same_fit,
    bare,
    needs_torch,
    objects,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_score

from fastlstm import LSTMClassifier, LSTMRegressor, kernels, sequences
from fastlstm.estimators import fitting
from fastlstm.kernels.parts import Part
from fastlstm.kernels.workspace import Workspace
from fastlstm.stacks import Stack
from fastlstm.training.losses import NAMES, Loss
from fastlstm.training.minibatch import Minibatch, differentiate
from fastlstm.training.network import Network, initialise

QUICK = {"hidden_size": 6, "learning_rate": "cosine", "max_iter": 3, "batch_size": 8, "random_state": 0}
STEPS = {**QUICK, "return_sequences": True}
STILL = {**STEPS, "learning_rate_init": 1e-300, "max_iter": 1, "dtype": "float64"}  # a rate that moves no weight
T = 6
LENGTHS = np.array([3, 6, 1, 4, 4, 2, 6, 5, 1, 6, 3, 2, 6, 1, 5, 4, 6, 2, 3, 6, 1])
RNG = np.random.default_rng(0)
MEMBERS = [RNG.normal(size=(length, 2)) for length in LENGTHS]
NUMBERS = [np.cumsum(member[:, 0]).astype("float32") for member in MEMBERS]
LABELS = [np.where(numbers > 0, "up", "down") for numbers in NUMBERS]
CLASSES_5 = [np.clip(np.round(numbers), -2, 2).astype(int) for numbers in NUMBERS]
PAIRS = [np.column_stack([numbers, -2 * numbers]) for numbers in NUMBERS]
THERE = np.arange(T) < LENGTHS[:, None]
CLOSE = {"rtol": 1e-10, "atol": 1e-13}
estimators = pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])


def target_of(estimator):
    return NUMBERS if estimator is LSTMRegressor else LABELS


def padded(parts, fill=np.nan):
    """One array; `fill` behind the ends."""
    first = np.asarray(parts[0])
    out = np.full((len(parts), T, *first.shape[1:]), fill, object if first.dtype.kind == "U" else float)
    out[THERE] = np.concatenate(parts)
    return out


def parity(n=300, length=12, seed=0):
    """Symbols, and for every step whether the last two differ."""
    X = np.random.default_rng(seed).integers(2, size=(n, length))
    return X[:, :, None] * 2.0 - 1, X ^ np.roll(X, 1, axis=1) * (np.arange(length) > 0)


# -- forms of y and of what comes back --------------------------------------------------------------------------

FORMS = {
    "list": (list, list),
    "tuple": (tuple, tuple),
    "object": (objects, objects),
    "Series": (lambda parts: pd.Series(list(parts), index=range(50, 50 + len(parts))),) * 2,
    "padded": (padded, padded),
    "padded, list": (padded, list),
    "list, object": (list, objects),
    "padded, anything behind": (padded, lambda parts: padded(parts, np.asarray(parts[0]).ravel()[0])),
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@pytest.mark.parametrize("targets", [NUMBERS, PAIRS, LABELS, CLASSES_5], ids=["(T,)", "(T, K)", "2 labels", "5 labels"])
@forms
def test_every_form_of_y_gives_the_same_fit_and_score(backend, form, targets):
    estimator = LSTMRegressor if targets[0].dtype.kind == "f" else LSTMClassifier
    of_X, of_y = form
    expected = bare(estimator, **STEPS, backend=backend).fit(MEMBERS, targets)
    model = bare(estimator, **STEPS, backend=backend).fit(of_X(MEMBERS), of_y(targets))
    assert_same_fit(model, expected)
    assert model.score(of_X(MEMBERS), of_y(targets)) == expected.score(MEMBERS, targets)
    assert model.t_ == 3 * len(MEMBERS)


FITS = {
    "numbers": (LSTMRegressor, NUMBERS, ["predict"]),
    "pairs": (LSTMRegressor, PAIRS, ["predict"]),
    "2 labels": (LSTMClassifier, LABELS, ["predict", "predict_proba", "predict_log_proba"]),
    "5 labels": (LSTMClassifier, CLASSES_5, ["predict", "predict_proba", "predict_log_proba"]),
}


@pytest.mark.parametrize(("estimator", "targets", "methods"), FITS.values(), ids=FITS)
def test_predictions_of_steps_come_in_the_form_of_x(backend, estimator, targets, methods):
    model = bare(estimator, **STEPS, backend=backend).fit(MEMBERS, targets)
    for method in methods:
        predict = getattr(model, method)
        alone = [predict(member[None])[0] for member in MEMBERS]
        for X, kind in [(MEMBERS, list), (tuple(MEMBERS), list), (objects(MEMBERS), np.ndarray)]:
            together = predict(X)
            assert type(together) is kind
            assert len(together) == len(MEMBERS)
            for one, other in zip(together, alone, strict=True):
                assert_array_equal(one, other, strict=True)
        assert predict(objects(MEMBERS)).dtype == object
        assert predict(objects(MEMBERS)).shape == (len(MEMBERS),)
        in_array = predict(padded(MEMBERS))
        assert in_array.shape == (len(MEMBERS), T, *alone[0].shape[1:])
        assert_array_equal(in_array[THERE], np.concatenate(alone))
        behind = in_array[~THERE].ravel().tolist()
        assert len(behind) >= (~THERE).sum()
        assert all(value is None if in_array.dtype == object else value != value for value in behind)


@pytest.mark.parametrize(("estimator", "targets", "methods"), FITS.values(), ids=FITS)
def test_predictions_of_an_array_without_ends_are_an_array_of_their_own_type(estimator, targets, methods):
    model = bare(estimator, **STEPS).fit(MEMBERS, targets)
    whole = np.stack([member for member in MEMBERS if len(member) == T])
    for method in methods:
        predicted = getattr(model, method)(whole)
        assert predicted.shape[:2] == whole.shape[:2]
        assert predicted.dtype == getattr(model, method)(list(whole))[0].dtype
        assert predicted.dtype != object


def test_2d_series_have_a_target_for_each_column():
    X = np.random.default_rng(0).normal(size=(12, T))
    model = bare(LSTMRegressor, **STEPS).fit(X, X.cumsum(axis=1))
    assert_same_fit(model, bare(LSTMRegressor, **STEPS).fit(X[:, :, None], X.cumsum(axis=1)))
    assert model.predict(X).shape == X.shape


def test_one_output_in_an_axis_of_its_own_is_predicted_in_such_an_axis():
    flat = bare(LSTMRegressor, **STEPS).fit(MEMBERS, NUMBERS)
    deep = bare(LSTMRegressor, **STEPS).fit(MEMBERS, [numbers[:, None] for numbers in NUMBERS])
    assert_same_fit(deep, flat)
    for one, other in zip(deep.predict(MEMBERS), flat.predict(MEMBERS), strict=True):
        assert_array_equal(one, other[:, None], strict=True)


def test_probabilities_of_steps_sum_to_one_and_their_logarithms_agree():
    model = bare(LSTMClassifier, **STEPS, dtype="float64").fit(MEMBERS, CLASSES_5)
    probabilities, logarithms = (np.concatenate(p(MEMBERS)) for p in (model.predict_proba, model.predict_log_proba))
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert_allclose(np.exp(logarithms), probabilities, rtol=1e-12)
    assert_array_equal(np.concatenate(model.predict(MEMBERS)), model.classes_[probabilities.argmax(axis=1)])
    assert model.classes_.tolist() == [-2, -1, 0, 1, 2]


@pytest.mark.parametrize("shape", [{}, {"num_layers": 2, "bidirectional": True}], ids=["one", "both"])
@pytest.mark.parametrize("targets", [NUMBERS, CLASSES_5], ids=["numbers", "5 labels"])
def test_a_prediction_of_a_step_depends_on_no_padding_and_on_no_other_series(backend, cell, dtype, targets, shape):
    estimator = LSTMRegressor if targets is NUMBERS else LSTMClassifier
    model = bare(estimator, **{**STEPS, "max_iter": 1}, cell=cell, dtype=dtype, backend=backend, **shape)
    predict = model.fit(MEMBERS, targets).predict if targets is NUMBERS else model.fit(MEMBERS, targets).predict_proba
    together, in_array = predict(MEMBERS), predict(padded(MEMBERS))
    assert_array_equal(in_array[THERE], np.concatenate(together))
    for member, one in zip(MEMBERS, together, strict=True):
        assert_array_equal(predict(member[None])[0], one)


# -- weights of steps -------------------------------------------------------------------------------------------

MASK = [np.random.default_rng(n).random(length) > 0.4 for n, length in enumerate(LENGTHS)]
MASK[4][:] = False  # a whole series without weight
STEP_WEIGHTS = [np.random.default_rng(n).random(len(mask)) * mask for n, mask in enumerate(MASK)]


@pytest.mark.parametrize("of_weights", [list, objects, padded], ids=["list", "object", "padded"])
@estimators
def test_weights_of_steps_may_have_any_form(estimator, of_weights):
    y = target_of(estimator)
    expected = bare(estimator, **STEPS).fit(MEMBERS, y, STEP_WEIGHTS)
    assert_same_fit(bare(estimator, **STEPS).fit(padded(MEMBERS), y, of_weights(STEP_WEIGHTS)), expected)
    assert expected.loss_curve_ != bare(estimator, **STEPS).fit(MEMBERS, y).loss_curve_


@estimators
def test_a_weight_of_a_series_weighs_its_steps_alike(estimator):
    of_series = np.arange(len(MEMBERS)) % 3
    of_steps = [np.full(length, weight) for length, weight in zip(LENGTHS, of_series, strict=True)]
    y = target_of(estimator)
    one, other = (bare(estimator, **STEPS).fit(MEMBERS, y, weights) for weights in (of_series, of_steps))
    assert_same_fit(one, other)
    assert one.score(MEMBERS, y, of_series) == one.score(MEMBERS, y, of_steps)


@estimators
@pytest.mark.parametrize(
    "weights", [1.0, np.ones(len(MEMBERS)), [np.ones(n) for n in LENGTHS]], ids=["1", "n", "steps"]
)
def test_no_weights_are_ones(estimator, weights):
    y = target_of(estimator)
    assert_same_fit(bare(estimator, **STEPS).fit(MEMBERS, y, weights), bare(estimator, **STEPS).fit(MEMBERS, y))


def masked_with(targets, value):
    """Targets, another value where the mask has none."""
    kind = object if not isinstance(value, float) or targets[0].dtype.kind == "U" else targets[0].dtype
    out = [part.astype(kind) for part in targets]
    for part, mask in zip(out, MASK, strict=True):
        part[~mask] = value
    return out


MASKED = {
    "numbers, NaN": (LSTMRegressor, NUMBERS, np.nan),
    "numbers, infinite": (LSTMRegressor, NUMBERS, np.inf),
    "numbers, others": (LSTMRegressor, NUMBERS, 7.5),
    "pairs, NaN": (LSTMRegressor, PAIRS, np.nan),
    "labels, unknown": (LSTMClassifier, LABELS, "unknown"),
    "labels, others": (LSTMClassifier, LABELS, "up"),
    "5 labels, NaN": (LSTMClassifier, [labels.astype(float) for labels in CLASSES_5], np.nan),
    "5 labels, unknown": (LSTMClassifier, [labels.astype(float) for labels in CLASSES_5], -1e9),
}
masked = pytest.mark.parametrize(("estimator", "targets", "value"), MASKED.values(), ids=MASKED)


@masked
def test_the_target_of_a_step_of_weight_zero_may_be_any(backend, estimator, targets, value):
    options = {**STEPS, "backend": backend, "n_jobs": 1}
    expected = bare(estimator, **options).fit(MEMBERS, targets, STEP_WEIGHTS)
    other = masked_with(targets, value)
    model = bare(estimator, **options).fit(
        MEMBERS, other, STEP_WEIGHTS, X_val=MEMBERS, y_val=other, sample_weight_val=MASK
    )
    assert_same_fit(model, expected)
    assert model.score(MEMBERS, other, MASK) == expected.score(MEMBERS, targets, MASK)
    assert model.score(MEMBERS, other, MASK) == pytest.approx(model.validation_scores_[-1], rel=1e-5)
    if estimator is LSTMClassifier:
        assert_array_equal(model.classes_, np.unique(np.concatenate(targets)))


@masked
def test_early_stopping_holds_out_weights_of_steps_with_their_targets(estimator, targets, value):
    options = {**STEPS, "early_stopping": True, "validation_fraction": 0.3}
    one, other = (
        bare(estimator, **options).fit(MEMBERS, y, STEP_WEIGHTS) for y in (targets, masked_with(targets, value))
    )
    assert one.validation_scores_ == other.validation_scores_
    assert_same_fit(one, other)


def test_a_step_of_weight_zero_still_leads_to_the_next():
    # a mask is not a gap: the network reads the step, it only is not asked there
    changed = [member.copy() for member in MEMBERS]
    for member, mask in zip(changed, MASK, strict=True):
        member[~mask] += 1
    one, other = (bare(LSTMRegressor, **STEPS).fit(X, NUMBERS, STEP_WEIGHTS) for X in (MEMBERS, changed))
    assert one.loss_curve_ != other.loss_curve_


def test_class_weights_weigh_steps():
    by_class = bare(LSTMClassifier, **STEPS, class_weight={"up": 3, "down": 0.5}).fit(MEMBERS, LABELS)
    by_step = [np.where(labels == "up", 3, 0.5) for labels in LABELS]
    assert_same_fit(by_class, bare(LSTMClassifier, **STEPS).fit(MEMBERS, LABELS, by_step))


def test_balanced_class_weights_count_steps():
    balanced = bare(LSTMClassifier, **STEPS, class_weight="balanced", dtype="float64").fit(MEMBERS, LABELS)
    flat = np.concatenate(LABELS)
    of_class = {label: len(flat) / (2 * np.sum(flat == label)) for label in ("up", "down")}
    given_ = bare(LSTMClassifier, **STEPS, class_weight=of_class, dtype="float64").fit(MEMBERS, LABELS)
    assert_allclose(balanced.loss_curve_, given_.loss_curve_, rtol=1e-12)


# -- loss and gradient ------------------------------------------------------------------------------------------

BY_HAND = {
    "squared_error": lambda r: 0.5 * r**2,
    "absolute_error": np.abs,
    "huber": lambda r: np.where(np.abs(r) <= 1, 0.5 * r**2, np.abs(r) - 0.5),
}


@pytest.mark.parametrize("loss", BY_HAND)
@pytest.mark.parametrize("batch_size", [4, "auto"])
def test_the_loss_of_an_epoch_is_the_weighted_mean_over_steps(backend, loss, batch_size):
    model = bare(LSTMRegressor, **{**STILL, "batch_size": batch_size}, loss=loss, backend=backend)
    model.fit(MEMBERS, PAIRS, STEP_WEIGHTS, X_val=MEMBERS, y_val=PAIRS, sample_weight_val=STEP_WEIGHTS)
    residuals = np.concatenate(model.predict(MEMBERS)) - np.concatenate(PAIRS)
    expected = np.average(BY_HAND[loss](residuals).mean(axis=1), weights=np.concatenate(STEP_WEIGHTS))
    assert_allclose(model.loss_, expected, rtol=1e-12)
    assert_allclose(model.validation_loss_curve_, [expected], rtol=1e-12)


@pytest.mark.parametrize("targets", [LABELS, CLASSES_5], ids=["2 labels", "5 labels"])
def test_the_loss_of_a_classifier_is_the_weighted_mean_of_the_steps_log_losses(backend, targets):
    model = bare(LSTMClassifier, **STILL, backend=backend).fit(MEMBERS, targets, STEP_WEIGHTS)
    flat = np.concatenate(targets)
    of_steps = np.concatenate(model.predict_log_proba(MEMBERS))[
        np.arange(len(flat)), np.searchsorted(model.classes_, flat)
    ]
    assert_allclose(model.loss_, np.average(-of_steps, weights=np.concatenate(STEP_WEIGHTS)), rtol=1e-12)


SHAPES = {
    "one": {},
    "two layers": {"hidden_sizes": (5, 3)},
    "bidirectional": {"bidirectional": True},
    "both": {"hidden_sizes": (4, 4), "bidirectional": True},
}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
of_lengths = pytest.mark.parametrize("lengths", [[4, 4, 4], [2, 5, 1, 4]], ids=["equal", "unequal"])


class Problem:
    """A network on every step, and a batch of series with a target, and a share, for each step of all."""

    def __init__(
        self, lengths, cell="lstm", hidden_sizes=(5,), bidirectional=False, loss="squared_error", K=2,
        backend=FASTEST, checkpoint=None, dtype="float64", of_outputs=False,
    ):  # fmt: skip
        rng, self.loss = np.random.default_rng(0), Loss(loss)
        self.members = [rng.normal(size=(length, 2)) for length in lengths]
        self.series = sequences.of_members(self.members, dtype, "X")
        M = self.series.steps
        self.targets = (
            rng.integers(K, size=(M, 1)) if loss == "cross_entropy" else rng.normal(size=(M, K)).astype(dtype)
        )
        if loss == "binary_cross_entropy":
            self.targets = (self.targets > 0).astype(dtype)
        self.shares = rng.random((M, K if of_outputs else 1)).astype(dtype)
        self.shares[M // 2] = 0
        stack = Stack(cell, 2, hidden_sizes, bidirectional)
        weights = {
            name: value + 0.1 * rng.normal(size=value.shape) for name, value in initialise(stack, K, rng).items()
        }
        self.network = Network(stack, weights, np.dtype(dtype), backend, checkpoint, per_step=True)

    def results(self, shares=None, n_jobs=1):
        """Each step's loss, times its share, and the gradient, flat."""
        network, series, shares = self.network, self.series, self.shares if shares is None else shares
        rows, starts = series.pack(np.arange(len(series)))
        places = series.step_rows(rows, starts)
        batch = Minibatch(starts, series.values, series.at[rows], self.targets[places], shares[places], self.loss)
        with network.team(len(rows), series.steps, n_jobs) as team:
            network.prepare_batch(batch, team.size)
            team.run(lambda: differentiate(network))
        losses = np.empty(series.steps)
        losses[places] = network.values
        return losses, network.gradient.copy()


def assert_gradient_is_numeric(problem):
    gradient = problem.results()[1]
    assert_gradient_is_that_of_finite_differences(
        lambda: problem.results()[0].sum(), problem.network.parameters, gradient
    )


@of_lengths
@shapes
def test_the_gradient_is_that_of_finite_differences(backend, cell, shape, lengths):
    problem = Problem(lengths, cell, backend=backend, **shape)
    assert_gradient_is_numeric(problem)


LOSSES = [name for name in NAMES if not Loss(name).is_distribution]
LOSSES_AND_OUTPUTS = [
    (loss, K, of_outputs)
    for loss in LOSSES
    for K, of_outputs in [(1, False), (2, False), (2, True), (5, False), (5, True)]
    if not (loss == "cross_entropy" and (K == 1 or of_outputs))
]


@pytest.mark.parametrize(("loss", "K", "of_outputs"), LOSSES_AND_OUTPUTS)
def test_the_gradient_of_every_loss_is_that_of_finite_differences(backend, loss, K, of_outputs):
    problem = Problem([2, 5, 1, 4], loss=loss, K=K, of_outputs=of_outputs, backend=backend, hidden_sizes=(3,))
    assert_gradient_is_numeric(problem)


@shapes
def test_the_gradient_is_the_sum_of_those_of_single_steps(backend, cell, shape):
    problem = Problem([2, 5, 1, 4], cell, backend=backend, **shape)
    losses, gradient = problem.results()
    single = []
    for m in range(len(losses)):
        shares = np.zeros_like(problem.shares)
        shares[m] = problem.shares[m]
        of_one, d = problem.results(shares)
        assert_array_equal(of_one, np.where(np.arange(len(losses)) == m, losses, 0))
        single.append(d)
    assert_allclose(np.sum(single, axis=0), gradient, rtol=1e-10, atol=1e-12)
    assert_allclose(problem.results(4 * problem.shares)[1], 4 * gradient, rtol=1e-10, atol=1e-12)


@shapes
def test_the_last_step_alone_has_the_gradient_of_a_head_on_the_last_states(backend, cell, shape):
    if shape.get("bidirectional"):
        # its last states are those of two ends, so no step has them both
        return
    problem = Problem([2, 5, 1, 4], cell, backend=backend, **shape)
    ends = np.cumsum([2, 5, 1, 4]) - 1
    shares = np.zeros_like(problem.shares)
    shares[ends] = 0.25
    losses, gradient = problem.results(shares)
    problem.network = Network(
        problem.network.stack, problem.network.weights, np.dtype("float64"), backend, per_step=False
    )
    rows, starts = problem.series.pack(np.arange(4))
    with problem.network.team(4, 12, 1) as team:
        data = problem.series.values, problem.series.at[rows], problem.targets[ends][rows], np.full((4, 1), 0.25)
        batch = Minibatch(starts, *data, Loss("squared_error"))
        problem.network.prepare_batch(batch, 1)
        team.run(lambda: differentiate(problem.network))
    assert_allclose(problem.network.values, losses[ends][rows], rtol=1e-12)
    assert_allclose(problem.network.gradient, gradient, rtol=1e-10, atol=1e-12)


@needs_torch
@of_lengths
@shapes
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_the_gradient_is_that_of_torch(cell, shape, lengths, loss):
    import torch
    from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence
    from torch_peer import module_of

    sizes = shape.get("hidden_sizes", (5,))
    if len(set(sizes)) > 1:
        shape, sizes = {**shape, "hidden_sizes": (5, 5)}, (5, 5)  # torch has one size for all layers
    problem = Problem(lengths, cell, loss=loss, K=3, **shape)
    losses, gradient = problem.results()
    options = {"num_layers": len(sizes), "bidirectional": problem.network.stack.bidirectional, "batch_first": True}
    module = module_of(cell, 2, sizes[0], **options, dtype=torch.float64)
    weights = {name: torch.tensor(value) for name, value in problem.network.weights.items()}
    head = {name.removeprefix("head."): weights.pop(name) for name in ("head.weight", "head.bias")}
    linear = torch.nn.Linear(problem.network.stack.width, 3, dtype=torch.float64)
    module.load_state_dict(weights)
    linear.load_state_dict(head)
    packed = pack_sequence([torch.tensor(member) for member in problem.members], enforce_sorted=False)
    outputs, ends = pad_packed_sequence(module(packed)[0], batch_first=True)
    scores = linear(torch.cat([output[:end] for output, end in zip(outputs, ends, strict=True)]))
    targets = torch.tensor(problem.targets)
    if loss == "cross_entropy":
        of_steps = torch.nn.functional.cross_entropy(scores, targets[:, 0], reduction="none")
    else:
        of_steps = 0.5 * torch.nn.functional.mse_loss(scores, targets, reduction="none").mean(dim=1)
    weighted = of_steps * torch.tensor(problem.shares[:, 0])
    weighted.sum().backward()
    assert_allclose(losses, weighted.detach().numpy(), rtol=1e-11, atol=1e-14)
    theirs = {name: p.grad for name, p in module.named_parameters()}
    theirs |= {f"head.{name}": p.grad for name, p in linear.named_parameters()}
    assert problem.network.d_weights.keys() == theirs.keys()
    for name, value in problem.network.d_weights.items():
        assert_allclose(value, theirs[name].numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
    assert np.abs(gradient).max() > 1e-3


@of_lengths
@pytest.mark.parametrize("K", [2, 5])
@pytest.mark.parametrize("hidden_sizes", [(7,), (5, 3)], ids=str)
@pytest.mark.parametrize("checkpoint", [1, 3])
def test_computing_steps_a_second_time_gives_the_same_losses(backend, cell, lengths, K, hidden_sizes, checkpoint):
    whole, divided = (
        Problem(lengths, cell, hidden_sizes, K=K, backend=backend, checkpoint=steps) for steps in (None, checkpoint)
    )
    (losses, gradient), (losses_again, gradient_again) = whole.results(), divided.results()
    assert_array_equal(losses_again, losses)
    assert_allclose(gradient_again, gradient, **CLOSE)
    assert_array_equal(divided.results()[1], gradient_again)  # nothing is left over from the last batch


@pytest.mark.parametrize("targets", [PAIRS, CLASSES_5], ids=["pairs", "5 labels"])
@pytest.mark.parametrize("checkpoint", [1, 3])
def test_fits_that_compute_steps_a_second_time_agree(backend, targets, checkpoint):
    estimator = LSTMRegressor if targets is PAIRS else LSTMClassifier
    whole, divided = (
        bare(estimator, **STEPS, dtype="float64", backend=backend, bptt_checkpoint=steps).fit(
            MEMBERS, targets, STEP_WEIGHTS
        )
        for steps in (None, checkpoint)
    )
    assert_allclose(divided.loss_curve_, whole.loss_curve_, **CLOSE)
    for name, value in whole.weights_.items():
        assert_allclose(divided.weights_[name], value, **CLOSE, err_msg=name)


# -- threads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("K", "checkpoint"), [(1, None), (5, None), (1, 2), (5, 2)])
@pytest.mark.parametrize("shape", [{}, {"bidirectional": True}], ids=["forward", "both"])
def test_a_gradient_has_the_same_bits_for_any_number_of_threads(teams, by_units, dtype, cell, K, checkpoint, shape):
    lengths = [2, 6, 1, 6, 5, 1, 1, 4, 3]
    problem = Problem(lengths, cell, (33, 17), K=K, checkpoint=checkpoint, dtype=dtype, **shape)
    losses, gradient = problem.results(n_jobs=1)
    for n_jobs in (2, 4):
        losses_again, gradient_again = problem.results(n_jobs=n_jobs)
        assert_array_equal(losses_again, losses)
        assert_array_equal(gradient_again, gradient)
    assert [size for size, _ in teams] == [1, 2, 4]


@estimators
def test_a_fit_of_steps_has_the_same_bits_for_any_n_jobs(four_cpus, by_units, estimator):
    y = target_of(estimator)
    options = {**STEPS, "hidden_size": 21, "backend": FASTEST}
    alone, *together = (bare(estimator, **options, n_jobs=n).fit(MEMBERS, y, STEP_WEIGHTS) for n in (1, 2, 4))
    expected = np.concatenate(alone.predict(MEMBERS))
    for model in together:
        assert_same_fit(model, alone)
        assert_array_equal(np.concatenate(model.predict(MEMBERS)), expected)


# -- scores, going on, scikit-learn's tools ---------------------------------------------------------------------


def test_the_score_of_a_classifier_is_the_weighted_part_of_right_steps():
    model = bare(LSTMClassifier, **STEPS).fit(MEMBERS, LABELS)
    right = np.concatenate(model.predict(MEMBERS)) == np.concatenate(LABELS)
    assert 0 < right.mean() < 1
    assert model.score(MEMBERS, LABELS) == pytest.approx(right.mean(), rel=1e-12)
    expected = np.average(right, weights=np.concatenate(STEP_WEIGHTS))
    assert model.score(MEMBERS, LABELS, STEP_WEIGHTS) == pytest.approx(expected, rel=1e-12)


def test_the_score_of_a_regressor_is_r_squared_over_all_steps():
    pairs = [pair.astype("float64") for pair in PAIRS]
    model = bare(LSTMRegressor, **STEPS, dtype="float64").fit(MEMBERS, pairs)
    y, predicted = np.concatenate(pairs), np.concatenate(model.predict(MEMBERS))
    assert model.score(MEMBERS, pairs) == pytest.approx(r2_score(y, predicted), rel=1e-12)
    expected = r2_score(y, predicted, sample_weight=np.concatenate(STEP_WEIGHTS))
    assert model.score(padded(MEMBERS), padded(pairs), STEP_WEIGHTS) == pytest.approx(expected, rel=1e-12)


@estimators
def test_early_stopping_ends_with_the_steps_best_score(estimator):
    y = target_of(estimator)
    options = {**STEPS, "early_stopping": True, "learning_rate_init": 0.05, "max_iter": 15}
    model = bare(estimator, **options).fit(MEMBERS[6:], y[6:], X_val=MEMBERS[:6], y_val=y[:6])
    assert len(set(model.validation_scores_)) > 1
    best = max(model.validation_scores_)
    assert model.best_validation_score_ == best
    assert model.score(MEMBERS[:6], y[:6]) == pytest.approx(best, rel=1e-5)


def test_a_part_held_out_keeps_targets_and_weights_with_their_steps(monkeypatch):
    parts, split = [], fitting.split
    monkeypatch.setattr(fitting, "split", lambda *args: parts.extend(split(*args)) or parts)
    model = bare(LSTMRegressor, **STEPS, early_stopping=True, validation_fraction=0.3, dtype="float64")
    model.fit(MEMBERS, [member[:, 0] for member in MEMBERS], [np.abs(member[:, 1]) for member in MEMBERS])
    (trained,), (held_out,) = parts
    assert [len(x) for x, _, _ in (trained, held_out)] == [14, 7]
    for x, targets, weights in (trained, held_out):
        assert_array_equal(targets[:, 0], x.table()[:, 0])
        assert_array_equal(weights[:, 0], np.abs(x.table()[:, 1]))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@estimators
def test_partial_fit_is_one_epoch_of_a_fit(estimator):
    y = target_of(estimator)
    options = {**STEPS, "learning_rate": "constant"}
    first = {} if estimator is LSTMRegressor else {"classes": ["down", "up"]}
    whole = bare(estimator, **{**options, "max_iter": 1}).fit(padded(MEMBERS), y, STEP_WEIGHTS)
    part = bare(estimator, **options).partial_fit(MEMBERS, y, sample_weight=STEP_WEIGHTS, **first)
    assert_same_fit(part, whole)
    part.partial_fit(MEMBERS[:5], y[:5])
    assert part.n_iter_ == 2
    assert part.t_ == len(MEMBERS) + 5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@estimators
def test_a_warm_start_goes_on_from_the_last_weights(estimator):
    y = target_of(estimator)
    model = bare(estimator, **{**STILL, "max_iter": 2, "learning_rate_init": 1e-3}, warm_start=True).fit(MEMBERS, y)
    before = {name: value.copy() for name, value in model.weights_.items()}
    model.set_params(learning_rate_init=1e-300, max_iter=1).fit(padded(MEMBERS), y)
    for name, value in before.items():
        assert_array_equal(model.weights_[name], value, err_msg=name)
    assert model.n_iter_ == 3


@estimators
def test_copies_and_pickles_predict_steps_as_the_original(estimator):
    model = bare(estimator, **STEPS).fit(MEMBERS, target_of(estimator))
    expected = np.concatenate(model.predict(MEMBERS))
    for other in (pickle.loads(pickle.dumps(model)), clone(model).fit(MEMBERS, target_of(estimator))):
        assert_array_equal(np.concatenate(other.predict(MEMBERS)), expected)


@estimators
@pytest.mark.parametrize("of", [list, objects], ids=["list", "object"])
@pytest.mark.parametrize("cv", [3, KFold(3)], ids=["3", "KFold"])
def test_cross_validation_splits_series_with_their_steps(estimator, of, cv):
    X, y, model = of(MEMBERS), of(target_of(estimator)), bare(estimator, **STEPS)
    scores = cross_val_score(model, X, y, cv=cv, error_score="raise")
    for score, (train, test) in zip(scores, KFold(3).split(MEMBERS), strict=True):
        model.fit([MEMBERS[n] for n in train], [y[n] for n in train])
        assert score == model.score([MEMBERS[n] for n in test], [y[n] for n in test])


@estimators
def test_inputs_are_left_as_they_were_and_may_be_read_only(estimator):
    y, weights = target_of(estimator), STEP_WEIGHTS
    for given_ in [(MEMBERS, y, weights), tuple(map(padded, (MEMBERS, y, weights)))]:
        data = pickle.loads(pickle.dumps(given_))
        for part in data:
            for array in [*part, part]:
                if isinstance(array, np.ndarray):
                    array.flags.writeable = False
        model = bare(estimator, **STEPS).fit(*data, X_val=data[0], y_val=data[1], sample_weight_val=data[2])
        model.score(*data)
        assert pickle.dumps(data) == pickle.dumps(given_)


# -- what can be learned ----------------------------------------------------------------------------------------

LEARN = {"hidden_size": 16, "learning_rate": "cosine", "learning_rate_init": 0.02, "batch_size": 25, "max_iter": 15}


def test_the_parity_of_the_last_two_symbols_is_learned(cell):
    X, y = parity()
    model = bare(LSTMClassifier, **LEARN, return_sequences=True, cell=cell, random_state=0).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.95


def test_a_delayed_copy_of_one_of_five_symbols_is_learned_from_series_of_unequal_lengths():
    rng = np.random.default_rng(0)
    symbols = [rng.integers(5, size=length) for length in rng.integers(4, 15, 250)]
    X, y = [np.eye(5)[s] for s in symbols], [np.append([0, 0], s)[: len(s)] for s in symbols]
    weights = [np.arange(len(s)) >= 2 for s in symbols]  # before that there is nothing to copy
    model = bare(LSTMClassifier, **{**LEARN, "max_iter": 40}, return_sequences=True, random_state=0)
    model.fit(X[:200], y[:200], weights[:200])
    assert model.score(X[200:], y[200:], weights[200:]) > 0.95


def test_what_comes_later_is_learned_only_with_a_backward_direction():
    X, y = parity()
    ahead = np.roll(y, -1, axis=1)  # whether this symbol and the next differ
    weights = np.broadcast_to(np.arange(12) < 11, y.shape)
    scores = []
    for bidirectional in (False, True):
        model = bare(LSTMClassifier, **LEARN, return_sequences=True, bidirectional=bidirectional, random_state=0)
        scores.append(model.fit(X[:200], ahead[:200], weights[:200]).score(X[200:], ahead[200:], weights[200:]))
    assert scores[0] < 0.65
    assert scores[1] > 0.95


def test_a_running_sum_is_learned():
    rng = np.random.default_rng(0)
    X = [0.5 * rng.normal(size=length) for length in rng.integers(3, 12, 300)]
    y = [np.cumsum(x) for x in X]
    model = bare(LSTMRegressor, **{**LEARN, "max_iter": 25}, return_sequences=True, random_state=0).fit(
        X[:200], y[:200]
    )
    assert model.score(X[200:], y[200:]) > 0.95


# -- head and losses of the backends against each other ---------------------------------------------------------

TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-11, "atol": 1e-13}}


def head_results(backend, loss, K, F, M, dtype, wide_shares, more, seed=0, parts=1):
    """All that a head computes for M rows, in parts and one after the other; without its padding."""
    rng, package = np.random.default_rng(seed), kernels.load(backend)

    def draw(*shape):
        return rng.normal(size=shape).astype(dtype)

    features, weight, bias, targets = draw(M, F), draw(K, F), draw(K), draw(M, K)
    shares = rng.random((M, K if wide_shares else 1)).astype(dtype)
    shares[rng.random(shares.shape) < 0.3] = 0
    d_weight, d_bias = draw(K, F), draw(K)
    if loss == "cross_entropy":
        targets = rng.integers(K, size=(M, 1))
    elif loss == "binary_cross_entropy":
        targets = (targets > 0).astype(dtype)
    else:
        targets[shares[:, 0] == 0, 0] = np.nan  # what does not count may be anything
    head = package.head.Head(K, F, np.dtype(dtype), Workspace(), backward=True)
    head.fill(weight, bias)
    room, d_features = head.room("features", M), head.room("d_features", M)
    room[:, :F] = features
    scores, d_scores = np.full((2, M, head.columns), np.nan, dtype)
    values = np.full(M, np.nan)
    for first in range(0, M, 7):  # any ranges of rows
        last = min(first + 7, M)
        head.forward(first, last, room, scores)
        head.differentiate(Loss(loss), first, last, room, targets, shares, values, d_scores, d_features)
    for again in [False, True] if more else [False]:  # what is more is added to what the same arrays got before
        for rank in range(parts):
            head.weight_gradient(Part(rank, parts), room, d_scores, d_weight, d_bias, accumulate=again)
    return {
        "scores": scores[:, :K], "values": values, "d_scores": d_scores[:, :K], "d_features": d_features[:, :F],
        "d_weight": d_weight, "d_bias": d_bias,
    }  # fmt: skip


def assert_heads_agree(fast, dtype, *case):
    ours, theirs = (head_results(backend, *case[:4], dtype, *case[4:]) for backend in (fast, "numpy"))
    for name, value in theirs.items():
        assert np.isfinite(value).all()
        tolerance = TOLERANCE[dtype]
        scale = np.abs(value).max(initial=1)
        assert_allclose(ours[name], value, rtol=tolerance["rtol"], atol=tolerance["atol"] * scale, err_msg=name)


WIDTHS = [(1, 1), (2, 1), (3, 1), (1, 17), (2, 16), (2, 33), (3, 15), (5, 31), (8, 32), (17, 7), (33, 40)]
of_fast = pytest.mark.parametrize("fast", FAST)  # a fixture would not do for properties


@of_fast
@pytest.mark.parametrize(("K", "F"), WIDTHS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("more", [False, True], ids=["anew", "more"])
def test_a_head_computes_what_numpy_does(fast, loss, K, F, more):
    if loss == "cross_entropy" and K == 1:
        assert_heads_agree(fast, "float64", loss, K, F, 20, False, more)
        return
    for wide in [False] if loss == "cross_entropy" else [False, True]:
        assert_heads_agree(fast, "float64", loss, K, F, 20, wide, more)
        assert_heads_agree(fast, "float32", loss, K, F, 20, wide, more)


@of_fast
@given(
    loss=st.sampled_from(list(LOSSES)), K=st.integers(1, 20), F=st.integers(1, 40), M=st.integers(1, 30),
    wide=st.booleans(), more=st.booleans(), seed=st.integers(0, 100),
)  # fmt: skip
def test_a_head_of_any_size_computes_what_numpy_does(fast, loss, K, F, M, wide, more, seed):
    assert_heads_agree(fast, "float64", loss, K, F, M, wide and loss != "cross_entropy", more, seed)


@of_fast
@pytest.mark.parametrize("K", [1, 2, 5])
def test_the_gradient_of_a_head_over_many_rows_is_that_of_numpy(fast, K):
    assert_heads_agree(fast, "float64", "squared_error", K, 9, 1500, False, True)  # more rows than are summed at a time


@of_fast
@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("F", [1, 16, 17, 100])  # fewer columns than parts, too
def test_the_gradient_of_a_head_has_the_same_bits_in_any_parts(fast, dtype, K, F, parts):
    case = fast, "squared_error", K, F, 50, dtype, False, True
    alone, divided = head_results(*case), head_results(*case, parts=parts)
    for name in ("d_weight", "d_bias"):
        assert_array_equal(divided[name], alone[name], err_msg=name)


@pytest.mark.parametrize("K", [1, 2, 5])
def test_a_row_of_a_head_has_the_same_bits_whatever_rows_are_beside_it(backend, dtype, K):
    rng, package = np.random.default_rng(0), kernels.load(backend)
    weight, bias = rng.normal(size=(K, 19)).astype(dtype), rng.normal(size=K).astype(dtype)
    features = rng.normal(size=(23, 19)).astype(dtype)

    def scores_of(rows):
        head = package.head.Head(K, 19, np.dtype(dtype), Workspace())
        head.fill(weight, bias)
        room, scores = head.room("features", len(rows)), np.empty((len(rows), head.columns), dtype)
        room[:, :19] = rows
        head.forward(0, len(rows), room, scores)
        return scores[:, :K]

    together = scores_of(features)
    for n in range(23):
        assert_array_equal(scores_of(features[[n]]), together[[n]])


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_that_are_not_finite_are_not_hidden(backend, loss, K):
    package, dtype = kernels.load(backend), np.dtype("float64")
    head = package.head.Head(K, 1, dtype, Workspace(), backward=True)
    head.fill(np.full((K, 1), 1.0), np.zeros(K))
    room, d_features = head.room("features", 1), head.room("d_features", 1)
    room[:, :1] = np.nan
    d_scores, values = np.zeros((1, head.columns)), np.zeros(1)
    targets = np.zeros((1, 1), np.int64) if loss == "cross_entropy" else np.zeros((1, K))
    head.differentiate(Loss(loss), 0, 1, room, targets, np.ones((1, 1)), values, d_scores, d_features)
    assert np.isnan(values).all()
