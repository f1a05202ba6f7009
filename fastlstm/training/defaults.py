"""Rules for the parameters set to "auto", by the number and the length of the series.

# Design: chosen by experiments on training data alone (`bench/defaults.py`); bench/README.md lists what was tried.
"""

import math

from fastlstm.kernels import CELLS

#: Up to this number of series, training uses full batches and no dropout: an update is cheap, and the weight of a
#: series has exactly the effect of repeating it.
FEW = 32
FEW_UPDATES = 200
#: Batch sizes by number of series: (minimum number of series, batch size); the last match applies.
BATCHES = [(0, 8), (1000, 16), (4000, 32)]
UPDATES = 2000
#: Maximum number of epochs: `EPOCHS` plus one per step of the longest series, since long series need more epochs, but
#: at most `MOST_EPOCHS`; and at least `FEWEST_EPOCHS`.
EPOCHS, MOST_EPOCHS, FEWEST_EPOCHS = 50, 200, 6
#: Limit on the steps processed in all epochs together, which bounds the training time on long series.
STEPS = 16_000_000
RATE = 0.01
ONLINE_RATE = 1e-3  # of `partial_fit`, which has no last epoch to decay to
DROPOUT = 0.2
#: Minimum number of series that a minibatch takes from each partition, where there are several.
ROWS_OF_PARTITION = 16
#: Of encoder-decoders.
RATE_OF_PAIRS, SLOWER_PAIRS = 0.005, 2

#: Names of the parameters that can be "auto".
NAMES = ("batch_size", "learning_rate", "learning_rate_init", "max_iter", "dropout", "init")


def resolve_for_pairs(given, cell, n, longest, steps, n_partitions=1):
    """The same for n pairs of sequences, of which an encoder-decoder learns to make one from the other.

    It must find out which symbols correspond: a task of its own, which takes longer, and more so at a high rate.
    """
    settings = dict(given)
    if settings["init"] == "auto":
        settings["init"] = "standard"
    if settings["learning_rate_init"] == "auto" and settings["learning_rate"] in ("auto", "cosine") and n > FEW:
        settings["learning_rate_init"] = RATE_OF_PAIRS
    return resolve(settings, cell, n, longest, steps, slower=SLOWER_PAIRS, n_partitions=n_partitions)


def resolve(given, cell, n, longest, steps, online=False, slower=1, n_partitions=1):
    """Copy of `given`, a dict of the parameters in `NAMES`, in which each "auto" is replaced by a value.

    n, longest, steps: number of series, length of the longest, and total number of steps.
    online: whether the values are for `partial_fit`, that is, for one epoch at a constant rate.
    slower: factor of the numbers of updates and epochs.
    n_partitions: number of partitions over which each minibatch is spread.
    """
    settings, few = dict(given), n <= FEW

    def default(name, value):
        if settings[name] == "auto":
            settings[name] = value

    size = [size for least, size in BATCHES if n >= least][-1]
    if n_partitions > 1:  # a few series alone do not use the arithmetic units well
        size = max(size, n_partitions * ROWS_OF_PARTITION)
    default("batch_size", n if few else size)
    settings["batch_size"] = min(settings["batch_size"], n)
    default("learning_rate", "constant" if online else "cosine")
    default("learning_rate_init", RATE if settings["learning_rate"] == "cosine" else ONLINE_RATE)
    updates_per_epoch = math.ceil(n / settings["batch_size"])
    most = min(slower * EPOCHS + longest, MOST_EPOCHS, round(slower * UPDATES / updates_per_epoch))
    most = FEW_UPDATES if few else most
    default("max_iter", max(FEWEST_EPOCHS, min(most, STEPS // steps)))
    if online:
        settings["max_iter"] = 1
    default("dropout", 0.0 if few else DROPOUT)
    default("init", "chrono" if CELLS[cell].forget_gate else "standard")
    return settings


def summary(settings):
    """The settings on one line."""
    return "  ".join(f"{name}={settings[name]!r}" for name in NAMES)
