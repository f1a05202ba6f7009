"""Groups of values in series: the channels, blocks of steps, or both."""

from dataclasses import dataclass

import numpy as np

from fastlstm.layers.checks import is_count

BY = ("channel", "step", "both")
MOST_BLOCKS = 10  # default number of blocks


def step_blocks(longest, n_blocks=None, block_size=None):
    """Blocks of steps [B, 2], the oldest first: each is the steps T_i + first to T_i + last of a series of length T_i.

    They are counted from the last step back, because series of unequal lengths have their last steps in common.
    """
    if n_blocks is not None and block_size is not None:
        raise ValueError(f"n_blocks={n_blocks} and block_size={block_size} were both passed: pass one of them.")
    for name, value, unit in [("n_blocks", n_blocks, "blocks"), ("block_size", block_size, "steps")]:
        if value is not None and not (is_count(value) and value <= longest):
            raise ValueError(
                f"{name}={value!r}: expected a number of {unit} from 1 to {longest}, the length of the longest series."
            )
    if block_size is not None:
        ends = np.append(np.arange(0, longest, block_size), longest)
    else:
        ends = np.rint(np.linspace(0, longest, (n_blocks or min(longest, MOST_BLOCKS)) + 1)).astype(int)
    return np.stack([-ends[1:], -ends[:-1]], axis=1)[::-1]


def channel_statistic(function, series):
    """A statistic of the values of each channel [C], which ignores NaN; 0 for channels without values."""
    table = series.table(copy=False).astype("float64")
    empty = np.isnan(table).all(axis=0)
    return function(np.where(empty, 0, table), axis=0)


@dataclass(frozen=True)
class Groups:
    """Values of series grouped by channel, by block of steps, or by both.

    Attributes
    ----------
    series : Series
    by : {"channel", "step", "both"}
    blocks : ndarray of shape (B, 2)
        As returned by `step_blocks`.
    """

    series: object
    by: str
    blocks: np.ndarray

    @property
    def shape(self):
        """Number of blocks and of channels that are told apart."""
        return 1 if self.by == "channel" else len(self.blocks), 1 if self.by == "step" else self.series.channels

    def of_steps(self):
        """Rows of a table of all steps [steps]: how many steps precede the end of the series, and the block."""
        series = self.series
        before_end = np.repeat(series.step_at + series.lengths, series.lengths) - 1 - np.arange(series.steps)
        if self.by == "channel":
            return before_end, np.zeros(series.steps, int)
        return before_end, np.searchsorted(self.blocks[:, 0], -1 - before_end, side="right") - 1

    def indices(self):
        """For each group, its index in an array of this shape, and the rows and columns of a table of all steps."""
        _, of_block = self.of_steps()
        blocks, channels = self.shape
        for block in range(blocks):
            rows = np.flatnonzero(of_block == block)[:, None]
            for channel in range(channels):
                columns = slice(None) if self.by == "step" else [channel]
                yield (block, channel), (rows, np.arange(self.series.channels)[columns])

    def sums(self, table):
        """Sums [n, B, C] over the values of each series in each group of a table [steps, C]."""
        _, of_block = self.of_steps()
        blocks, channels = self.shape
        of_series = np.repeat(np.arange(len(self.series)), self.series.lengths)
        sums = np.zeros((len(self.series) * blocks, channels))
        np.add.at(sums, of_series * blocks + of_block, table.sum(axis=1, keepdims=True) if channels == 1 else table)
        return sums.reshape(len(self.series), blocks, channels)

    def reached(self):
        """[n, B, 1]: whether a series has steps in each block."""
        last = np.zeros(1) if self.by == "channel" else self.blocks[:, 1]
        return (self.series.lengths[:, None] > -last)[..., None]

    def squeeze(self, values):
        """Values [..., B, C] without the axis that is not told apart."""
        return {"channel": values[..., 0, :], "step": values[..., 0], "both": values}[self.by]

    def donors(self, order):
        """Rows of a table of all steps, exchanged among the series at the same distance from their end.

        Series n takes the steps of series order[n]; where this is too short, those of order[order[n]], and so on. So
        at each distance from the end, the values are a permutation of those of all series that have this step.
        """
        series, (before_end, _) = self.series, self.of_steps()
        donor = np.repeat(order, series.lengths)
        short = np.flatnonzero(series.lengths[donor] <= before_end)
        while len(short):
            donor[short] = order[donor[short]]
            short = short[series.lengths[donor[short]] <= before_end[short]]
        return series.step_at[donor] + series.lengths[donor] - 1 - before_end
