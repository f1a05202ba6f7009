"""SequenceScaler: scikit-learn's scalers over the steps of series in any form."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import keeps_row_labels, objects
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastlstm import LSTMRegressor, SequenceScaler

PEERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}
LEARNED = {
    "standard": ["mean_", "n_samples_seen_", "scale_", "var_"],
    "minmax": ["data_max_", "data_min_", "data_range_", "min_", "n_samples_seen_", "scale_"],
    "robust": ["center_", "scale_"],
}
CHECKS = parametrize_with_checks([SequenceScaler(method) for method in PEERS])

RNG = np.random.default_rng(0)
LENGTHS = np.array([4, 1, 7])
MEMBERS = [RNG.normal([5, -300, 0.1], [2, 40, 0.01], (length, 3)) for length in LENGTHS]
MEMBERS[0][1, 2] = MEMBERS[2][0, 0] = np.nan
MEMBERS[2][3] = np.nan  # a step of which nothing is known, inside a series
THERE = np.arange(7) < LENGTHS[:, None]
PADDED = np.full((3, 7, 3), np.nan)
PADDED[THERE] = np.concatenate(MEMBERS)
FLAT = RNG.normal(100, 7, (6, 4))
FLAT[2, 1] = FLAT[5, 3] = np.nan  # the second at an end, where 2-D series are not shorter for it
FRAME = pd.DataFrame(FLAT, columns=list("abcd"), index=range(10, 16))


def of_members(X):
    return np.concatenate([np.asarray(member).reshape(len(member), -1) for member in X])


def of_padded(X):
    return X[THERE]


def of_2d(X):
    return np.asarray(X).reshape(-1, 1)


# X, and how its steps are found in an array with a row for each and a column for each channel
FORMS = {
    "3-D": (RNG.normal(size=(3, 5, 2)), of_members),
    "3-D padded": (PADDED, of_padded),
    "3-D padded, one channel": (PADDED[:, :, 1:2], of_padded),
    "2-D": (FLAT, of_2d),
    "2-D by columns": (np.asfortranarray(FLAT), of_2d),
    "2-D nested lists": (FLAT.tolist(), of_2d),
    "DataFrame": (FRAME, of_2d),
    "list": (MEMBERS, of_members),
    "list of strided": ([member[::-1, ::2] for member in MEMBERS], of_members),
    "list of 1-D": ([member[:, 1] for member in MEMBERS], of_members),
    "list of 1-D and 2-D": ([MEMBERS[0][:, 1], MEMBERS[1][:, 1:2], MEMBERS[2][:, 1]], of_members),
    "list of equal lengths": ([MEMBERS[0], MEMBERS[2][:4]], of_members),
    "list of nested lists": ([member.tolist() for member in MEMBERS], of_members),
    "list of DataFrames": ([pd.DataFrame(member) for member in MEMBERS], of_members),
    "tuple": (tuple(MEMBERS), of_members),
    "object array": (objects(MEMBERS), of_members),
    "object array of equal lengths": (objects([MEMBERS[0], MEMBERS[2][:4]]), of_members),
}
in_any_form = pytest.mark.parametrize(("X", "steps"), FORMS.values(), ids=FORMS)
by_any_method = pytest.mark.parametrize("method", PEERS)


def form(X):
    """Type and shapes of X where it has a member for each series, else its shape."""
    if isinstance(X, (list, tuple)) and any(
        np.shape(member) != np.shape(X[0]) or hasattr(X[0], "ndim") for member in X
    ):
        return type(X), [np.shape(member) for member in X]
    if getattr(X, "dtype", None) == np.dtype(object):
        return "objects", [np.shape(member) for member in X]
    return np.shape(X)


def learned(scaler):
    """What a scaler, ours or scikit-learn's, has learned."""
    return {
        name: value
        for name, value in vars(scaler).items()
        if name.endswith("_") and name not in ("n_features_in_", "feature_names_in_")
    }


# a list, for scikit-learn 1.6 makes a generator, which pytest 9 warns of
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@by_any_method
@in_any_form
def test_steps_are_scaled_as_the_rows_of_a_table_by_scikit_learn(X, steps, method):
    scaled = SequenceScaler(method).fit_transform(X)
    assert_allclose(steps(scaled), PEERS[method]().fit_transform(steps(X)), rtol=1e-12, atol=1e-12)


@by_any_method
@in_any_form
def test_what_is_learned_is_what_scikit_learn_learns_of_the_table(X, steps, method):
    ours, peers = (learned(s) for s in (SequenceScaler(method).fit(X), PEERS[method]().fit(steps(X))))
    assert sorted(ours) == LEARNED[method]
    for name, value in ours.items():
        assert np.shape(value) == np.shape(peers[name]), name
        assert_allclose(value, peers[name], rtol=1e-12, err_msg=name)


@by_any_method
@in_any_form
def test_the_inverse_gives_x_back(X, steps, method):
    scaler = SequenceScaler(method)
    back = scaler.inverse_transform(scaler.fit_transform(X))
    assert form(back) == form(X)
    assert_allclose(steps(back), steps(X), rtol=1e-12)


@in_any_form
def test_the_form_of_x_is_kept(X, steps):
    assert form(SequenceScaler().fit_transform(X)) == form(X)


@by_any_method
@in_any_form
def test_nan_stays_where_it_was_and_nowhere_else(X, steps, method):
    assert_array_equal(np.isnan(steps(SequenceScaler(method).fit_transform(X))), np.isnan(steps(X)))


@by_any_method
def test_steps_behind_an_end_stay_nan(method):
    assert np.isnan(SequenceScaler(method).fit_transform(PADDED)[~THERE]).all()


@by_any_method
@in_any_form
def test_inputs_are_left_as_they_were(X, steps, method):
    before = copy.deepcopy(X)
    scaler = SequenceScaler(method).fit(X)
    scaler.transform(X)
    scaler.inverse_transform(X)
    if method != "robust":
        scaler.partial_fit(X)
    assert_array_equal(steps(X), steps(before))


@pytest.mark.parametrize("method", ["standard", "minmax"])
@pytest.mark.parametrize("first", [1, 2])
def test_parts_of_the_data_teach_what_all_of_it_does(method, first):
    whole = SequenceScaler(method).fit(MEMBERS)
    parts = SequenceScaler(method).partial_fit(MEMBERS[:first]).partial_fit(MEMBERS[first:])
    for name, value in learned(whole).items():
        assert_allclose(learned(parts)[name], value, rtol=1e-12, err_msg=name)


@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    channels=st.integers(1, 3),
    method=st.sampled_from(["standard", "minmax"]),
)
def test_a_channel_may_be_missing_in_any_part(seed, lengths, channels, method):
    rng = np.random.default_rng(seed)
    X = [rng.normal(3, 2, (length, channels)) for length in lengths]
    for member in X:
        member[:, rng.random(channels) < 0.5] = np.nan  # of which scikit-learn's updates do not recover
    whole, parts = SequenceScaler(method).fit(X), SequenceScaler(method)
    for member in X:
        parts.partial_fit([member])
    for name, value in learned(whole).items():
        assert_allclose(learned(parts)[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_parts_may_differ_in_form():
    parts = (
        SequenceScaler().partial_fit(FLAT).partial_fit([FLAT[0, :2], FLAT[1, :, None]]).partial_fit(FLAT[:, :, None])
    )
    table = np.concatenate([FLAT.reshape(-1), FLAT[0, :2], FLAT[1], FLAT.reshape(-1)])
    assert_allclose(parts.mean_, [np.nanmean(table)])


@by_any_method
def test_a_channel_without_a_number_is_nan_and_leaves_the_others_alone(method):
    X = [np.column_stack([member, np.full(len(member), np.nan)]) for member in MEMBERS]
    scaled = np.concatenate(SequenceScaler(method).fit_transform(X))
    assert np.isnan(scaled[:, 3]).all()
    assert_array_equal(scaled[:, :3], np.concatenate(SequenceScaler(method).fit_transform(MEMBERS)))


@by_any_method
def test_a_constant_channel_is_shifted_and_not_scaled(method):
    scaler = SequenceScaler(method).fit([np.full(3, 0.1), np.full(5, 0.1)])
    assert scaler.scale_ == 1
    assert_allclose(scaler.transform([np.array([0.1, 2.1])])[0], [0, 2], atol=1e-12)


@by_any_method
@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (PADDED.astype("float32"), "float32"),
        (FLAT.astype("float32"), "float32"),
        (FRAME.astype("float32"), "float32"),
        ([member.astype("float32") for member in MEMBERS], "float32"),
        ([MEMBERS[0].astype("float32"), MEMBERS[1]], "float64"),
        (FRAME.astype({"a": "float32"}), "float64"),
        (FLAT.astype("float16"), "float64"),
        ([np.arange(3), np.arange(5)], "float64"),
        ([[1, 2], [3, 4]], "float64"),
    ],
    ids=["3-D", "2-D", "DataFrame", "list", "mixed list", "mixed DataFrame", "float16", "int", "nested lists"],
)
def test_float32_stays_and_all_else_is_float64(X, expected, method):
    out = SequenceScaler(method).fit(X).transform(X)
    assert {part.dtype for part in (out if isinstance(out, list) else [out])} == {np.dtype(expected)}


@pytest.mark.parametrize("method", ["standard", "minmax", "robust"])
@pytest.mark.parametrize("form", [FLAT, PADDED, MEMBERS], ids=["2-D", "3-D", "list"])
def test_scaling_back_keeps_a_large_location(form, method):
    shifted = [member + 1e9 for member in form] if isinstance(form, list) else form + 1e9
    scaler = SequenceScaler(method).fit(shifted)
    scaled = scaler.transform(shifted)
    narrow = [member.astype("float32") for member in scaled] if isinstance(form, list) else scaled.astype("float32")
    for restored, expected in zip(scaler.inverse_transform(narrow), shifted, strict=True):
        assert restored.dtype == np.float64
        assert_allclose(restored, expected, rtol=0, atol=1e-4)


def test_partial_fit_checks_the_parameters_of_a_fitted_scaler():
    scaler = SequenceScaler().fit(FLAT).set_params(method="quantile")
    with pytest.raises(ValueError, match="The 'method' parameter of SequenceScaler must be"):
        scaler.partial_fit(FLAT)


def test_series_of_one_channel_may_come_in_another_form_than_was_fitted():
    scaler = SequenceScaler().fit(FLAT)
    expected = scaler.transform(FLAT)
    assert_array_equal(scaler.transform(FLAT[:, :, None])[:, :, 0], expected)
    assert_array_equal(np.stack(scaler.transform(list(FLAT))), expected)
    assert_array_equal(SequenceScaler().fit(list(FLAT)).transform(FLAT), expected)


def test_predictions_of_any_number_of_steps_are_scaled_back():
    scaler = SequenceScaler().fit(FRAME)
    assert_allclose(scaler.inverse_transform(np.ones((2, 9))), scaler.mean_ + scaler.scale_ * np.ones((2, 9)))


def test_a_data_frame_is_scaled_back_whatever_its_columns_are_called():
    scaler = SequenceScaler().fit(FLAT)
    assert_array_equal(scaler.inverse_transform(FRAME), scaler.inverse_transform(FLAT))


def test_features_are_the_columns_of_2d_and_the_channels_of_other_series():
    assert SequenceScaler().fit(FLAT).n_features_in_ == 4
    assert SequenceScaler().fit(PADDED).n_features_in_ == 3
    assert SequenceScaler().fit(MEMBERS).n_features_in_ == 3


@pytest.mark.parametrize(
    ("X", "names"),
    [(FRAME, ["a", "b", "c", "d"]), (FLAT, ["x0", "x1", "x2", "x3"]), (MEMBERS, ["x0", "x1", "x2"])],
    ids=["DataFrame", "2-D", "list"],
)
def test_names_of_the_output(X, names):
    assert SequenceScaler().fit(X).get_feature_names_out().tolist() == names


@pytest.mark.parametrize("X", [FRAME, FLAT], ids=["DataFrame", "2-D"])
def test_pandas_output_of_2d_series(X):
    scaler = SequenceScaler().set_output(transform="pandas")
    expected = pd.DataFrame(
        SequenceScaler().fit_transform(X), getattr(X, "index", None), SequenceScaler().fit(X).get_feature_names_out()
    )
    pd.testing.assert_frame_equal(scaler.fit_transform(X), expected)
    pd.testing.assert_frame_equal(scaler.transform(X), expected)


@in_any_form
def test_what_is_no_table_is_no_data_frame_either(X, steps):
    scaler = SequenceScaler().set_output(transform="pandas")
    for out in (scaler.fit_transform(X), scaler.transform(X)):
        assert isinstance(out, pd.DataFrame) == (steps is of_2d)
        assert form(out) == form(X)


@pytest.mark.parametrize("container", ["pandas", "polars"])
@in_any_form
def test_a_global_container_changes_no_number(X, steps, container):
    pytest.importorskip(container)
    expected = SequenceScaler().fit(X).transform(X)
    with config_context(transform_output=container):
        fitted_before = SequenceScaler().fit(X)
        for out in (fitted_before.transform(X), SequenceScaler().fit_transform(X)):
            assert hasattr(out, "columns") == (steps is of_2d)
            assert form(out) == form(X)
            assert_array_equal(steps(out), steps(expected))
        assert_array_equal(
            steps(fitted_before.inverse_transform(expected)), steps(SequenceScaler().fit(X).inverse_transform(expected))
        )


@keeps_row_labels
def test_a_pandas_series_of_series_is_a_frame_of_one_column_where_pandas_containers_are_asked_for():
    X = pd.Series(objects(MEMBERS), index=[7, 8, 9], name="series")
    out = SequenceScaler().set_output(transform="pandas").fit_transform(X)
    assert (list(out.index), list(out.columns)) == ([7, 8, 9], ["series"])
    assert_array_equal(of_members(out["series"]), of_members(SequenceScaler().fit_transform(X)))


# tables with series in their cells: of a channel each, of several channels, of both
NESTED = {
    "one column": pd.DataFrame({"a": objects(MEMBERS)}, index=[7, 8, 9]),
    "columns of one channel": pd.DataFrame({name: [m[:, k] for m in MEMBERS] for k, name in enumerate("abc")}),
    "columns of Series": pd.DataFrame({name: [pd.Series(m[:, k]) for m in MEMBERS] for k, name in enumerate("abc")}),
    "columns of 2 and 1 channels": pd.DataFrame({"a": [m[:, :2] for m in MEMBERS], "b": [m[:, 2] for m in MEMBERS]}),
}
nested_tables = pytest.mark.parametrize("X", NESTED.values(), ids=NESTED)
containers_asked_for = pytest.mark.parametrize("container", ["default", "pandas", "polars"])


def assert_cells(out, X):
    """That a table has the scaled series of X, whose members are `MEMBERS`, in its cells."""
    assert np.shape(out) == X.shape
    for n, (cells, expected) in enumerate(zip(np.asarray(out), SequenceScaler().fit_transform(MEMBERS), strict=True)):
        cells = [np.array(np.asarray(cell).tolist()) for cell in cells]
        assert [cell.shape for cell in cells] == [np.shape(cell) for cell in X.iloc[n]]
        assert_allclose(np.column_stack(cells), expected, rtol=1e-12)


@nested_tables
@containers_asked_for
def test_a_table_with_series_in_its_cells_becomes_one(X, container):
    if container != "default":
        pytest.importorskip(container)
    scaler = SequenceScaler().set_output(transform=container)
    for out in (scaler.fit_transform(X), scaler.transform(X)):
        assert_cells(out, X)
        if container != "default":
            assert list(out.columns) == list(X.columns)
        if container == "pandas":
            assert out.index.equals(X.index)


@nested_tables
@containers_asked_for
def test_a_column_transformer_holds_scaled_series_that_models_read(X, container):
    if container != "default":
        pytest.importorskip(container)
    scale = ColumnTransformer([("s", SequenceScaler(), list(X.columns))], verbose_feature_names_out=False)
    scale.set_output(transform=container)
    assert_cells(scale.fit_transform(X), X)
    model = make_pipeline(scale, LSTMRegressor(4, max_iter=2, learning_rate="cosine", missing="mask", random_state=0))
    expected = clone(model[-1]).fit(SequenceScaler().fit_transform(MEMBERS), [1.0, 2.0, 3.0])
    assert_allclose(
        model.fit(X, [1.0, 2.0, 3.0]).predict(X), expected.predict(SequenceScaler().fit_transform(MEMBERS)), rtol=1e-6
    )


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_a_column_transformer_holds_a_scaled_column_that_is_selected_by_its_name(container):
    pytest.importorskip(container)
    X = NESTED["one column"]
    assert_cells(ColumnTransformer([("s", SequenceScaler(), "a")]).set_output(transform=container).fit_transform(X), X)


def test_cells_are_scaled_back():
    X = NESTED["columns of 2 and 1 channels"]
    scaler = SequenceScaler().fit(X)
    back = scaler.inverse_transform(scaler.transform(X))
    for member, cells in zip(MEMBERS, back, strict=True):
        assert_allclose(np.column_stack(list(cells)), member, rtol=1e-12)


def test_a_column_of_series_keeps_its_name():
    scaler = SequenceScaler().fit(MEMBERS)
    assert scaler.get_feature_names_out(["series"]).tolist() == ["series"]
    with pytest.raises(ValueError, match="input_features should have length equal"):
        scaler.get_feature_names_out(["a", "b"])


def test_what_is_no_table_is_no_data_frame_where_one_was_fitted():
    scaler = SequenceScaler().fit(FRAME).set_output(transform="pandas")
    for X in (list(FLAT), tuple(FLAT), FLAT[:, :, None]):
        assert form(scaler.transform(X)) == form(X)


def test_series_in_2d_are_no_data_frame_where_channels_were_fitted():
    scaler = SequenceScaler().fit(list(FLAT)).set_output(transform="pandas")
    assert isinstance(scaler.transform(FLAT), np.ndarray)


def test_tags_say_what_is_taken_and_kept():
    tags = get_tags(SequenceScaler())
    assert tags.input_tags.allow_nan
    assert tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


@by_any_method
def test_a_clone_has_the_method_and_is_not_fitted(method):
    copied = clone(SequenceScaler(method).fit(MEMBERS))
    assert copied.method == method
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        copied.transform(MEMBERS)


@by_any_method
def test_a_pickle_scales_the_same_bits(method):
    scaler = SequenceScaler(method).fit(MEMBERS)
    copied = pickle.loads(pickle.dumps(scaler))
    assert_array_equal(np.concatenate(copied.transform(MEMBERS)), np.concatenate(scaler.transform(MEMBERS)))


def test_a_new_fit_forgets_what_another_method_learned():
    scaler = SequenceScaler().fit(FRAME).set_params(method="minmax").fit(MEMBERS)
    assert sorted(learned(scaler)) == LEARNED["minmax"]
    assert not hasattr(scaler, "feature_names_in_")


def test_a_fitted_scaler_scales_by_the_method_it_was_fitted_with():
    scaler = SequenceScaler().fit(FLAT)
    expected = scaler.transform(FLAT)
    assert_array_equal(scaler.set_params(method="minmax").transform(FLAT), expected)


@pytest.fixture(scope="module")
def waves():
    """Pieces of a sine around 1000 of 8 to 16 steps beside a constant, and the value after each."""
    wave = 1000 + 50 * np.sin(np.arange(260) / 4)
    lengths = np.random.default_rng(0).integers(8, 17, 240)
    pieces = [wave[n : n + length] for n, length in enumerate(lengths)]
    after = np.array([wave[n + length] for n, length in enumerate(lengths)])
    return [np.column_stack([piece, np.full(len(piece), 3.0)]) for piece in pieces], (after - 1000) / 50


@by_any_method
def test_before_a_model_of_series_of_unequal_lengths(waves, method):
    X, y = waves
    model = LSTMRegressor(
        8, learning_rate="cosine", learning_rate_init=0.02, batch_size=20, max_iter=30, random_state=0
    )
    scores = cross_val_score(make_pipeline(SequenceScaler(method), model), X, y, cv=2, error_score="raise")
    assert scores.min() > 0.9
    with pytest.warns(ConvergenceWarning, match="no better than predicting a constant"):
        model.set_params(standardize=False).fit(X, y)  # without any scaling


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (None, "X is None; expected an array of shape"),
        ([], "X has 0 series; expected at least 1"),
        (np.empty(0, object), "X has 0 series; expected at least 1"),
        (np.ones(5), "Expected 2D array, got 1D array instead"),
        (np.ones((2, 3, 4, 5)), r"X has shape \(2, 3, 4, 5\); expected an array of shape"),
        (np.ones((0, 3, 2)), r"Found array with 0 sample\(s\)"),
        (np.ones((2, 0, 3)), r"X has shape \(2, 0, 3\); expected .* at least 1 time step"),
        (np.ones((2, 3, 0)), r"X has shape \(2, 3, 0\); expected .* at least 1 channel"),
        ([np.ones((3, 2)), np.ones((0, 2))], r"X\[1\] has length 0"),
        ([np.ones(0), np.ones(0)], r"X\[0\] has length 0"),
        ([np.ones((3, 0)), np.ones((2, 0))], r"X\[0\] has no channels"),
        ([np.ones((3, 2)), np.ones((4, 3))], r"X\[1\] has 3 channels, but X\[0\] has 2"),
        ([np.ones(3), np.array(["a", "b"])], r"X\[1\] is not an array of numbers"),
        (np.full((2, 3, 1), np.nan), r"X\[0\] has no steps: all of its values are NaN"),
        ([np.ones(3), np.array([1, np.inf])], "Input X contains infinity .* in series 1, step 1, channel 0"),
        (np.full((2, 3, 1), np.inf), "Input X contains infinity"),
        (np.full((2, 3), -np.inf), "Input X contains infinity"),
    ],
)
def test_series_that_cannot_be_learned_from(X, message):
    with pytest.raises(ValueError, match=message):
        SequenceScaler().fit(X)


@pytest.mark.parametrize("what", ["transform", "inverse_transform", "partial_fit"])
@pytest.mark.parametrize(
    ("fitted", "X", "message"),
    [
        (
            PADDED,
            PADDED[:, :, :2],
            r"X has 2 channels \(its shape is \(3, 7, 2\)\), but SequenceScaler was fitted with 3",
        ),
        (MEMBERS, [np.ones(4)], "X has 1 channels, but SequenceScaler was fitted with 3"),
        (
            MEMBERS,
            FLAT,
            r"X of shape \(6, 4\) is interpreted as univariate series, but SequenceScaler was fitted with 3",
        ),
        (FLAT, MEMBERS, "X has 3 channels, but SequenceScaler was fitted with 1"),
    ],
)
def test_channels_that_were_not_fitted(fitted, X, message, what):
    with pytest.raises(ValueError, match=message):
        getattr(SequenceScaler().fit(fitted), what)(X)


@pytest.mark.parametrize("what", ["transform", "partial_fit"])
def test_columns_that_were_not_fitted(what):
    with pytest.raises(ValueError, match="X has 3 features, but SequenceScaler is expecting 4"):
        getattr(SequenceScaler().fit(FLAT), what)(FLAT[:, :3])
    with pytest.raises(ValueError, match="Feature names must be in the same order as they were in fit"):
        getattr(SequenceScaler().fit(FRAME), what)(FRAME[list("badc")])


@pytest.mark.parametrize("what", ["transform", "inverse_transform"])
def test_nothing_is_scaled_before_fit(what):
    with pytest.raises(NotFittedError, match="This SequenceScaler instance is not fitted yet"):
        getattr(SequenceScaler(), what)(MEMBERS)


@pytest.mark.parametrize("what", ["fit", "partial_fit"])
def test_a_method_that_there_is_not(what):
    with pytest.raises(ValueError, match="The 'method' parameter of SequenceScaler must be a str among"):
        getattr(SequenceScaler("quantile"), what)(MEMBERS)


def test_quantiles_cannot_be_updated():
    scaler = SequenceScaler("robust")
    with pytest.raises(ValueError, match=r"quantiles cannot be updated .* or use method='standard' or 'minmax'"):
        scaler.partial_fit(MEMBERS)
    assert not hasattr(scaler, "partial_fit")  # which scikit-learn's tools ask


def test_what_one_method_learned_is_not_updated_by_another():
    scaler = SequenceScaler().fit(MEMBERS).set_params(method="minmax")
    with pytest.raises(ValueError, match=r"method='minmax', but this scaler was fitted with method='standard'"):
        scaler.partial_fit(MEMBERS)


@pytest.mark.parametrize("what", ["fit", "partial_fit"])
@pytest.mark.parametrize("X", [[np.array([[1.0, 2.0, np.inf]])], FRAME * np.inf], ids=["list", "DataFrame"])
@pytest.mark.parametrize("fitted", [FRAME, MEMBERS], ids=["DataFrame", "list"])
def test_a_fit_that_fails_changes_nothing(fitted, X, what):
    scaler = SequenceScaler().fit(fitted)
    before = pickle.dumps(scaler)
    with pytest.raises(ValueError, match=r"contains infinity|is interpreted as univariate series"):
        getattr(scaler, what)(X)
    assert pickle.dumps(scaler) == before


def test_a_fit_that_fails_in_the_middle_changes_nothing(monkeypatch):
    def fail(*_):
        raise MemoryError("none left")

    scaler = SequenceScaler().fit(FRAME)
    before = pickle.dumps(scaler)
    monkeypatch.setattr(StandardScaler, "partial_fit", fail)
    monkeypatch.setattr(StandardScaler, "fit", fail)
    for learn, X in ((scaler.fit, MEMBERS), (scaler.partial_fit, FRAME)):
        with pytest.raises(MemoryError, match="none left"):
            learn(X)
        assert pickle.dumps(scaler) == before
