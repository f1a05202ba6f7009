"""Scaling of windows: the centre and the spread that are removed from a window before the network sees it."""

import numpy as np

#: Smallest spread of a window, relative to the standard deviation of its series. A flat window would otherwise magnify
#: noise.
FLOOR = 0.1


def _by_series(values):
    return np.zeros((len(values), 1)), np.ones((len(values), 1))


def _by_mean(values):
    return values.mean(axis=1, keepdims=True), np.maximum(values.std(axis=1, keepdims=True), FLOOR)


def _by_last(values):
    return values[:, -1:], np.maximum(values.std(axis=1, keepdims=True), FLOOR)


#: Functions from windows [n, T] of values standardised by series to their centre and spread, [n, 1] each.
SCALINGS = {"series": _by_series, "window": _by_mean, "last": _by_last, "none": _by_series}
