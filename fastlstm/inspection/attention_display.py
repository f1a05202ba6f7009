"""Pictures of the attention that a translator pays to each symbol of its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastlstm import containers, symbols
from fastlstm.layers.checks import shape_of
from fastlstm.plotting import axes_for, pyplot_for, shortened

if TYPE_CHECKING:
    from typing import Any, Self

    from numpy.typing import ArrayLike

END = "<end>"  # label of the row of the end
SPACE = "␣"
TOLERANCE = 1e-4  # of weights that are rounded to few digits
LONGEST_UPRIGHT = 2  # characters of labels above the columns that are not rotated
#: Sizes in inches: of a cell, of a letter of a label, and of what else surrounds the cells.
CELL, LETTER, MARGIN_X, MARGIN_Y = 0.3, 0.09, 1.6, 0.6
SMALLEST, LARGEST = (3.2, 2.4), (16.0, 16.0)  # width and height of a figure in inches
FILL = 0.75  # largest size of a font as a fraction of the room for a letter


class AttentionDisplay:
    """Heat map of attention weights: how much each symbol of the source contributes to each symbol of its translation.

    Each column is a symbol of the source, and each row a symbol of the translation or, last, its end, as in figure 3 of
    [1]_. Requires matplotlib.

    Parameters
    ----------
    weights : array of shape (T + 1, S)
        Attention weights from 0 to 1, for example an array of those that ``attention_weights`` of a translator returns.
    source : sequence of S symbols
        String, which is read character by character, or list or array of str or int.
    target : sequence of T symbols
        The translation, in the same form; it may be empty.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError, TypeError
        If `weights` are not an array of numbers from 0 to 1, `source` or `target` is not a sequence of symbols, or
        their lengths differ from the shape of `weights`.

    Notes
    -----
    The default font of matplotlib has no Hangul, kana or Chinese characters: it draws boxes, with a warning. Choose a
    font that is installed and has them, and the default one for all others, before you draw:
    ``plt.rcParams["font.family"] = ["NanumGothic", "DejaVu Sans"]``. ``matplotlib.font_manager.get_font_names()`` lists
    the installed fonts; Korean ones are also "Malgun Gothic" on Windows, "AppleGothic" on macOS and "Noto Sans CJK KR"
    on Linux.

    References
    ----------
    .. [1] D. Bahdanau, K. Cho and Y. Bengio, "Neural machine translation by jointly learning to align and translate",
       ICLR 2015.

    Examples
    --------
    >>> from fastlstm.inspection import AttentionDisplay
    >>> weights = [[0.9, 0.1, 0.0], [0.1, 0.2, 0.7], [0.0, 0.3, 0.7]]
    >>> display = AttentionDisplay(weights, ["das", "ist", "gut"], ["that's", "good"]).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ["that's", 'good', '<end>']
    """

    def __init__(self, weights: ArrayLike, source: Any, target: Any) -> None:
        (self.source,), _ = symbols.to_lists([source], "source")
        (self.target,), _ = symbols.to_lists([target], "target", allow_empty=True)
        self.weights = _check_weights(weights, len(self.target), len(self.source))

    @classmethod
    def from_estimator(cls, translator: Any, x: Any, y: Any = None, *, ax: Any = None) -> Self:
        """Translate a sequence, and draw the attention to its symbols.

        Parameters
        ----------
        translator : LSTMTranslator
            Fitted translator, which has the methods ``predict`` and ``attention_weights``.
        x : sequence of symbols
            A single source sequence.
        y : sequence of symbols or None, default=None
            Its translation. If None, the one that the translator predicts.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new ones.

        Returns
        -------
        AttentionDisplay

        Raises
        ------
        ValueError
            If `x` or `y` is invalid.
        TypeError
            If `translator` has no attention weights, or `ax` is not an Axes.
        sklearn.exceptions.NotFittedError
            If the translator is not fitted.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from fastlstm.inspection import AttentionDisplay
        >>> from fastlstm.language import LSTMTranslator
        >>> translator = LSTMTranslator(8, max_iter=2).fit(["abc", "ba"], ["cba", "ab"])
        >>> display = AttentionDisplay.from_estimator(translator, "abc", "cba")
        >>> [label.get_text() for label in display.ax_.get_xticklabels()]
        ['a', 'b', 'c']
        """
        pyplot_for(cls.__name__, ax)  # fails before any work
        if not hasattr(type(translator), "attention_weights"):
            raise TypeError(f"translator is of type {type(translator).__name__}; expected a fitted LSTMTranslator.")
        weights = translator.attention_weights([x], None if y is None else [y])[0]
        target = translator.predict([x])[0] if y is None else y
        return cls(weights, x, target).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new ones, whose size is that of the weights.

        Returns
        -------
        self : AttentionDisplay

        Raises
        ------
        TypeError
            If `ax` is not an Axes.
        ImportError
            If matplotlib is not installed.
        """
        columns, rows = [*map(_label, self.source)], [*map(_label, self.target), END]
        longest = max(map(len, columns))
        rotated = longest > LONGEST_UPRIGHT
        high, wide = (longest, 1) if rotated else (1, longest)  # the labels above the columns, in letters
        size = _figure_size(len(columns), len(rows), high, max(map(len, rows)))
        ax = axes_for(type(self).__name__, ax, figsize=size)
        image = ax.imshow(self.weights, aspect="auto", interpolation="nearest", cmap="viridis", vmin=0, vmax=1)
        ax.figure.colorbar(image, ax=ax, label="attention weight")
        # symbols are not formulas, even if they have dollar signs
        style = {"parse_math": False, "fontsize": _font_size(ax, ax.bbox.width / (wide * len(columns)))}
        ax.set_xticks(np.arange(len(columns)), columns, rotation=90 if rotated else 0, **style)
        style["fontsize"] = _font_size(ax, ax.bbox.height / len(rows))
        ax.set_yticks(np.arange(len(rows)), rows, **style)
        ax.tick_params(length=0, bottom=False, labelbottom=False, top=True, labeltop=True)
        ax.xaxis.set_label_position("top")
        ax.set(xlabel="source", ylabel="translation")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_weights(weights, T, S):
    """Attention weights as an array [T + 1, S]."""
    weights = containers.unpack(weights, "weights")
    shape = shape_of("weights", weights)
    if len(shape) != 2:
        raise ValueError(
            f"weights has shape {shape}; expected (T + 1, S), the weights of a single sequence, such as "
            "translator.attention_weights([x])[0]."
        )
    if shape != (T + 1, S):
        advice = ": pass weights.T" if shape == (S, T + 1) else ""
        raise ValueError(
            f"weights has shape {shape}; expected {(T + 1, S)}, one row for each of the {T} symbols of target and one "
            f"for its end, and one column for each of the {S} symbols of source{advice}."
        )
    weights = containers.numbers_of(np.asarray(weights), "weights")
    if weights.dtype.kind not in containers.NUMBERS:
        raise TypeError(f"weights are of type {weights.dtype}; expected numbers from 0 to 1.")
    wrong = ~((weights >= -TOLERANCE) & (weights <= 1 + TOLERANCE))  # of NaN, too
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(f"weights[{row}, {column}] is {weights[row, column]:g}; expected numbers from 0 to 1.")
    return weights


def _label(symbol):
    """The label of a symbol, in which white space and control characters are visible."""
    symbol = str(symbol)
    return shortened(SPACE if symbol == " " else symbol if symbol.isprintable() else repr(symbol)[1:-1])


def _figure_size(n_columns, n_rows, letters_above, letters_beside):
    """Width and height of a figure in inches."""
    width = MARGIN_X + LETTER * letters_beside + CELL * n_columns
    height = MARGIN_Y + LETTER * letters_above + CELL * n_rows
    return np.clip((width, height), SMALLEST, LARGEST)


def _font_size(ax, room):
    """Size of a label in points: that of ticks, or less if there is less room for a letter, in pixels."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    usual = FontProperties(size=rcParams["xtick.labelsize"]).get_size_in_points()
    return min(usual, FILL * room * 72 / ax.figure.dpi)
