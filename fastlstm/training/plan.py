"""How a fit trains where its parameters say "auto": rules by the number and the length of the series.

# Design: chosen by experiment, on training data alone (`bench/defaults.py`); bench/README.md has what was tried.
"""

import math

from fastlstm.kernels import CELLS

#: Series up to which every update sees all of them and nothing is dropped: an update costs little then, and the weight
#: of a series acts exactly as its copies would.
FEW = 32
FEW_UPDATES = 200
#: Batches grow with the data: (series, batch size), the last that applies.
BATCHES = [(0, 8), (1000, 16), (4000, 32)]
UPDATES = 2000
#: Passes over the data: no more than 50 and one for each step (long series need more), and no more than 200.
EPOCHS, MOST_EPOCHS, FEWEST_EPOCHS = 50, 200, 6
#: Steps of all series in all epochs, beyond which long series train for less.
STEPS = 16_000_000
RATE = 0.01
ONLINE_RATE = 1e-3  # of partial_fit, which knows no end to fall to
DROPOUT = 0.2

#: Parameters that may be "auto".
NAMES = ("batch_size", "learning_rate", "learning_rate_init", "max_iter", "dropout", "init")


def settle(given, cell, n, longest, steps, online=False):
    """`given`, what parameters of those names are, with a value for each "auto".

    n, longest, steps: series, steps of the longest, and of all. `online`: of partial_fit, one epoch at a constant rate.
    """
    settings, few = dict(given), n <= FEW

    def default(name, value):
        if settings[name] == "auto":
            settings[name] = value

    size = [size for least, size in BATCHES if n >= least][-1]
    default("batch_size", n if few else size)
    settings["batch_size"] = min(settings["batch_size"], n)
    default("learning_rate", "constant" if online else "cosine")
    default("learning_rate_init", RATE if settings["learning_rate"] == "cosine" else ONLINE_RATE)
    of_epoch = math.ceil(n / settings["batch_size"])
    most = FEW_UPDATES if few else min(EPOCHS + longest, MOST_EPOCHS, round(UPDATES / of_epoch))
    default("max_iter", max(FEWEST_EPOCHS, min(most, STEPS // steps)))
    if online:
        settings["max_iter"] = 1
    default("dropout", 0.0 if few else DROPOUT)
    default("init", "chrono" if CELLS[cell].forget_gate else "standard")
    return settings


def described(settings):
    """One line that says how a fit trains."""
    return "  ".join(f"{name}={settings[name]!r}" for name in NAMES)
