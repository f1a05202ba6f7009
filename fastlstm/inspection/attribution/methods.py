"""The methods of `step_importance`: each returns a value for every repeat or series, and every group."""

import numpy as np
from sklearn.utils import check_random_state

from fastlstm import containers, sequences
from fastlstm.estimators.atomic import snapshot
from fastlstm.estimators.layouts import UNIVARIATE
from fastlstm.inspection.attribution import path_integral
from fastlstm.inspection.attribution.groups import channel_statistic


def permutation(fitted, groups, y, scoring, n_repeats, random_state):
    """Decreases of the score [n_repeats, B, C]."""
    from sklearn.metrics import check_scoring  # imported here because it is slow

    series = groups.series
    if len(series) < 2:
        raise ValueError(
            f"X has {len(series)} series, which leaves nothing to permute: pass at least 2, or use another method."
        )
    plain = snapshot(fitted)  # reads arrays without names, whatever the form of X
    vars(plain).pop("feature_names_in_", None)
    plain._columns, plain._plan = None, UNIVARIATE
    if fitted._per_step:
        y = series.members(sequences.rows_of_steps(containers.plain(y, "y"), series, "y"))
    scorer, whole = check_scoring(plain, scoring), series.equal and not fitted._masked and not fitted._per_step

    def score(table):
        X = table.reshape(len(series), -1, series.channels) if whole else series.members(table)
        value = scorer(plain, X, y)
        if not isinstance(value, (int, float, np.number)):
            raise ValueError(f"scoring={containers.brief(scoring)}: expected a single score, got {value!r}.")
        return float(value)

    rng, table = check_random_state(random_state), series.table()
    before, values = score(table), np.empty((n_repeats, *groups.shape))
    for repeat in range(n_repeats):
        for index, (rows, columns) in groups.indices():
            donors, permuted = groups.donors(rng.permutation(len(series))), table.copy()
            permuted[rows, columns] = table[donors[rows], columns]
            values[(repeat, *index)] = before - score(permuted)
    return values


def gradient(quantity, groups):
    """Absolute gradients times the spread of the channels, summed over groups, [n, B, C]."""
    model, series = quantity.model, quantity.series
    gradients = quantity.gradients(model.prepare(series), np.arange(len(series)))[:, : series.channels]
    spread = channel_statistic(np.nanstd, series)
    if model.scaling is not None:
        spread = spread / model.scaling.scale
    return groups.sums(np.abs(gradients) * spread)


def integrated_gradients(quantity, groups, baseline):
    """Integrated gradients summed over groups, [n, B, C], and the largest number of points of a series."""
    model, series = quantity.model, quantity.series
    table = np.broadcast_to(baseline, (series.steps, series.channels)).astype(series.values.dtype)
    lines = path_integral.Lines(model.prepare(series.with_table(table)), model.prepare(series), model.dtype)
    attributions, n_points = path_integral.integrated_gradients(quantity, lines)
    if model.masked:  # behind the channels are the indicators of missing values
        attributions = attributions[:, : series.channels] + attributions[:, series.channels :]
    return groups.sums(attributions), n_points


def occlusion(quantity, groups, baseline):
    """Changes of the loss or the output when a group is replaced by the baseline, [n, B, C]."""
    model, series, table = quantity.model, quantity.series, quantity.series.table()
    rows_of_all, values = np.arange(len(series)), np.empty((len(series), *groups.shape))
    before = quantity.values(model.prepare(series), rows_of_all)
    for (block, channel), (rows, columns) in groups.indices():
        occluded = table.copy()
        occluded[rows, columns] = baseline[columns]
        after = quantity.values(model.prepare(series.with_table(occluded)), rows_of_all)
        values[:, block, channel] = after - before if quantity.name == "loss" else before - after
    return values
