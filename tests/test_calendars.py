"""Time indices of series: the stamps that follow, positions, errors, and features of the calendar."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fastlstm.forecasting.calendars import calendar_features, make_calendars

BERLIN = {"tz": "Europe/Berlin"}
RANGES = {
    "daily": {"start": "2024-02-26", "freq": "D"},
    "weekly": {"start": "2024-02-28", "freq": "W-WED"},
    "two weeks": {"start": "2024-02-28", "freq": "14D"},
    "monthly": {"start": "2023-11-01", "freq": "MS"},
    "month ends": {"start": "2023-10-31", "freq": "ME"},
    "quarterly": {"start": "2023-01-01", "freq": "QS"},
    "yearly": {"start": "2019-01-01", "freq": "YS"},
    "business days": {"start": "2024-02-28", "freq": "B"},
    "business days at nine": {"start": "2024-02-28 09:00", "freq": "B"},
    "hourly": {"start": "2024-02-28 22:00", "freq": "h"},
    "quarters of an hour": {"start": "2024-02-28 23:30", "freq": "15min"},
    "hourly into summer time": {"start": "2024-03-30 20:00", "freq": "h", **BERLIN},
    "hourly into winter time": {"start": "2024-10-26 20:00", "freq": "h", **BERLIN},
    "daily into summer time": {"start": "2024-03-26", "freq": "D", **BERLIN},
    "daily into winter time": {"start": "2024-10-22", "freq": "D", **BERLIN},
    "monthly into summer time": {"start": "2023-12-01", "freq": "MS", **BERLIN},
}
KINDS = pytest.mark.parametrize("kind", ["pandas", "polars"])
STAMPS = pytest.mark.parametrize("name", RANGES)


def stamps_of(index, kind):
    """An index without its frequency, as the object of a library."""
    index = pd.DatetimeIndex(index, freq=None)
    return index if kind == "pandas" else pl.Series("t", index)


def as_index(stamps):
    return pd.DatetimeIndex(stamps if isinstance(stamps, pd.Index) else stamps.to_list())


def make(stamps, freq=None, label="y"):
    return make_calendars([stamps], [label], freq)[0]


@KINDS
@STAMPS
def test_future_stamps_follow(name, kind):
    index = pd.date_range(**RANGES[name], periods=16)
    calendar = make(stamps_of(index[:6], kind))
    assert len(calendar) == 6
    assert_array_equal(as_index(calendar.future(10)), index[6:])


@KINDS
@STAMPS
def test_wall_clock_stamps(name, kind):
    index = pd.date_range(**RANGES[name], periods=16)
    calendar = make(stamps_of(index[:6], kind))
    expected = index.tz_localize(None).to_numpy().astype("datetime64[s]")
    for wall, of_index in ((calendar.wall(), expected[:6]), (calendar.wall_of(calendar.future(10)), expected[6:])):
        assert wall.dtype == "datetime64[s]"
        assert_array_equal(wall, of_index)


@KINDS
@STAMPS
@pytest.mark.parametrize("start", [0, 2, 6, 9])
def test_position_of_a_stamp(name, kind, start):
    index = pd.date_range(**RANGES[name], periods=16)
    one, other = make_calendars([stamps_of(index[:6], kind), stamps_of(index[start : start + 6], kind)], ["a", "b"])
    assert one.offset(other.stamps[0]) == start
    assert other.offset(one.stamps[0]) == -start


@KINDS
@STAMPS
def test_extended_calendar_ends_later(name, kind):
    index = pd.date_range(**RANGES[name], periods=16)
    calendar = make(stamps_of(index[:6], kind)).follow(stamps_of(index[6:9], kind), "more")
    assert_array_equal(as_index(calendar.stamps), index[:9])
    assert_array_equal(as_index(calendar.future(7)), index[9:])


@KINDS
@STAMPS
def test_gap_and_overlap_raise(name, kind):
    index = pd.date_range(**RANGES[name], periods=16)
    calendar = make(stamps_of(index[:6], kind))
    expected = re.escape(str(index[6]).removesuffix(" 00:00:00"))
    with pytest.raises(ValueError, match=rf"more starts at .* expected first stamp is {expected}: a gap of 2 steps"):
        calendar.follow(stamps_of(index[8:10], kind), "more")
    with pytest.raises(
        ValueError, match=rf"more starts at .* expected first stamp is {expected}: an overlap of 1 step "
    ):
        calendar.follow(stamps_of(index[5:10], kind), "more")
    with pytest.raises(ValueError, match=r"more has .* after .*; expected"):
        calendar.follow(stamps_of(index[[6, 7, 9]], kind), "more")


@KINDS
@STAMPS
def test_calendars_can_be_pickled(name, kind):
    index = pd.date_range(**RANGES[name], periods=16)
    calendar = make(stamps_of(index[:6], kind))
    again = pickle.loads(pickle.dumps(calendar))
    assert_array_equal(as_index(again.future(3)), as_index(calendar.future(3)))


@KINDS
@pytest.mark.parametrize("name", ["daily", "monthly", "month ends", "business days", "hourly into summer time"])
def test_missing_stamp_is_named(name, kind):
    index = pd.date_range(**RANGES[name], periods=16)
    first = re.escape(str(index[9]).removesuffix(" 00:00:00"))
    with pytest.raises(ValueError, match=rf"^y has {first} after .*; expected .* pass the right freq=\.$"):
        make(stamps_of(index.delete(8), kind))


@KINDS
def test_duplicated_stamp_is_named(kind):
    index = pd.date_range("2024-01-01", periods=5)
    with pytest.raises(ValueError, match="y has the stamp 2024-01-03 more than once"):
        make(stamps_of(index[[0, 1, 2, 2, 3]], kind))


@KINDS
def test_unsorted_stamp_is_named(kind):
    index = pd.date_range("2024-01-01", periods=5)
    with pytest.raises(ValueError, match="y is not sorted by time: 2024-01-02 comes after 2024-01-03"):
        make(stamps_of(index[[0, 2, 1, 3]], kind))


@KINDS
def test_stamps_without_a_frequency_raise(kind):
    index = pd.date_range("2024-01-01", periods=20)[[0, 1, 3, 7, 12]]
    with pytest.raises(ValueError, match=r"y has an irregular index, .* 2024-01-01, 2024-01-02, 2024-01-04: .*freq="):
        make(stamps_of(index, kind))


@KINDS
def test_missing_stamps_raise(kind):
    stamps = pd.DatetimeIndex(["2024-01-01", None, "2024-01-03"])
    with pytest.raises(ValueError, match="y has a missing stamp"):
        make(stamps if kind == "pandas" else pl.Series(stamps))


@KINDS
def test_frequency_of_two_stamps_is_needed_only_for_other_stamps(kind):
    index = pd.date_range("2024-01-31", periods=2, freq="ME")
    calendar = make(stamps_of(index, kind))
    assert len(calendar.wall()) == 2
    with pytest.raises(
        ValueError, match=r"The frequency of y cannot be inferred from 2 stamps.*2024-01-31: pass freq="
    ):
        calendar.future(1)


@pytest.mark.parametrize(("kind", "freq"), [("pandas", "ME"), ("pandas", pd.offsets.MonthEnd()), ("polars", "1mo")])
def test_given_frequency(kind, freq):
    index = pd.date_range("2024-01-31", periods=4, freq="ME")
    assert_array_equal(as_index(make(stamps_of(index[:1], kind), freq).future(3)), index[1:])


@pytest.mark.parametrize(
    ("kind", "freq", "message"),
    [
        ("pandas", "MS", "y starts at 2024-01-31, which is not a stamp of freq='MS'"),
        ("pandas", "D", "y has 2024-02-29 after 2024-01-31; expected 2024-02-01"),
        ("pandas", "-1D", "expected a positive one"),
        ("pandas", "month", "freq='month' is not a frequency of pandas"),
        ("polars", "1d", "y has 2024-02-29 after 2024-01-31; expected 2024-02-01"),
        ("polars", "ME", "freq='ME' is not supported for Polars"),
        ("polars", "0d", "freq='0d' is not supported for Polars"),
    ],
)
def test_wrong_frequency(kind, freq, message):
    with pytest.raises(ValueError, match=message):
        make(stamps_of(pd.date_range("2024-01-31", periods=4, freq="ME"), kind), freq)


@KINDS
def test_short_series_has_the_frequency_of_the_longest(kind):
    index = pd.date_range("2024-01-01", periods=20, freq="B")
    # a week of business days alone would be daily
    long, week, single = make_calendars(
        [stamps_of(index[:13], kind), stamps_of(index[:5], kind), stamps_of(index[4:5], kind)], ["a", "b", "c"]
    )
    assert_array_equal(as_index(week.future(2)), index[5:7])
    assert_array_equal(as_index(single.future(2)), index[5:7])
    assert single.offset(long.stamps[0]) == -4


@KINDS
def test_series_may_have_frequencies_of_their_own(kind):
    weeks = [pd.date_range("2024-01-01", periods=5, freq=freq) for freq in ("W-MON", "W-THU")]
    for index, calendar in zip(weeks, make_calendars([stamps_of(index, kind) for index in weeks], "ab"), strict=True):
        assert as_index(calendar.future(1))[0] == index[-1] + pd.Timedelta(days=7)


@KINDS
def test_off_grid_stamps_have_no_position(kind):
    one = make(stamps_of(pd.date_range("2024-01-01", periods=5, freq="2D"), kind), label="a")
    other = make(stamps_of(pd.date_range("2024-01-02", periods=5, freq="2D"), kind), label="b")
    with pytest.raises(
        ValueError, match="b starts at 2024-01-02, which is not a whole number of steps from 2024-01-01"
    ):
        one.follow(other.stamps, "b")


@KINDS
def test_stamps_of_another_time_zone_raise(kind):
    calendar = make(stamps_of(pd.date_range("2024-01-01", periods=5), kind))
    with pytest.raises(ValueError, match=r"more has stamps of dtype .*; expected .*, as in y"):
        calendar.follow(stamps_of(pd.date_range("2024-01-06", periods=2, tz="UTC"), kind), "more")


@pytest.mark.parametrize(("start", "freq"), [("2023-11", "M"), ("2024-01-30", "D"), ("2023-01", "2M"), ("2023Q1", "Q")])
def test_periods(start, freq):
    index = pd.period_range(start, periods=12, freq=freq)
    calendar = make(index[:6])
    assert calendar.future(6).equals(index[6:])
    assert_array_equal(calendar.wall(), index[:6].to_timestamp().to_numpy())
    assert calendar.offset(index[8]) == 8
    with pytest.raises(ValueError, match="a gap of 1 step"):
        calendar.follow(index[7:], "more")


def test_period_index_with_a_gap():
    with pytest.raises(ValueError, match="y has 2024-04 after 2024-02; expected 2024-03"):
        make(pd.period_range("2024-01", periods=5, freq="M").delete(2))


def test_frequency_that_contradicts_periods():
    with pytest.raises(ValueError, match="freq='D' was passed, but y has periods of freq='M'"):
        make(pd.period_range("2024-01", periods=5, freq="M"), "D")


def test_holidays_of_a_custom_offset():
    freq = pd.offsets.CustomBusinessDay(holidays=["2024-05-01"])
    index = pd.date_range("2024-04-25", periods=8, freq=freq)
    assert_array_equal(make(index[:4]).future(4), index[4:])
    assert_array_equal(make(stamps_of(index[:4], "pandas"), freq).future(4), index[4:])


def test_dates_of_polars_stay_dates():
    stamps = pl.Series([*pd.date_range("2024-01-31", periods=3, freq="ME").date])
    future = make(stamps).future(2)
    assert future.dtype == pl.Date
    assert [str(stamp) for stamp in future] == ["2024-04-30", "2024-05-31"]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_units_of_stamps_stay(unit):
    index = pd.date_range("2024-01-01", periods=4).as_unit(unit)
    assert make(index).future(1).dtype == index.dtype
    series = pl.Series(index).cast(pl.Datetime(unit))
    assert make(series).future(1).dtype == series.dtype


def test_day_of_the_month_survives_short_months():
    stamps = pl.Series([pd.Timestamp(day).date() for day in ("2023-12-30", "2024-01-30", "2024-02-29")])
    assert [str(stamp) for stamp in make(stamps).future(2)] == ["2024-03-30", "2024-04-30"]


@KINDS
@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2024-03-25 02:30", ["2024-03-31T03:00", "2024-04-01T02:30"]),  # skipped by the clocks
        ("2024-10-21 02:30", ["2024-10-27T02:30", "2024-10-28T02:30"]),  # there are two
    ],
)
def test_times_of_clock_changes(kind, start, expected):
    index = pd.date_range(start, periods=6, freq="D", **BERLIN)
    calendar = make(stamps_of(index, kind))
    assert_array_equal(calendar.wall_of(calendar.future(2)), np.array(expected, "datetime64[s]"))
    later = calendar.follow(calendar.future(2), "more")
    assert_array_equal(later.wall()[-2:], calendar.wall_of(calendar.future(2)))
    assert_array_equal(make(later.stamps).wall(), later.wall())


@given(
    start=st.dates(pd.Timestamp("1971-01-01").date(), pd.Timestamp("2100-01-01").date()),
    freq=st.sampled_from(["D", "3D", "W", "MS", "ME", "QS", "QE", "YS", "B", "h", "6h", "90min"]),
    observed=st.integers(6, 20),
    kind=st.sampled_from(["pandas", "polars"]),
)
def test_inferred_frequency_continues_the_index(start, freq, observed, kind):
    index = pd.date_range(start, periods=observed + 20, freq=freq)
    known = index[:observed]
    if freq == "B" and not (np.diff(known.to_numpy()) > np.timedelta64(1, "D")).any():
        return  # a week of business days is daily, too
    assert_array_equal(as_index(make(stamps_of(known, kind)).future(20)), index[observed:])


INTEGERS = {
    "pandas": pd.Index,
    "polars": pl.Series,
    "RangeIndex": lambda steps: pd.RangeIndex(steps[0], steps[-1] + 1, 5),
}


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers(kind):
    calendar = make(INTEGERS[kind]([10, 15, 20]))
    assert calendar.future(2) == range(25, 35, 5)
    assert calendar.wall() is None
    assert calendar.wall_of(calendar.future(2)) is None
    assert calendar.offset(20) == 2
    with pytest.raises(ValueError, match="more starts at 35, but the expected first stamp is 25: a gap of 2 steps"):
        calendar.follow(INTEGERS[kind]([35, 40]), "more")
    with pytest.raises(ValueError, match="more starts at 23, which is not a whole number of steps"):
        calendar.follow(INTEGERS[kind]([23, 28]), "more")


def test_gap_in_integers():
    with pytest.raises(ValueError, match=r"y has 5 after 2; expected 3 \(freq=1\)"):
        make(pd.Index([1, 2, 5]))


def test_distance_of_integers():
    assert make(pd.Index([1]), freq=3).future(2) == range(4, 10, 3)


def test_positions():
    calendar = make(range(4))
    assert calendar.future(2) == range(4, 6)
    assert len(calendar.follow(range(3), "more")) == 7


def test_frequency_of_positions():
    with pytest.raises(ValueError, match="freq='D' was passed, but the time index of y is not made of dates"):
        make(range(4), "D")


@pytest.mark.parametrize("stamps", [pd.Index(["2024-01", "2024-02"]), pd.Index([0.5, 1]), pl.Series(["2024-01"])])
def test_other_types_of_stamps(stamps):
    with pytest.raises(TypeError, match=r"The time index of y has dtype .*; expected dates or integers"):
        make(stamps)


def test_kinds_of_calendars_may_be_mixed():
    dates, steps = make_calendars([pd.date_range("2024-01-01", periods=3), range(3)], ["a", "b"])
    assert dates.wall() is not None
    assert steps.wall() is None


# -- features of the calendar ---------------------------------------------------------------------------------

HOURS = pd.date_range("2019-12-25 00:30", "2021-01-10", freq="37h")


def values_of(name):
    if name == "weekofyear":
        return HOURS.isocalendar().week.to_numpy(int)
    if name == "is_weekend":
        return (HOURS.day_of_week >= 5).astype(int)
    return np.asarray(getattr(HOURS, {"dayofweek": "day_of_week", "dayofyear": "day_of_year"}.get(name, name)))


def encode(names, cyclic=None):
    return calendar_features(HOURS.to_numpy().astype("datetime64[s]"), names, cyclic)


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [
        ("quarter", 1, 4),
        ("month", 1, 12),
        ("weekofyear", 1, 53),
        ("dayofyear", 1, 366),
        ("day", 1, 31),
        ("dayofweek", 0, 7),
        ("hour", 0, 24),
        ("minute", 0, 60),
    ],
)
@pytest.mark.parametrize("cyclic", [False, True])
def test_cyclic_features(name, first, count, cyclic):
    table, columns = encode([name], cyclic)
    if not cyclic:
        assert columns == [f"{name}_{value}" for value in range(first, first + count)]
        assert_array_equal(table, values_of(name)[:, None] == np.arange(first, first + count))
    else:
        assert columns == [f"{name}_sin", f"{name}_cos"]
        angle = np.arctan2(table[:, 0], table[:, 1]) * count / (2 * np.pi)
        assert_array_equal(np.round(angle) % count, values_of(name) - first)


@pytest.mark.parametrize("name", ["is_weekend", "is_month_start", "is_month_end"])
@pytest.mark.parametrize("cyclic", [None, False, True])
def test_indicators(name, cyclic):
    table, columns = encode([name], cyclic)
    assert columns == [name]
    assert_array_equal(table[:, 0], values_of(name))


def test_at_most_twelve_values_are_encoded_one_hot():
    _, columns = encode(["month", "hour"])
    assert columns == [f"month_{month}" for month in range(1, 13)] + ["hour_sin", "hour_cos"]


def test_features_keep_the_order_of_their_names():
    assert encode(["is_weekend", "hour"])[1] == ["is_weekend", "hour_sin", "hour_cos"]


def test_no_features():
    table, columns = encode([])
    assert table.shape == (len(HOURS), 0)
    assert columns == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["month", "moon"], r"Unknown calendar features \['moon'\]; expected some of \['quarter', "),
        ([["month"]], r"Unknown calendar features \[\['month'\]\]"),
        (["month", "hour", "month"], "have duplicates; expected each feature once"),
    ],
)
def test_unknown_features(names, message):
    with pytest.raises(ValueError, match=message):
        encode(names)


def test_features_need_dates():
    with pytest.raises(ValueError, match=r"The calendar features \['month'\] need dates"):
        calendar_features(None, ["month"])
