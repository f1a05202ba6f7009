"""Features of the calendar: month, day of the week, hour, ... of stamps, as columns of a table."""

import numpy as np

ONEHOT_LIMIT = 12  # features of more values are encoded as sine and cosine


def _fields(wall):
    """Days, months and years that contain the stamps."""
    return tuple(wall.astype(f"datetime64[{unit}]") for unit in "DMY")


def _months(wall):
    _, month, year = _fields(wall)
    return (month - year.astype("datetime64[M]")).astype(int)


def _day_of_week(wall):
    return (wall.astype("datetime64[D]").astype(int) + 3) % 7  # 1970 began on a Thursday


def _day_of_year(wall):
    day, _, year = _fields(wall)
    return (day - year.astype("datetime64[D]")).astype(int)


def _week_of_year(wall):
    thursday = wall.astype("datetime64[D]") + (3 - _day_of_week(wall))  # in the year that ISO counts the week to
    return _day_of_year(thursday) // 7


def _day(wall):
    day, month, _ = _fields(wall)
    return (day - month.astype("datetime64[D]")).astype(int)


def _within(wall, unit, larger):
    return (wall.astype(f"datetime64[{unit}]") - wall.astype(f"datetime64[{larger}]")).astype(int)


# For each name: the function that gives the values from zero on, the first value as people count, and their number
CYCLES = {
    "quarter": (lambda wall: _months(wall) // 3, 1, 4),
    "month": (_months, 1, 12),
    "weekofyear": (_week_of_year, 1, 53),
    "dayofyear": (_day_of_year, 1, 366),
    "day": (_day, 1, 31),
    "dayofweek": (_day_of_week, 0, 7),
    "hour": (lambda wall: _within(wall, "h", "D"), 0, 24),
    "minute": (lambda wall: _within(wall, "m", "h"), 0, 60),
}
FLAGS = {
    "is_weekend": lambda wall: _day_of_week(wall) >= 5,
    "is_month_start": lambda wall: _day(wall) == 0,
    "is_month_end": lambda wall: _day(wall + np.timedelta64(1, "D")) == 0,
}


def calendar_features(wall, names, cyclic=None):
    """Encode features of the calendar as numbers.

    Parameters
    ----------
    wall : ndarray of shape (T,) and dtype datetime64
        Wall-clock stamps.
    names : sequence of str
        "quarter", "month", "weekofyear" (ISO 8601), "dayofyear", "day", "dayofweek" (0 is Monday), "hour", "minute",
        "is_weekend", "is_month_start" or "is_month_end".
    cyclic : bool or None, default=None
        Whether features of several values are encoded as the sine and cosine of the position in the cycle; if False,
        as one indicator per value. If None, those of at most 12 values are one-hot encoded and the others cyclic.
        Names that start with "is" are single indicators in any case.

    Returns
    -------
    table : ndarray of shape (T, F)
        The encoded features, as float64.
    columns : list of str
        Names of the F columns, such as "month_1", "hour_sin" and "is_weekend".

    Raises
    ------
    ValueError
        If `wall` is None, since the series has no dates, or if a name is unknown or a duplicate.

    Examples
    --------
    >>> import numpy as np
    >>> from fastlstm.forecasting.calendars import calendar_features
    >>> wall = np.array(["2024-01-05T00", "2024-01-06T06"], "datetime64[s]")
    >>> calendar_features(wall, ["hour", "is_weekend"])[1]
    ['hour_sin', 'hour_cos', 'is_weekend']
    >>> calendar_features(wall, ["hour", "is_weekend"])[0].round(3)
    array([[0., 1., 0.],
           [1., 0., 1.]])
    """
    names = list(names)
    features = [*CYCLES, *FLAGS]
    unknown = [name for name in names if name not in features]
    if unknown:
        raise ValueError(f"Unknown calendar features {unknown}; expected some of {features}.")
    if len(set(names)) < len(names):
        raise ValueError(f"The calendar features {names} have duplicates; expected each feature once.")
    if wall is None:
        raise ValueError(f"The calendar features {names} need dates, but the time index of the series has none.")
    blocks, columns = [np.empty((len(wall), 0))], []
    for name in names:
        block, labels = _encode(wall, name, cyclic)
        blocks.append(block)
        columns += labels
    return np.concatenate(blocks, axis=1), columns


def _encode(wall, name, cyclic):
    if name in FLAGS:
        return FLAGS[name](wall)[:, None].astype(np.float64), [name]
    values_of, first, count = CYCLES[name]
    values = values_of(wall)
    if not (count > ONEHOT_LIMIT if cyclic is None else cyclic):
        return (values[:, None] == np.arange(count)).astype(np.float64), [f"{name}_{first + k}" for k in range(count)]
    angle = 2 * np.pi / count * values
    return np.stack([np.sin(angle), np.cos(angle)], axis=1), [f"{name}_sin", f"{name}_cos"]
