"""Tables, columns and other containers are read as what they hold, or refused with a reason and a way out."""

import sys
from collections import deque, namedtuple
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from helpers import assert_refused
from numpy.testing import assert_array_equal

from fastlstm import LSTMClassifier, LSTMRegressor, SequenceEncoder, SequenceScaler, containers
from fastlstm.layers import LSTM

QUICK = {"hidden_size": 3, "learning_rate": "cosine", "max_iter": 2, "random_state": 0}
RNG = np.random.default_rng(0)
LENGTHS = [3, 5, 2, 4]
MEMBERS = [RNG.normal(size=(length, 2)) for length in LENGTHS]
FRAMES = [pd.DataFrame(member, columns=["temp", "load"]) for member in MEMBERS]
SWAPPED = [frame[["load", "temp"]] for frame in FRAMES]
RENAMED = [frame.rename(columns={"load": "wind"}) for frame in FRAMES]
Y = np.arange(4.0)
WIDE = RNG.normal(size=(4, 5))
LISTS = [RNG.normal(size=length).tolist() for length in LENGTHS]


def regressor(**options):
    return LSTMRegressor(**QUICK, **options)


@pytest.fixture(scope="module")
def of_frames():
    return regressor().fit(FRAMES, Y)


# -- names of channels ------------------------------------------------------------------------------------------


def test_names_of_the_channels_of_a_list_of_frames_are_noted(of_frames):
    assert of_frames.feature_names_in_.tolist() == ["temp", "load"]
    assert not hasattr(regressor().fit(MEMBERS, Y), "feature_names_in_")


USES = {
    "predict": lambda X: regressor().fit(FRAMES, Y).predict(X),
    "score": lambda X: regressor().fit(FRAMES, Y).score(X, Y),
    "partial_fit": lambda X: LSTMRegressor(3).partial_fit(FRAMES, Y).partial_fit(X, Y),
    "X_val": lambda X: regressor().fit(FRAMES, Y, X_val=X, y_val=Y),
    "scaler": lambda X: SequenceScaler().fit(FRAMES).transform(X),
    "scaler, inverse": lambda X: SequenceScaler().fit(FRAMES).inverse_transform(X),
    "encoder": lambda X: SequenceEncoder(regressor()).fit(FRAMES, Y).transform(X),
    "stream": lambda X: regressor().fit(FRAMES, Y).stream().step(X[0].iloc[[0]]),
    "stream of a row": lambda X: regressor().fit(FRAMES, Y).stream().step(X[0].iloc[0]),
    "stream of rows": lambda X: regressor().fit(FRAMES, Y).stream(2).step([X[0].iloc[0], X[1].iloc[0]]),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_channels_in_another_order_than_fitted_are_refused(use):
    with pytest.raises(ValueError, match=r"same order as they were in fit.*\['load', 'temp'\].*\['temp', 'load'\]"):
        use(SWAPPED)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_channels_of_other_names_than_fitted_are_refused(use):
    with pytest.raises(ValueError, match=r"Feature names must match.*\['temp', 'wind'\].*\['temp', 'load'\]"):
        use(RENAMED)


def test_members_whose_columns_differ_are_refused():
    model = regressor()
    message = r"X\[2\] has columns \['load', 'temp'\], but X\[0\] has columns \['temp', 'load'\]"
    assert_refused(lambda: model.fit([*FRAMES[:2], *SWAPPED[2:]], Y), ValueError, message, model)
    message = r"X\[2\] has no column names, but X\[0\] has columns"
    assert_refused(lambda: model.fit([*FRAMES[:2], *MEMBERS[2:]], Y), ValueError, message, model)


def test_members_whose_columns_differ_are_refused_where_names_are_integers_too():
    model, frames = regressor(), [pd.DataFrame(member) for member in MEMBERS]
    message = r"X\[3\] has columns \[1, 0\], but X\[0\] has columns \[0, 1\]"
    assert_refused(lambda: model.fit([*frames[:3], frames[3][[1, 0]]], Y), ValueError, message, model)
    model.fit([*frames[:2], *MEMBERS[2:]], Y)  # the columns of an array have the same numbers


def test_rows_of_streams_whose_labels_differ_are_refused(of_frames):
    message = r"x_t\[1\] has columns \['load', 'temp'\], but x_t\[0\] has columns \['temp', 'load'\]"
    with pytest.raises(ValueError, match=message):
        of_frames.stream(2).step([FRAMES[0].iloc[0], SWAPPED[1].iloc[0]])


def test_labels_of_rows_are_compared_with_the_columns_of_a_frame():
    frame = pd.DataFrame(WIDE, columns=list("abcde"))
    model = regressor().fit(frame, Y)
    assert_array_equal(model.predict([row for _, row in frame.iterrows()]), model.predict(frame))
    assert model.predict([pd.Series(row) for row in WIDE]).shape == (4,)
    with pytest.raises(ValueError, match=r"Feature names must be in the same order.*\['b', 'a', 'c', 'd', 'e'\]"):
        model.predict([row for _, row in frame[list("bacde")].iterrows()])


@pytest.mark.parametrize("step", [pd.Series([1.0, 2.0], ["a", "a"]), pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])])
def test_a_step_whose_names_repeat_is_refused_by_name(of_frames, step):
    with pytest.raises(ValueError, match=r"x_t.*(?s:.*)'a'"):
        of_frames.stream().step(step)


@pytest.mark.parametrize(
    "call",
    [lambda model: model.predict(MEMBERS), lambda model: SequenceEncoder(model).fit(None).transform(MEMBERS)],
    ids=["predict", "through an encoder"],
)
def test_a_warning_of_names_points_to_the_line_that_called(of_frames, call):
    with pytest.warns(UserWarning, match="valid feature names") as caught:
        call(of_frames)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("X", [MEMBERS, np.ones((2, 3, 2))], ids=["list", "array"])
def test_series_without_names_where_names_were_fitted_give_a_warning(of_frames, X):
    with pytest.warns(UserWarning, match="X does not have valid feature names, but LSTMRegressor was fitted with"):
        of_frames.predict(X)


def test_series_with_names_where_none_were_fitted_give_a_warning():
    with pytest.warns(UserWarning, match="X has feature names, but LSTMRegressor was fitted without"):
        regressor().fit(MEMBERS, Y).predict(FRAMES)


def test_names_that_are_not_all_strings_are_refused_as_of_columns():
    with pytest.raises(TypeError, match="Feature names are only supported if all input features have string names"):
        regressor().fit([frame.set_axis(["a", 1], axis=1) for frame in FRAMES], Y)


def test_columns_of_a_frame_are_steps_and_no_names_of_channels():
    model = regressor().fit(pd.DataFrame(WIDE).add_prefix("t"), Y)
    assert model.predict([pd.DataFrame({"temp": row}) for row in WIDE]).shape == (4,)


def test_names_in_a_list_of_polars_frames():
    polars = pytest.importorskip("polars")
    frames = [polars.DataFrame(member, schema=["temp", "load"]) for member in MEMBERS]
    model = regressor().fit(frames, Y)
    assert_array_equal(model.predict(frames), regressor().fit(MEMBERS, Y).predict(MEMBERS))
    with pytest.raises(ValueError, match="same order as they were in fit"):
        model.predict([frame[["load", "temp"]] for frame in frames])


# -- names of targets -------------------------------------------------------------------------------------------

OF_STEPS = [pd.DataFrame(np.cumsum(member, axis=0), columns=["up", "down"]) for member in MEMBERS]
OF_STEPS_SWAPPED = [frame[["down", "up"]] for frame in OF_STEPS]


def test_targets_of_steps_whose_columns_differ_are_refused():
    model = regressor(return_sequences=True)
    message = r"y\[1\] has columns \['down', 'up'\], but y\[0\] has columns \['up', 'down'\]"
    assert_refused(lambda: model.fit(MEMBERS, [OF_STEPS[0], *OF_STEPS_SWAPPED[1:]]), ValueError, message, model)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("y_val", lambda model: model.fit(MEMBERS, OF_STEPS, X_val=MEMBERS, y_val=OF_STEPS_SWAPPED)),
        ("y", lambda model: model.fit(MEMBERS, OF_STEPS).score(MEMBERS, OF_STEPS_SWAPPED)),
        ("y", lambda model: model.set_params(warm_start=True).fit(MEMBERS, OF_STEPS).fit(MEMBERS, OF_STEPS_SWAPPED)),
    ],
    ids=["y_val", "score", "warm start"],
)
def test_targets_of_steps_in_other_columns_than_fitted_are_refused(name, call):
    message = rf"{name} has columns \['down', 'up'\], but .* was fitted with targets in columns \['up', 'down'\]"
    with pytest.raises(ValueError, match=message):
        call(regressor(return_sequences=True))


def test_targets_of_steps_without_names_go_with_those_that_have_some():
    model = regressor(return_sequences=True).fit(MEMBERS, OF_STEPS, X_val=MEMBERS, y_val=MEMBERS)
    assert model.score(MEMBERS, [frame.to_numpy() for frame in OF_STEPS]) == model.score(MEMBERS, OF_STEPS)


# -- what is no container of series -----------------------------------------------------------------------------

Packed = namedtuple("PackedSequence", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"])
Pair = namedtuple("Pair", ["x", "y"])


def test_a_packed_sequence_is_refused_with_the_way_to_unpack_it(of_frames):
    packed = Packed(np.ones((5, 2)), np.array([3, 2]), np.arange(3), np.arange(3))
    message = r"X is a PackedSequence, .*unpack_sequence\(X\).*pad_packed_sequence\(X"
    assert_refused(lambda: of_frames.predict(packed), TypeError, message, of_frames)


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_a_named_tuple_is_refused(name):
    model, pair = regressor(), Pair(np.ones((4, 2)), np.ones((4, 2)))
    given = {"X": MEMBERS[:2], "y": Y[:2], "sample_weight": Y[:2], name: pair}
    assert_refused(lambda: model.fit(**given), TypeError, f"{name} is a Pair, a named tuple with fields", model)


@pytest.mark.parametrize(
    "X", [dict(enumerate(MEMBERS)), iter(MEMBERS), dict(enumerate(MEMBERS)).values()], ids=["dict", "iterator", "view"]
)
def test_what_is_no_sequence_is_refused_without_printing_it(X):
    model = regressor()
    with pytest.raises(TypeError, match=r"X is a .*; expected an array or a sequence: pass list\(X") as caught:
        model.fit(X, Y)
    assert len(str(caught.value)) < 200


def test_a_frame_whose_rows_are_steps_is_refused_with_the_way_to_pass_it():
    panel = pd.concat(dict(enumerate(FRAMES)), names=["id", "time"])
    model = regressor()
    message = r"row MultiIndex \['id', 'time'\].*\[rows.to_numpy\(\) for _, rows in X.groupby\(level=0, sort=False\)\]"
    for y in (Y, np.ones(len(panel))):
        assert_refused(lambda y=y: model.fit(panel, y), ValueError, message, model)


def test_numbers_in_a_namedtuple_are_refused_with_the_way_to_pass_them():
    Quarters = namedtuple("Quarters", ["q1", "q2", "q3", "q4"])
    model, numbers = regressor(), Quarters(1.0, 2.0, 3.0, 4.0)
    reason = r"is a Quarters, a named tuple with fields .* pass the relevant field, or list\(%s\) to use all of them"
    assert_refused(lambda: model.fit(MEMBERS, numbers), TypeError, "^y " + reason % "y", model)
    message = "^sample_weight " + reason % "sample_weight"
    assert_refused(lambda: model.fit(MEMBERS, Y, numbers), TypeError, message, model)
    stream = model.fit(MEMBERS, Y).stream()
    with pytest.raises(TypeError, match="^x_t " + reason % "x_t"):
        stream.step(numbers)


# -- dates and masks --------------------------------------------------------------------------------------------

DATES = np.arange(4).astype("datetime64[s]")
MASKED = np.ma.masked_equal(np.arange(4.0), 2)
OF_NO_NUMBERS = {
    "datetime64": (DATES, "of type datetime64"),
    "timedelta64": (DATES - DATES[0], "of type timedelta64"),
    "Series of dates": (pd.Series(DATES), "of type datetime64"),
    "dates with a time zone": (pd.Series(DATES).dt.tz_localize("UTC"), r"of type datetime64\[.*UTC"),
    "periods": (pd.Series(pd.period_range("2024", periods=4, freq="D")), "of type period"),
    "list of Timestamps": (list(pd.Series(DATES)), "of type Timestamp"),
    "objects": (np.array(list(DATES - DATES[0]), object), "of type timedelta"),
    "masked": (MASKED, r"a masked array, whose mask would be lost: pass .*filled"),
}
no_numbers = pytest.mark.parametrize(("bad", "reason"), OF_NO_NUMBERS.values(), ids=OF_NO_NUMBERS)


@no_numbers
@pytest.mark.parametrize("name", ["y", "sample_weight", "y_val", "sample_weight_val"])
@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_dates_and_masked_arrays_as_targets_or_weights(estimator, name, bad, reason):
    given = {"X": MEMBERS, "y": Y, "X_val": MEMBERS, "y_val": Y, name: bad}
    model = estimator(**QUICK)
    assert_refused(lambda: model.fit(**given), TypeError, f"{name} is {reason}", model)


@no_numbers
@pytest.mark.parametrize("method", ["score", "partial_fit"])
def test_dates_and_masked_arrays_beside_a_fitted_model(method, bad, reason):
    model = LSTMRegressor(3).partial_fit(MEMBERS, Y)
    call = getattr(model, method)
    assert_refused(lambda: call(MEMBERS, bad), TypeError, f"y is {reason}", model)
    assert_refused(lambda: call(MEMBERS, Y, bad), TypeError, f"sample_weight is {reason}", model)


@no_numbers
def test_dates_and_masked_arrays_of_steps(bad, reason):
    model = regressor(return_sequences=True)
    X = [np.ones((4, 1))] * 2
    assert_refused(lambda: model.fit(X, [Y, bad]), TypeError, rf"y\[1\] is {reason}", model)
    assert_refused(lambda: model.fit(X, [Y, Y], [Y, bad]), TypeError, rf"sample_weight\[1\] is {reason}", model)


def test_dates_as_series():
    frame = pd.DataFrame({"t0": DATES, "t1": DATES})
    for X in (DATES[:, None], DATES.reshape(4, 1, 1), frame, [DATES]):
        for estimator in (SequenceScaler(), regressor()):
            with pytest.raises((TypeError, ValueError), match=r"X.* of type datetime64.*convert them first"):
                estimator.fit(X, Y[: len(X)])


# -- containers of series ---------------------------------------------------------------------------------------


def polars_lists():
    return pytest.importorskip("polars").Series(LISTS)


def arrow_lists():
    return pytest.importorskip("pyarrow").array(LISTS)


def arrow_column():
    arrow = pytest.importorskip("pyarrow")
    return pd.Series(arrow.array(LISTS), dtype=pd.ArrowDtype(arrow.list_(arrow.float64())))


CONTAINERS = {
    "deque": lambda: deque(LISTS),
    "Series": lambda: pd.Series(LISTS),
    "Series of Series": lambda: pd.Series([pd.Series(row) for row in LISTS]),
    "polars": polars_lists,
    "Arrow": arrow_lists,
    "column of Arrow lists": arrow_column,
    "frame of lists": lambda: pd.DataFrame({"s": LISTS}),
    "frame of Series": lambda: pd.DataFrame({"s": [pd.Series(row) for row in LISTS]}),
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_a_container_of_series_is_the_list_of_them(container):
    expected = regressor().fit(LISTS, Y).predict(LISTS)
    X = container()
    model = regressor().fit(X, Y)
    assert_array_equal(model.predict(X), expected)
    scaled = SequenceScaler().fit_transform(X)
    for one, other in zip(scaled, SequenceScaler().fit_transform(LISTS), strict=True):
        assert_array_equal(np.concatenate(one) if one.dtype == object else one.reshape(-1), other)  # cells of a row


def test_a_scaler_reads_every_frame_of_a_list_once(monkeypatch):
    seen, read_table = [], containers._read_table
    monkeypatch.setattr(containers, "_read_table", lambda table, it: seen.append(table) or read_table(table, it))
    SequenceScaler().fit(FRAMES)
    assert list(map(id, seen)) == list(map(id, FRAMES))


def test_a_frame_with_series_in_its_cells_has_its_columns_as_channels(of_frames):
    nested = pd.DataFrame({name: [frame[name] for frame in FRAMES] for name in ("temp", "load")})
    assert_array_equal(of_frames.predict(nested), of_frames.predict(FRAMES))
    with pytest.raises(ValueError, match="same order as they were in fit"):
        of_frames.predict(nested[["load", "temp"]])


def test_cells_of_unequal_lengths_and_cells_without_a_series_are_refused():
    for cell, message in [
        ([1.0, 2.0], r"X\['b'\]\[1\] has 2 steps, but X\['a'\]\[1\] has 5"),
        (None, r"X\['b'\]\[1\] has"),
    ]:
        nested = pd.DataFrame({"a": LISTS, "b": LISTS})
        nested.at[1, "b"] = cell
        with pytest.raises(ValueError, match=message):
            regressor().fit(nested, Y)


# -- nullable and Arrow-backed columns --------------------------------------------------------------------------

WITH_GAPS = [[1, None, 3], [0, 1, None], [2, 2, 2], [None, 0, 1]]
AS_NAN = np.array(WITH_GAPS, float)


def nullable(frame):
    return frame.convert_dtypes()


def arrow_backed(frame):
    pytest.importorskip("pyarrow")
    return frame.convert_dtypes(dtype_backend="pyarrow")


@pytest.mark.parametrize("kind", [nullable, arrow_backed])
def test_missing_values_of_nullable_columns_are_nan_in_every_form(kind):
    columns = pd.DataFrame(WITH_GAPS, columns=list("abc"))
    wide, members = kind(columns), [kind(pd.DataFrame({"v": row})) for row in WITH_GAPS]
    for X in (wide, members, [member["v"] for member in members], pd.DataFrame({"v": [m["v"] for m in members]})):
        scaler = SequenceScaler().fit(X)
        assert_array_equal(scaler.mean_, SequenceScaler().fit(AS_NAN).mean_)
        assert np.isfinite(regressor(missing="mask").fit(X, Y).loss_)


def test_na_in_objects_is_nan():
    objects = np.array([[pd.NA if value is None else value for value in row] for row in WITH_GAPS], object)
    for X in (objects, objects[:, :, None], objects.tolist(), list(objects)):
        assert_array_equal(SequenceScaler().fit(X).mean_, SequenceScaler().fit(AS_NAN).mean_)


def test_na_is_a_target_that_weighs_nothing():
    targets = pd.DataFrame({"u": [1.5, None] * 2, "v": [2.5] * 4})
    weights = targets.notna().to_numpy(float)
    expected = regressor().fit(MEMBERS, targets.to_numpy(), weights).predict(MEMBERS)
    assert_array_equal(regressor().fit(MEMBERS, targets.convert_dtypes(), weights).predict(MEMBERS), expected)
    steps = [pd.Series([1, None, 2], dtype="Int64")] * 2
    model = regressor(return_sequences=True).fit(np.ones((2, 3, 1)), steps, [[1, 0, 1], [1, 0, 1]])
    assert np.isfinite(model.loss_)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        regressor().fit(MEMBERS, [1.0, pd.NA, 2.0, 3.0])


@pytest.mark.parametrize("kind", ["bool", "int8", "boolean", "Int64", "UInt8", "bool[pyarrow]"])
def test_indicators_of_nullable_columns_are_those_of_numbers(kind):
    if "pyarrow" in kind:
        pytest.importorskip("pyarrow")
    indicators = pd.DataFrame({"a": [0, 1, 0, 1], "b": [True, False, False, True]})
    model = LSTMClassifier(**QUICK).fit(MEMBERS, indicators.astype(kind))
    expected = LSTMClassifier(**QUICK).fit(MEMBERS, indicators.to_numpy().astype(int))
    assert_array_equal(model.predict_proba(MEMBERS), expected.predict_proba(MEMBERS))
    assert model.score(MEMBERS, indicators.astype(kind)) == expected.score(MEMBERS, indicators.to_numpy().astype(int))


@pytest.mark.parametrize("kind", ["Float32", "float[pyarrow]"])
def test_columns_of_float32_stay_float32(kind):
    if "pyarrow" in kind:
        pytest.importorskip("pyarrow")
    assert SequenceScaler().fit_transform([pd.DataFrame(MEMBERS[0]).astype(kind)])[0].dtype == np.float32


def test_a_step_of_a_stream_may_be_of_nullable_columns():
    stream, expected = (regressor(missing="mask").fit(MEMBERS, Y).stream() for _ in range(2))
    assert stream.step(pd.array([1, None], dtype="Int64")) == expected.step([1.0, np.nan])


# -- labels -----------------------------------------------------------------------------------------------------

BAD_LABELS = {
    "bytes": (np.array([b"run", b"walk"] * 2), ValueError, r"y contains bytes.*\[label.decode\(\) for label in y\]"),
    "objects of bytes": (np.array([b"a", b"b"] * 2, object), ValueError, r"y contains bytes.*\[label.decode\(\) for"),
    "NA": (
        pd.Series(["run", None] * 2, dtype="string"),
        ValueError,
        r"y has 2 missing labels, the first at index 1 \(<NA>\)",
    ),
    "None": (["run", "walk", None, "run"], ValueError, r"y has 1 missing label, at index 2 \(None\)"),
    "NaN": (["run", "walk", "run", np.nan], ValueError, r"y has 1 missing label, at index 3 \(nan\)"),
    "decimal NaN": ([Decimal("nan"), Decimal("snan")] * 2, ValueError, r"y has 4 missing labels, the first at index 0"),
    "NA among numbers": (pd.Series([0, 1, None, 1], dtype="Int64"), ValueError, "Input y contains NaN"),
    "mixed": (
        ["run", 1, "walk", 1],
        TypeError,
        "labels in y are of several types, int, str. Use labels of a single type",
    ),
}
bad_labels = pytest.mark.parametrize(("bad", "error", "message"), BAD_LABELS.values(), ids=BAD_LABELS)


@bad_labels
def test_labels_that_are_no_text_and_no_numbers_to_fit(bad, error, message):
    model = LSTMClassifier(**QUICK)
    assert_refused(lambda: model.fit(MEMBERS, bad), error, message, model)


@bad_labels
def test_labels_that_are_no_text_and_no_numbers_to_score(bad, error, message):
    model = LSTMClassifier(**QUICK).fit(MEMBERS, ["run", "walk"] * 2)
    assert_refused(lambda: model.score(MEMBERS, bad), error, message, model)


BAD_CLASSES = {
    "masked": (np.ma.masked_equal([0, 1, 2], 2), TypeError, "classes is a masked array"),
    "namedtuple": (Pair(0, 1), TypeError, r"classes is a Pair, .*list\(classes\)"),
    "set": ({0, 1}, TypeError, r"classes is a set; .*pass list\(classes\)"),
    "text and numbers": (["0", 1], TypeError, "labels in classes are of several types, int, str"),
    "text and bytes": (["a", b"b"], ValueError, r"classes contains bytes.*\[label.decode\(\) for label in classes\]"),
    "missing": (["a", None], ValueError, r"classes has 1 missing label, at index 1 \(None\)"),
    "2-D": ([[0, 1], [2, 3]], ValueError, "classes"),
}


@pytest.mark.parametrize(("classes", "error", "message"), BAD_CLASSES.values(), ids=BAD_CLASSES)
def test_classes_are_checked_as_labels_are(classes, error, message):
    model = LSTMClassifier(3)
    assert_refused(lambda: model.partial_fit(MEMBERS, [0, 1, 0, 1], classes=classes), error, message, model)


def test_labels_of_steps_of_several_types():
    model = LSTMClassifier(**QUICK, return_sequences=True)
    message = "labels in y are of several types"
    assert_refused(lambda: model.fit(np.ones((2, 2, 1)), [["a", "b"], [0, 1]]), TypeError, message, model)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # nothing can be learned
def test_an_error_names_a_few_of_many_labels():
    model = LSTMClassifier(**QUICK).fit(np.ones((900, 2)), np.arange(900) % 300)
    with pytest.raises(ValueError, match=r"\.\.\. \(300 in all\)") as caught:
        model.set_params(warm_start=True).fit(np.ones((900, 2)), np.arange(900) % 300 + 1000)
    assert len(str(caught.value)) < 300


# -- numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error", "reason"),
    [
        (1j, ValueError, "Complex data not supported"),
        ({}, TypeError, "not 'dict'"),
        (10**400, ValueError, "too large"),
    ],
    ids=["complex", "dict", "large"],
)
def test_objects_that_are_no_numbers_are_refused_by_name(value, error, reason):
    bad = np.ones(4, object)
    bad[1] = value
    for name in ("y", "sample_weight"):
        model = regressor()
        with pytest.raises(error, match=f"{name} is not an array of numbers: .*{reason}"):
            model.fit(**{"X": MEMBERS, "y": Y, name: bad})
    for X in (bad[:, None], bad[:, None, None]):
        with pytest.raises(error, match=f"X is not an array of numbers: .*{reason}"):
            regressor().fit(X, Y)


TOO_LARGE = {
    "num_layers": 10**9,
    "hidden_size": 10**30,
    "bptt_steps": 10**30,
    "bptt_checkpoint": 10**30,
    "longest_lag": 10**400,
    "batch_size": 10**30,
    "max_iter": 10**30,
    "n_iter_no_change": 10**30,
    "checkpoint_every": 10**30,
    "n_jobs": -(10**30),
    "alpha": 10**400,
    "learning_rate_init": 10**400,
    "clip_norm": 10**400,
    "tol": 10**400,
}


@pytest.mark.parametrize(("name", "value"), TOO_LARGE.items(), ids=TOO_LARGE)
def test_parameters_too_large_for_a_number_of_c(name, value):
    model = regressor().set_params(**{name: value})
    assert_refused(lambda: model.fit(WIDE, Y), ValueError, f"'{name}' parameter of LSTMRegressor must be", model)


def test_the_largest_parameters_are_as_good_as_none():
    expected = regressor().fit(WIDE, Y).predict(WIDE)
    for name in ("bptt_steps", "bptt_checkpoint", "batch_size", "n_iter_no_change"):
        assert_array_equal(regressor().set_params(**{name: sys.maxsize}).fit(WIDE, Y).predict(WIDE), expected)


def test_sizes_of_layers_too_large_are_refused_by_name():
    for options, message in [((2, 10**30), "hidden_size=1"), ((2, 3, 10**9), "num_layers=1000000000")]:
        with pytest.raises(ValueError, match=message):
            LSTM(*options)


def test_lists_in_lists_without_end_are_refused():
    endless = [1.0]
    endless.append(endless)
    with pytest.raises(ValueError, match="y is nested too deeply"):
        LSTMRegressor(**QUICK).fit(np.ones((2, 3)), endless)


def test_arrays_of_no_axis_are_numbers():
    model = LSTMRegressor(**QUICK)
    numbers = [np.array(1.0), np.array(2.0)]
    assert model.fit(np.ones((2, 3)), [1.0, 2.0], sample_weight=numbers).t_ == 4


def test_a_masked_number_in_a_list_is_refused():
    masked = [np.array(1), np.ma.array(2, mask=True)]
    with pytest.raises(TypeError, match=r"y\[1\] is a masked array"):
        LSTMRegressor(**QUICK).fit(np.ones((2, 3)), masked)
    with pytest.raises(TypeError, match="lengths has masked members"):
        LSTM(3, 4)(np.ones((2, 3, 3), "float32"), lengths=masked)


def test_a_memoryview_is_read_as_its_array():
    array = np.ones((2, 3, 2))
    for given in (array, array.astype(object)):
        assert_array_equal(SequenceScaler().fit(memoryview(given)).mean_, [1, 1])
