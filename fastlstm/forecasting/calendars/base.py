"""What the calendars share: positions of stamps, and the errors about stamps that are not the expected ones."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

REMEDY = "Insert missing stamps with NaN as their values, or pass the right freq=."


@dataclass(frozen=True)
class Calendar:
    """The stamps of one series, at a constant frequency.

    Attributes
    ----------
    stamps : range, pandas Index or Polars Series
    label : str
        The series in error messages.
    freq : int, pandas offset or Offset
        Distance of the stamps; None if unknown.

    Subclasses add the methods `run` (stamps from a position on), `offset` (position of a stamp), `read` (stamps of the
    same type), `joined` and `wall_of`, and the property `freq_text`.
    """

    stamps: Any
    label: str
    freq: Any
    given = True  # False for positions in an array

    def __len__(self):
        return len(self.stamps)

    def at(self, position, count):
        """`count` stamps from `position` on, observed or not."""
        if position + count <= len(self):
            return self.stamps[position : position + count]
        return self.run(position, count)

    def future(self, h):
        """The `h` stamps that follow."""
        return self.at(len(self), h)

    def wall(self):
        """Wall-clock stamps [T] as datetime64[s]; None for plain integers."""
        return self.wall_of(self.stamps)

    def since(self, position):
        """The calendar of the stamps from `position` on."""
        return replace(self, stamps=self.stamps[position:])

    def follow(self, stamps, label):
        """This calendar extended by `stamps`; raise ValueError if they leave a gap or overlap with it."""
        if not len(stamps):
            return self
        expected = self.require(stamps, len(self), label)
        return replace(self, stamps=self.joined(self.future(len(stamps)) if expected is None else expected))

    def starts_like(self, other):
        """Whether both calendars begin at the same stamp; positions in an array may be any stamps."""
        if not (self.given and other.given):
            return True
        return first_difference(self.stamps[:1], other.stamps[:1]) is None

    def require(self, stamps, position, label):
        """Raise ValueError unless `stamps` are the ones from `position` on; positions in an array always are.

        Returns these stamps, or None for positions in an array.
        """
        if isinstance(stamps, range) or not self.given or not len(stamps):
            return None
        stamps = self.read(stamps, label)
        expected = self.at(position, len(stamps))
        wrong = first_difference(stamps, expected)
        if wrong is None:
            return expected
        if wrong > 0:
            raise ValueError(irregular(label, stamps, wrong, expected, self.freq_text))
        distance = self._position(stamps, label) - position
        raise ValueError(
            f"{label} starts at {show(stamps[0])}, but the expected first stamp is {show(expected[0])}: "
            f"{'a gap' if distance > 0 else 'an overlap'} of {abs(distance)} step{'s' * (abs(distance) != 1)} "
            f"(freq={self.freq_text})."
        )

    def _position(self, stamps, label):
        offset = self.offset(stamps[0])
        if offset is None:
            raise ValueError(
                f"{label} starts at {show(stamps[0])}, which is not a whole number of steps from {show(self.stamps[0])}"
                f", the first stamp of {self.label} (freq={self.freq_text})."
            )
        return offset

    def no_freq(self):
        """The error if the frequency is needed but unknown."""
        return ValueError(
            f"The frequency of {self.label} cannot be inferred from {len(self)} stamp{'s' * (len(self) != 1)}, the "
            f"first of which is {show(self.stamps[0])}: pass freq=."
        )


def first_difference(stamps, expected):
    """First position at which two sequences of stamps of the same length differ; None if they are equal."""
    differs = np.flatnonzero(np.asarray(stamps) != np.asarray(expected))
    return int(differs[0]) if len(differs) else None


def check_order(keys, stamps, label):
    """Raise ValueError unless the stamps, as the integers `keys`, increase."""
    wrong = np.flatnonzero(np.diff(keys) <= 0)
    if not len(wrong):
        return
    stamp, previous = show(stamps[int(wrong[0]) + 1]), show(stamps[int(wrong[0])])
    if stamp == previous:
        raise ValueError(f"{label} has the stamp {stamp} more than once; expected one value per stamp.")
    raise ValueError(f"{label} is not sorted by time: {stamp} comes after {previous}; sort it first.")


def irregular(label, stamps, wrong, expected, freq):
    """Message about the first stamp that does not follow its predecessor, at the position `wrong`."""
    found = show(stamps[wrong])
    if wrong == 0:
        return f"{label} starts at {found}, which is not a stamp of freq={freq}."
    return f"{label} has {found} after {show(stamps[wrong - 1])}; expected {show(expected[wrong])} (freq={freq})."


def no_pattern(label, stamps):
    """Message about stamps of no frequency at all."""
    return (
        f"{label} has an irregular index, which starts with {', '.join(show(stamps[k]) for k in range(3))}: no "
        f"frequency fits these stamps. {REMEDY}"
    )


def longest_prefix(stamps, runs):
    """Of pairs (frequency, expected stamps), the one that agrees with most of the first stamps.

    Returns the position of the first stamp that differs, or None, the frequency and the expected stamps.
    """
    fits = [(first_difference(stamps, run), freq, run) for freq, run in runs]
    return max(fits, key=lambda fit: len(stamps) if fit[0] is None else fit[0])


def show(stamp):
    """A stamp in an error message."""
    text = str(stamp)
    return text.removesuffix(" 00:00:00")
