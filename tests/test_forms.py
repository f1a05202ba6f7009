"""Series of unequal lengths in the estimators, in every form that they may come in."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import FASTEST, assert_same_fit, objects
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceScaler, kernels, sequences
from fastlstm.kernels.parts import longest_first
from fastlstm.training import batches

QUICK = {"hidden_size": 5, "learning_rate": "cosine", "max_iter": 3, "batch_size": 8, "random_state": 0}
T = 7
#: More than two batches; no order; some of one step, some of all; none where a plain shuffle would sort them.
LENGTHS = np.array([3, 7, 1, 4, 4, 2, 7, 5, 1, 6, 3, 2, 7, 1, 5, 4, 6, 2, 3, 7, 1, 4, 6])
ESTIMATORS = pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])


def members(C=2, lengths=LENGTHS, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, C)) for length in lengths]


MEMBERS = members()
TARGETS = np.array([member[:, 0].sum() for member in MEMBERS])


def target_of(estimator):
    return TARGETS if estimator is LSTMRegressor else np.array(["low", "high"])[(TARGETS > 0).astype(int)]


def padded(parts, T=T):
    """One array in which NaN stands behind the ends."""
    out = np.full((len(parts), T, parts[0].shape[1]), np.nan)
    for n, part in enumerate(parts):
        out[n, : len(part)] = part
    return out


def as_frames(parts):
    return [pd.DataFrame(part, columns=[f"c{c}" for c in range(part.shape[1])]) for part in parts]


FORMS = {
    "list": list,
    "tuple": tuple,
    "object": objects,
    "Series": lambda parts: pd.Series(list(parts), index=range(100, 100 + len(parts))),
    "padded": padded,
    "longer padded": lambda parts: padded(parts, T + 4),
    "Fortran order": lambda parts: np.asfortranarray(padded(parts)),
    "frames": as_frames,
    "nested lists": lambda parts: [part.tolist() for part in parts],
    "strided": lambda parts: [np.repeat(part, 2, axis=0)[::2] for part in parts],
    "big-endian": lambda parts: [part.astype(">f8") for part in parts],
}
FLAT_FORMS = {
    "(T, 1) list": list,
    "(T,) list": lambda parts: [part[:, 0] for part in parts],
    "(T,) tuple": lambda parts: tuple(part[:, 0] for part in parts),
    "(T,) object": lambda parts: objects([part[:, 0] for part in parts]),
    "(T,) Series": lambda parts: pd.Series([part[:, 0] for part in parts]),
    "Series of Series": lambda parts: pd.Series(
        [pd.Series(part[:, 0], index=range(5, 5 + len(part))) for part in parts]
    ),
    "(T,) lists": lambda parts: [part[:, 0].tolist() for part in parts],
    "padded": padded,
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def predicted(model, X):
    return model.predict_proba(X) if isinstance(model, LSTMClassifier) else model.predict(X)


# -- the same data in another form ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fits():
    """The fit of the list, once for each way to ask."""
    made = {}

    def fit(estimator, backend, C=2):
        if (estimator, backend, C) not in made:
            y = target_of(estimator)
            made[estimator, backend, C] = estimator(**QUICK, backend=backend).fit([m[:, :C] for m in MEMBERS], y)
        return made[estimator, backend, C]

    return fit


@ESTIMATORS
@forms
def test_every_form_gives_the_same_fit_and_predictions(fits, backend, estimator, form):
    expected, X = fits(estimator, backend), form(MEMBERS)
    model = estimator(**QUICK, backend=backend).fit(X, target_of(estimator))
    assert_same_fit(model, expected)
    assert_array_equal(predicted(model, X), predicted(expected, MEMBERS), strict=True)
    assert model.n_features_in_ == 2


@ESTIMATORS
@pytest.mark.parametrize("form", FLAT_FORMS.values(), ids=FLAT_FORMS)
def test_every_form_of_one_channel_gives_the_same_fit_and_predictions(fits, estimator, form):
    expected, X = fits(estimator, FASTEST, 1), form([member[:, :1] for member in MEMBERS])
    model = estimator(**QUICK, backend=FASTEST).fit(X, target_of(estimator))
    assert_same_fit(model, expected)
    assert_array_equal(predicted(model, X), predicted(expected, [member[:, 0] for member in MEMBERS]), strict=True)


@ESTIMATORS
def test_a_list_of_series_of_one_length_is_their_array(backend, estimator):
    X = np.random.default_rng(0).normal(size=(23, T, 2))
    y = target_of(estimator)
    as_array, as_list = (estimator(**QUICK, backend=backend).fit(form, y) for form in (X, list(X)))
    assert_same_fit(as_list, as_array)
    assert_array_equal(predicted(as_list, list(X)), predicted(as_array, X), strict=True)


def test_columns_of_a_2d_array_are_the_steps_of_a_list():
    X = np.random.default_rng(0).normal(size=(23, T))
    model = LSTMRegressor(**QUICK).fit(X, TARGETS)
    assert_same_fit(LSTMRegressor(**QUICK).fit(list(X), TARGETS), model)
    assert_array_equal(model.predict([x[:3] for x in X]), model.predict(X[:, :3, None]))


def test_members_of_other_number_types_are_read_as_their_values():
    whole = [np.round(8 * member) for member in MEMBERS]
    kinds = ["f4", "f8", "f2", "i8", "i2", "O"]
    mixed = [member.astype(kinds[n % len(kinds)]) for n, member in enumerate(whole)]
    assert_same_fit(LSTMRegressor(**QUICK).fit(mixed, TARGETS), LSTMRegressor(**QUICK).fit(whole, TARGETS))


def test_steps_of_nan_count_as_padding_only_behind_the_last():
    X = padded(MEMBERS)
    X[1, 2] = np.nan  # inside the series, where it is missing
    with pytest.raises(ValueError, match="NaN in series 1, step 2, channel 0"):
        LSTMRegressor(**QUICK).fit(X, TARGETS)


def test_a_padded_array_whose_longest_series_is_shorter_than_the_array_is_a_list():
    parts = [member[:4] for member in MEMBERS]
    assert_same_fit(LSTMRegressor(**QUICK).fit(padded(parts), TARGETS), LSTMRegressor(**QUICK).fit(parts, TARGETS))


@pytest.mark.filterwarnings("ignore:X(_val)? has feature names, but")  # the series to train on have none
@forms
def test_validation_data_may_have_any_form(form):
    X_val, y_val = MEMBERS[:9], TARGETS[:9]
    # the score's own type and unit, which targets are not rounded to
    options = {**QUICK, "dtype": "float64", "standardize": False}
    expected = LSTMRegressor(**options).fit(MEMBERS, TARGETS, X_val=X_val, y_val=y_val)
    model = LSTMRegressor(**options).fit(MEMBERS, TARGETS, X_val=form(X_val), y_val=y_val)
    assert model.validation_scores_ == expected.validation_scores_
    assert model.validation_loss_curve_ == expected.validation_loss_curve_
    assert model.validation_scores_[-1] == model.score(form(X_val), y_val)


@ESTIMATORS
@forms
def test_early_stopping_holds_out_series_of_any_form(estimator, form):
    options = {**QUICK, "early_stopping": True, "validation_fraction": 0.3}
    y = target_of(estimator)
    expected, model = (estimator(**options).fit(X, y) for X in (MEMBERS, form(MEMBERS)))
    assert_same_fit(model, expected)
    assert model.validation_scores_ == expected.validation_scores_
    assert model.t_ == 3 * (len(MEMBERS) - 7)  # whole series


# -- what a prediction depends on -------------------------------------------------------------------------------

SHAPES = {
    "one": {},
    "two layers": {"num_layers": 2, "hidden_size": (5, 9)},
    "bidirectional": {"bidirectional": True},
    "both": {"num_layers": 2, "bidirectional": True},
}


@ESTIMATORS
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_prediction_depends_on_no_padding_and_on_no_other_series(backend, cell, dtype, estimator, shape):
    options = {**QUICK, "cell": cell, "dtype": dtype, "backend": backend, **shape, "max_iter": 1}
    model = estimator(**options).fit(MEMBERS, target_of(estimator))
    together = predicted(model, MEMBERS)
    assert len(np.unique(together)) >= len(MEMBERS)  # not all alike, which any mistake would leave alike
    for X in (padded(MEMBERS), padded(MEMBERS, T + 9)):
        assert_array_equal(predicted(model, X), together)
    for n, member in enumerate(MEMBERS):
        assert_array_equal(predicted(model, member[None]), together[[n]])
    order = np.random.default_rng(1).permutation(len(MEMBERS))[:11]
    assert_array_equal(predicted(model, [MEMBERS[n] for n in order]), together[order])


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_states_of_steps_depend_on_no_padding_and_on_no_other_series(backend, cell, dtype, shape):
    options = {**QUICK, "cell": cell, "dtype": dtype, "backend": backend, **shape, "max_iter": 1}
    model = LSTMRegressor(**options).fit(MEMBERS, TARGETS)
    for member, states in zip(MEMBERS, model.hidden_states(MEMBERS), strict=True):
        assert_array_equal(model.hidden_states(member[None])[0], states)


def test_predictions_in_several_blocks_are_those_of_one(monkeypatch, backend):
    model = LSTMRegressor(**QUICK, backend=backend, bidirectional=True).fit(MEMBERS, TARGETS)
    together, states, blocks = model.predict(MEMBERS), model.hidden_states(MEMBERS), sequences.blocks
    made = []
    monkeypatch.setattr(sequences, "blocks", lambda n, T, width: made.append(blocks(n, T, width, limit=1)) or made[-1])
    assert_array_equal(model.predict(MEMBERS), together)
    assert_array_equal(np.concatenate(model.hidden_states(MEMBERS)), np.concatenate(states))
    assert [len(ranges) for ranges in made] == [2, 2]


# -- threads ----------------------------------------------------------------------------------------------------


@ESTIMATORS
@pytest.mark.parametrize("shape", [{}, {"num_layers": 2, "bidirectional": True}], ids=["one", "both"])
def test_a_fit_of_unequal_lengths_has_the_same_bits_for_any_n_jobs(teams, by_units, cell, estimator, shape):
    options = {**QUICK, "cell": cell, "hidden_size": 37, "backend": FASTEST, **shape}
    alone, *together = (estimator(**options, n_jobs=n_jobs).fit(MEMBERS, target_of(estimator)) for n_jobs in (1, 2, 4))
    assert {1, 2, 4} == {size for size, _ in teams}
    expected = predicted(alone, MEMBERS)
    for model in together:
        assert_same_fit(model, alone)
        assert_array_equal(predicted(model, MEMBERS), expected)


def test_an_epoch_has_the_threads_of_its_largest_batch(teams):
    X = [np.ones((1 + n % 5, 1)) for n in range(33)]
    options = {**QUICK, "max_iter": 20, "backend": FASTEST, "n_jobs": 4}
    LSTMRegressor(**options).fit(X, np.arange(33) / 33)
    assert [size for size, _ in teams] == [4] * 20


# -- scikit-learn's tools ---------------------------------------------------------------------------------------

SKLEARN_FORMS = pytest.mark.parametrize("form", [FORMS[n] for n in ("list", "object", "Series", "padded")])


@ESTIMATORS
@SKLEARN_FORMS
def test_cross_validation_gives_the_scores_of_the_list(estimator, form):
    y = target_of(estimator)
    scores = cross_val_score(estimator(**QUICK), form(MEMBERS), y, cv=3, error_score="raise")
    assert_array_equal(scores, cross_val_score(estimator(**QUICK), MEMBERS, y, cv=3, error_score="raise"))


def test_a_grid_search_on_two_processes_goes_through_cells_and_layers():
    grid = [{"cell": list(kernels.CELLS), "num_layers": [1, 2]}, {"num_layers": [2], "hidden_size": [(5, 3), (2, 4)]}]
    options = {**QUICK, "max_iter": 1}
    search = GridSearchCV(LSTMRegressor(**options), grid, n_jobs=2, cv=2, error_score="raise").fit(MEMBERS, TARGETS)
    assert len(search.cv_results_["params"]) == 2 * len(kernels.CELLS) + 2
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    refit = LSTMRegressor(**{**options, **search.best_params_}).fit(MEMBERS, TARGETS)
    assert_same_fit(search.best_estimator_, refit)


@SKLEARN_FORMS
def test_a_grid_search_takes_every_form(form):
    grid = {"hidden_size": [(4, 2), (3, 3)]}
    model = LSTMRegressor(**{**QUICK, "max_iter": 1}, num_layers=2)
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(form(MEMBERS), TARGETS)
    assert search.predict(form(MEMBERS)).shape == (len(MEMBERS),)


@ESTIMATORS
@SKLEARN_FORMS
def test_a_pipeline_passes_every_form_on(estimator, form):
    scaled = SequenceScaler().fit_transform(MEMBERS)
    y = target_of(estimator)
    model = make_pipeline(SequenceScaler(), FunctionTransformer(), estimator(**QUICK)).fit(form(MEMBERS), y)
    assert_same_fit(model[-1], estimator(**QUICK).fit(scaled, y))
    assert_array_equal(predicted(model[-1], model[:-1].transform(form(MEMBERS))), predicted(model[-1], scaled))
    assert model.score(form(MEMBERS), y) == model[-1].score(scaled, y)


@ESTIMATORS
@SKLEARN_FORMS
def test_copies_and_pickles_predict_the_same_bits_and_clones_fit_them(estimator, form):
    model = estimator(**{**QUICK, "hidden_size": (4, 2)}, num_layers=2, cell="gru", bidirectional=True)
    X, y = form(MEMBERS), target_of(estimator)
    expected = predicted(model.fit(X, y), X)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), clone(model).fit(X, y)):
        assert_array_equal(predicted(other, X), expected)


@pytest.mark.parametrize("sizes", [[4, 2], np.array([4, 2])], ids=["list", "array"])
def test_sizes_of_layers_in_a_list_or_array_are_those_of_a_tuple(sizes):
    options = {**QUICK, "num_layers": 2}
    expected = LSTMRegressor(**{**options, "hidden_size": (4, 2)}).fit(MEMBERS, TARGETS)
    assert_same_fit(clone(LSTMRegressor(**{**options, "hidden_size": sizes})).fit(MEMBERS, TARGETS), expected)


# -- batches ----------------------------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch):
    """The batches that fits draw, epoch by epoch."""
    noted, draw = [], batches.draw
    monkeypatch.setattr(batches, "draw", lambda *args: noted.append(draw(*args)) or noted[-1])
    return noted


MANY = np.random.default_rng(5).integers(1, 30, 203)


def fit_many(lengths=MANY, **options):
    X = [np.ones((length, 1)) for length in lengths]
    LSTMRegressor(**{**QUICK, "hidden_size": 1, "backend": "numpy", **options}).fit(X, np.arange(len(X)) / len(X))


def spread(drawn):
    return np.mean([np.ptp(MANY[rows]) for rows in drawn])


def test_every_series_is_in_one_batch_of_an_epoch(drawn):
    fit_many()
    assert len(drawn) == 3
    for of_epoch in drawn:
        assert_array_equal(np.sort(np.concatenate(of_epoch)), np.arange(len(MANY)))
        assert sorted(map(len, of_epoch)) == [len(MANY) % 8] + [8] * (len(MANY) // 8)


def test_batches_of_unequal_lengths_change_from_epoch_to_epoch(drawn):
    fit_many()
    seen = [{frozenset(rows.tolist()) for rows in of_epoch} for of_epoch in drawn]
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]


def test_batches_come_in_no_order_of_length(drawn):
    fit_many()
    means = [MANY[rows].mean() for rows in drawn[0]]
    falls = np.diff(means) < 0
    assert 0.25 < falls.mean() < 0.75  # pools, as they are sorted, would fall three times of four or more


def test_lengths_within_a_batch_differ_less_than_in_a_plain_shuffle(drawn):
    fit_many()
    shuffled = np.random.default_rng(0).permutation(len(MANY))
    plain = spread(np.split(shuffled, range(8, len(MANY), 8)))
    assert max(map(spread, drawn)) < 0.6 * plain


def test_batches_mix_lengths(drawn):
    # sorted over all series, batches would be the same companions in every epoch, and nearly of one length
    fit_many()
    in_order = np.argsort(MANY, kind="stable")
    assert min(map(spread, drawn)) > 2 * spread(np.split(in_order, range(8, len(MANY), 8)))


def test_the_batches_of_an_epoch_depend_on_the_seed_alone(drawn):
    fit_many()
    fit_many()
    fit_many(random_state=1)
    first, again, other = (np.concatenate(drawn[3 * n]) for n in range(3))
    assert_array_equal(first, again)
    assert (first != other).any()


def test_without_shuffling_series_of_unequal_lengths_are_taken_in_order(drawn):
    fit_many(shuffle=False)
    for of_epoch in drawn:
        assert_array_equal(np.concatenate(of_epoch), np.arange(len(MANY)))


@pytest.mark.parametrize("n", [8, 9, 16, 17, 24, 31, 32, 33])
def test_few_series_are_in_one_batch_of_an_epoch_each(drawn, n):
    fit_many(MANY[:n])
    for of_epoch in drawn:
        assert_array_equal(np.sort(np.concatenate(of_epoch)), np.arange(n))
        assert max(map(len, of_epoch)) == 8


# -- inputs -----------------------------------------------------------------------------------------------------


@ESTIMATORS
@pytest.mark.parametrize("missing", ["error", "mask"])
@pytest.mark.parametrize("form", [FORMS[n] for n in ("list", "object", "Series", "padded", "Fortran order")])
def test_inputs_are_left_as_they_were_and_may_be_read_only(estimator, form, missing):
    X, y, w = form([member.copy() for member in MEMBERS]), target_of(estimator).copy(), np.ones(len(MEMBERS))
    before = pickle.dumps((list(X), y, w))
    for array in [*X, X, y, w]:
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    model = estimator(**QUICK, missing=missing).fit(X, y, w, X_val=X, y_val=y, sample_weight_val=w)
    model.predict(X)
    model.score(X, y, w)
    model.hidden_states(X)
    assert pickle.dumps((list(X), y, w)) == before


# -- the index arithmetic of `Series`, against loops ------------------------------------------------------------

some_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=9)


def numbered(lengths, C):
    """Members whose every number occurs once."""
    flat = np.arange(1.0, sum(lengths) * C + 1).reshape(-1, C)
    return np.split(flat, np.cumsum(lengths)[:-1])


@given(lengths=some_lengths, C=st.integers(1, 3), extra=st.integers(0, 2), data=st.data())
def test_tables_and_rows_of_steps_are_those_of_loops(lengths, C, extra, data):
    parts = numbered(lengths, C)
    rows = np.array(data.draw(st.permutations(range(len(lengths)))))[: data.draw(st.integers(1, len(lengths)))]
    of_list = sequences.of_members(parts, "float64", "X")
    of_array = sequences.of_padded(padded(parts, max(lengths) + extra), "X")
    for series in (of_list, of_array):
        assert series.lengths.tolist() == lengths
        assert series.channels == C
        assert series.steps == sum(lengths)
        assert series.equal == (len(set(lengths)) == 1)
        table = series.table()
        assert_array_equal(table, np.concatenate(parts))
        assert_array_equal(table[series.steps_of(rows)], np.concatenate([parts[n] for n in rows]))
        taken = series.take(rows)
        assert_array_equal(taken.table(), np.concatenate([parts[n] for n in rows]))
        assert_array_equal(taken.with_table(-taken.table()).table(), -taken.table())
        packed, starts = series.pack(rows)
        _, expected = longest_first(series.lengths[rows])
        assert_array_equal(starts, expected)
        assert sorted(packed) == sorted(rows)
        step_by_step = [
            parts[n][t] for t in range(max(len(parts[n]) for n in rows)) for n in packed if t < len(parts[n])
        ]
        assert_array_equal(table[series.step_rows(packed, starts)], step_by_step)


@given(
    lengths=some_lengths, C=st.integers(1, 3), extra=st.integers(0, 2), kind=st.sampled_from(["f4", "i8", "U3", "?"])
)
def test_rows_of_steps_go_back_to_the_form_that_the_series_came_in(lengths, C, extra, kind):
    parts, T = numbered(lengths, C), max(lengths) + extra
    rows = (np.arange(2 * sum(lengths)).reshape(-1, 2) % 5).astype(kind)
    expected = np.split(rows, np.cumsum(lengths)[:-1])
    as_list = sequences.of_members(parts, "float64", "X").restore(rows)
    as_objects = sequences.of_members(objects(parts), "float64", "X").restore(rows)
    assert type(as_list) is list
    assert as_objects.dtype == object
    assert as_objects.shape == (len(lengths),)
    for one, other, part in zip(as_list, as_objects, expected, strict=True):
        assert_array_equal(one, part, strict=True)
        assert_array_equal(other, part, strict=True)
    series = sequences.of_padded(padded(parts, T), "X")
    as_array = series.restore(rows)
    assert as_array.shape == (len(lengths), T, 2)
    for n, part in enumerate(expected):
        assert_array_equal(as_array[n, : len(part)], part)
        behind = as_array[n, len(part) :].ravel().tolist()
        assert all(value is None if kind == "U3" else value != value for value in behind)
    whole = all(length == T for length in lengths)
    assert as_array.dtype == (rows.dtype if whole or kind == "f4" else object if kind == "U3" else float)


@given(lengths=some_lengths, data=st.data())
def test_filled_series_and_their_masks_are_those_of_loops(lengths, data):
    parts = numbered(lengths, 2)
    for part in parts:
        part[
            np.array(data.draw(st.lists(st.booleans(), min_size=part.size, max_size=part.size))).reshape(part.shape)
        ] = np.nan
    table = sequences.with_mask(sequences.of_members(parts, "float64", "X")).table()
    expected = []
    for part in parts:
        last = [0.0, 0.0]
        for step in part:
            last = [before if np.isnan(value) else value for before, value in zip(last, step, strict=True)]
            expected.append([*last, *np.isnan(step)])
    assert_array_equal(table, expected)


def test_a_table_may_have_a_column_of_any_name():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(10, 3)), columns=["dtype", "ndim", "shape"])
    y = np.arange(10.0)
    named = LSTMRegressor(**QUICK).fit(frame, y).predict(frame)
    assert_array_equal(named, LSTMRegressor(**QUICK).fit(frame.to_numpy(), y).predict(frame.to_numpy()))
