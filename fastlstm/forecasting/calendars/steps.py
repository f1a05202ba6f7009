"""Calendar of plain integers: positions in an array, a RangeIndex or a column of integers."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from fastlstm.forecasting.calendars.base import REMEDY, Calendar, check_order, first_difference, irregular


@dataclass(frozen=True)
class StepCalendar(Calendar):
    """Integers at a constant distance; `stamps` is a range."""

    given: bool

    @property
    def freq_text(self):
        return str(self.freq)

    def run(self, position, count):
        start = self.stamps.start + position * self.freq
        return range(start, start + count * self.freq, self.freq)

    def offset(self, stamp):
        steps, rest = divmod(int(stamp) - self.stamps.start, self.freq)
        return None if rest else steps

    def read(self, stamps, label):
        if isinstance(stamps, range):
            return np.arange(stamps.start, stamps.stop, stamps.step)
        stamps = np.asarray(stamps)
        if stamps.dtype.kind not in "iu":
            raise ValueError(f"{label} has stamps of dtype {stamps.dtype}; expected integers, as in {self.label}.")
        return stamps

    def joined(self, stamps):
        return self.run(0, len(self) + len(stamps))

    def wall_of(self, stamps):
        return None


def make_steps(stamps, labels, freq):
    if freq is not None and not (isinstance(freq, Integral) and freq > 0):
        raise ValueError(
            f"freq={freq!r} was passed, but the time index of {labels[0]} is not made of dates; expected None or a "
            "positive integer."
        )
    given = [not isinstance(of_series, range) for of_series in stamps]
    stamps = [np.asarray(of_series) for of_series in stamps]
    for of_series, label in zip(stamps, labels, strict=True):
        check_order(of_series, of_series, label)
    default = freq or _distance(max(stamps, key=len)) or 1
    return [
        _make(of_series, label, freq or _distance(of_series) or default, is_given)
        for of_series, label, is_given in zip(stamps, labels, given, strict=True)
    ]


def _distance(stamps):
    return int(np.diff(stamps).min()) if len(stamps) > 1 else None


def _make(stamps, label, freq, given):
    start = int(stamps[0])
    run = range(start, start + len(stamps) * freq, freq)
    wrong = first_difference(stamps, run)
    if wrong is not None:
        raise ValueError(f"{irregular(label, stamps, wrong, run, freq)} {REMEDY}")
    return StepCalendar(run, label, freq, given)
