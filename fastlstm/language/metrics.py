"""How far predicted sequences of symbols are from the true ones."""

from __future__ import annotations

from operator import eq
from typing import TYPE_CHECKING

import numpy as np

from fastlstm import symbols
from fastlstm.containers import brief
from fastlstm.estimators.inputs import check_weights
from fastlstm.layers.checks import named
from fastlstm.symbols.schema import MEANINGS

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike


def edit_distance(
    y_true: Any, y_pred: Any, *, normalize: bool = False, sample_weight: ArrayLike | None = None
) -> float:
    """Mean Levenshtein distance between pairs of sequences.

    The distance between two sequences is the least number of symbols to insert, delete or replace that turns one into
    the other [1]_, [2]_.

    Parameters
    ----------
    y_true : list of n sequences, or another form of sequences of symbols
        Strings, which are compared character by character, or lists or arrays of str or int, whose members are compared
        as a whole. Strings are normalised to Unicode's form NFC first. Sequences may be empty.
    y_pred : like y_true
        n predicted sequences.
    normalize : bool, default=False
        Whether to divide the sum of the distances by the number of symbols of y_true, instead of by n. The result is
        the error rate per symbol, known as character, word or phoneme error rate; it exceeds 1 if y_pred has many
        symbols too many.
    sample_weight : array of shape (n,) or None, default=None
        Weights of the pairs. If None, all are 1.

    Returns
    -------
    float
        The distance; less is better.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, y_true and y_pred differ in the number of sequences or the kind of symbols, or
        ``normalize=True`` and y_true has no symbols, but y_pred does.

    See Also
    --------
    token_accuracy : Fraction of the positions with the same symbol.

    Notes
    -----
    The time is proportional to the product of the two lengths, with a small factor: the table of Wagner and Fischer is
    computed a column at a time, as the bits of an integer [3]_, [4]_.

    References
    ----------
    .. [1] V. I. Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", Soviet Physics
       Doklady 10(8), 1966.
    .. [2] R. A. Wagner and M. J. Fischer, "The string-to-string correction problem", Journal of the ACM 21(1), 1974.
    .. [3] G. Myers, "A fast bit-vector algorithm for approximate string matching based on dynamic programming", Journal
       of the ACM 46(3), 1999.
    .. [4] H. Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", Nordic Journal of
       Computing 10(1), 2003.

    Examples
    --------
    >>> from fastlstm.language import edit_distance
    >>> edit_distance(["kitten", "sunday"], ["sitting", "sunday"])
    1.5
    >>> edit_distance(["kitten", "sunday"], ["sitting", "sunday"], normalize=True)
    0.25
    >>> edit_distance([["sh", "i", "p"]], [["s", "i", "p"]])
    1.0

    To choose parameters by the error rate:

    >>> from sklearn.metrics import make_scorer
    >>> scorer = make_scorer(edit_distance, normalize=True, greater_is_better=False)
    """
    if not isinstance(normalize, (bool, np.bool_)):
        raise ValueError(f"normalize={brief(normalize)}: expected True or False.")
    pairs, weights = _read_pairs(y_true, y_pred, sample_weight)
    distance = weights @ [_levenshtein(true, predicted) for true, predicted in pairs]
    divisor = weights @ [len(true) for true, _ in pairs] if normalize else weights.sum()
    if distance and not divisor:
        raise ValueError(
            "normalize=True, but y_true has no symbols to divide the distance by: pass at least one sequence of "
            "positive weight that is not empty, or set normalize=False."
        )
    return float(distance / divisor) if divisor else 0.0


def token_accuracy(y_true: Any, y_pred: Any, *, sample_weight: ArrayLike | None = None) -> float:
    """Fraction of the positions at which two sequences have the same symbol.

    Of two sequences of unequal lengths, the positions of the longer one count. One symbol that is inserted or missing
    shifts all that follow, which `edit_distance` counts as one error.

    Parameters
    ----------
    y_true : list of n sequences, or another form of sequences of symbols
        Strings, which are compared character by character, or lists or arrays of str or int, whose members are compared
        as a whole. Strings are normalised to Unicode's form NFC first. Sequences may be empty.
    y_pred : like y_true
        n predicted sequences.
    sample_weight : array of shape (n,) or None, default=None
        Weights of the pairs, which all their positions have. If None, all are 1.

    Returns
    -------
    float
        The accuracy, from 0 to 1; 1 if all sequences are empty.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, or y_true and y_pred differ in the number of sequences or the kind of symbols.

    See Also
    --------
    edit_distance : Number of symbols to insert, delete or replace.

    Examples
    --------
    >>> from fastlstm.language import token_accuracy
    >>> token_accuracy(["abcd", "ab"], ["abcc", "abba"])
    0.625
    >>> token_accuracy([[1, 2, 3], [4]], [[1, 2, 3], [5]], sample_weight=[1, 5])
    0.375
    """
    pairs, weights = _read_pairs(y_true, y_pred, sample_weight)
    positions = weights @ [max(map(len, pair)) for pair in pairs]
    return float(weights @ [sum(map(eq, *pair)) for pair in pairs] / positions) if positions else 1.0


def _read_pairs(y_true, y_pred, sample_weight):
    """n pairs of lists of symbols, and their weights [n], scaled so that none exceeds 1."""
    true, of_true = symbols.to_lists(y_true, "y_true", allow_empty=True)
    predicted, of_predicted = symbols.to_lists(y_pred, "y_pred", allow_empty=True)
    if len(true) != len(predicted):
        raise ValueError(
            f"y_true has {len(true)} sequences, but y_pred has {len(predicted)}: pass one prediction for each sequence "
            "of y_true."
        )
    if None not in (of_true, of_predicted) and of_true != of_predicted:
        raise ValueError(
            f"y_true holds {MEANINGS[of_true]}, but y_pred holds {MEANINGS[of_predicted]}: pass sequences of the same "
            "kind."
        )
    with named("sample_weight"):
        weights = check_weights(sample_weight, true, 1, "sample_weight")[:, 0]
    _, exponent = np.frexp(weights.max())  # scaled lest the products with distances overflow; a power of 2 is exact
    return list(zip(true, predicted, strict=True)), np.ldexp(weights, -exponent)


def _levenshtein(a, b):
    """Levenshtein distance between two lists.

    D[i, j] is the distance between the first i symbols of a and the first j of b; bit i - 1 of an integer describes row
    i of the current column, j. Neighbours in D differ by -1, 0 or 1 (Myers, 1999), and these differences, by which
    columns are computed here, are named as by Hyyrö (2003):

    VP, VN   D[i, j] - D[i - 1, j] is 1, is -1
    HP, HN   D[i, j] - D[i, j - 1] is 1, is -1
    D0       D[i, j] = D[i - 1, j - 1]
    """
    if not a:
        return len(b)
    rows_of = {}
    for i, symbol in enumerate(a):
        rows_of[symbol] = rows_of.get(symbol, 0) | 1 << i
    every, last = (1 << len(a)) - 1, 1 << len(a) - 1
    VP, VN, distance = every, 0, len(a)  # D[i, 0] = i
    for symbol in b:
        same = rows_of.get(symbol, 0)
        D0 = ((same & VP) + VP ^ VP | same | VN) & every
        HP = VN | every & ~(D0 | VP)
        HN = D0 & VP
        distance += bool(HP & last) - bool(HN & last)
        HP, HN = HP << 1 | 1, HN << 1  # of the row above; D[0, j] = j
        VP = (HN | ~(D0 | HP)) & every
        VN = D0 & HP
    return distance
