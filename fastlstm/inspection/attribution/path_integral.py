"""Integrated gradients (Sundararajan, Taly & Yan 2017) along straight lines between series.

# Design: Gauss-Legendre points, in intervals that are halved until the attributions add up in each. Outputs are mostly
# smooth along a line, so a few points suffice; but where states saturate, an output may change abruptly, which points
# at equal distances would miss.
"""

import numpy as np

from fastlstm.user_warnings import warn

#: Number of points per interval, and of points per series after which its intervals are not halved any more.
POINTS, MOST_POINTS = 16, 4096
#: Largest error of the sum of attributions, relative to the difference of outputs; above it, a warning is given.
WARN_ABOVE = 1e-3
#: Largest error in an interval of width w, divided by sqrt(w). A path has up to 256 intervals of total width 1, so
#: their errors add up to 16 times this at most, which is below WARN_ABOVE.
TOLERANCE = 5e-5
#: Differences of outputs below this fraction of their root mean square over the series count as that large: where
#: the attributions cancel, no finite number of points makes the error small compared with the difference.
SMALLEST = 0.01
#: The same as a fraction of the largest output, for differences that are all 0 up to rounding.
ROUNDING = 1e-6
MOST_INTERVALS = 256  # evaluated together, if there are fewer series


class Lines:
    """Straight lines from one set of prepared series to another; positions on them are numbers from 0 to 1."""

    def __init__(self, start, end, dtype):
        self.series, self._first, self._dtype = start, start.table(copy=False), dtype
        self._distance = end.table(copy=False).astype("float64") - self._first

    @property
    def shape(self):
        return self._distance.shape

    def distance(self, rows, parts):
        """Distances [steps, C] along these parts [m] of the lines of the series `rows`."""
        return self._distance[self.series.steps_of(rows)] * np.repeat(parts, self.series.lengths[rows])[:, None]

    def inputs(self, rows, at):
        """The series `rows` at these positions [m]."""
        table = self._first[self.series.steps_of(rows)] + self.distance(rows, at)
        return self.series.take(rows).with_table(table.astype(self._dtype))


def integrated_gradients(quantity, lines):
    """Attributions [steps, C] of the differences of a `Quantity` between the ends, and the number of points.

    The number of points is that of the series that required most.
    """
    series, n = lines.series, len(lines.series)
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    ends = np.repeat([[0.0], [1.0]], n, axis=1)
    at_ends = [quantity.values(lines.inputs(np.arange(n), at), np.arange(n)) for at in ends]
    scale = _scale(*at_ends)
    attributions, errors, n_points = np.zeros(lines.shape), np.zeros(n), np.zeros(n, int)
    pending = np.array([np.arange(n), *ends, *at_ends])  # intervals: the series, the ends and the outputs there
    while pending.size:
        now, pending = np.split(pending, [max(n, MOST_INTERVALS)], axis=1)
        rows, (low, high, at_low, at_high) = now[0].astype(int), now[1:]
        integral = 0.0
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            integral = integral + weight * quantity.gradients(lines.inputs(rows, low + node * (high - low)), rows)
        integral *= lines.distance(rows, high - low)
        np.add.at(n_points, rows, POINTS)
        lengths = series.lengths[rows]
        error = np.add.reduceat(integral.sum(axis=1), np.cumsum(lengths) - lengths) - (at_high - at_low)
        done = (np.abs(error) <= TOLERANCE * np.sqrt(high - low) * scale[rows]) | (n_points[rows] >= MOST_POINTS)
        np.add.at(attributions, series.steps_of(rows[done]), integral[np.repeat(done, lengths)])
        np.add.at(errors, rows[done], error[done])
        rows, low, high, at_low, at_high = (part[~done] for part in (rows, low, high, at_low, at_high))
        if len(rows):
            middle = (low + high) / 2
            at_middle = quantity.values(lines.inputs(rows, middle), rows)
            halves = [rows, low, middle, at_low, at_middle], [rows, middle, high, at_middle, at_high]
            pending = np.concatenate([pending, *halves], axis=1)
    wrong = np.abs(errors) > WARN_ABOVE * scale
    if wrong.any():
        warn(
            f"The integrated gradients of {wrong.sum()} of {n} series do not add up to the difference of outputs; the "
            f"largest error is {np.abs(errors).max() * quantity.unit:.1g}: the output changes too abruptly. Pass a "
            "baseline closer to the series.",
            RuntimeWarning,
        )
    return attributions, int(n_points.max())


def _scale(at_start, at_end):
    """What the error of the attributions of each series is measured against [n]: the difference of its outputs."""
    differences = np.abs(at_end - at_start)
    typical = np.sqrt((differences**2).mean())
    return np.maximum(differences, max(SMALLEST * typical, ROUNDING * np.abs([at_start, at_end]).max()))
