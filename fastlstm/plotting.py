"""What the displays share: axes, and colours that colour-blind people can tell apart.

matplotlib is imported only here, and only when a picture is drawn.
"""

from typing import Any

#: Okabe & Ito (2008), "Color Universal Design", without black and yellow, which one of the two backgrounds hides.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")
#: Number of colours.
MOST_COLOURS = len(_COLOURS)
LONGEST_NAME = 24  # characters of a name in a legend, or beside a row or column


def colours_on(ax: Any) -> tuple[str, ...]:
    """Colours for lines on these axes; on a dark background, the light blue comes before the dark one."""
    from matplotlib.colors import to_rgb

    if sum(to_rgb(ax.get_facecolor())) < 1.5:
        return "#56B4E9", *_COLOURS[1:4], "#0072B2", _COLOURS[5]
    return _COLOURS


def pyplot_for(display: str, ax: Any = None) -> Any:
    """matplotlib's pyplot, for a display to be drawn on `ax`.

    Raises ImportError with advice if matplotlib is not installed, and TypeError if `ax` is neither None nor an Axes.
    """
    try:
        from matplotlib import axes, pyplot
    except ImportError as error:
        raise ImportError(f"{display} requires matplotlib: pip install matplotlib.") from error
    if ax is not None and not isinstance(ax, axes.Axes):
        raise TypeError(
            f"ax is of type {type(ax).__name__}; expected a matplotlib Axes, such as plt.subplots()[1], or None."
        )
    return pyplot


def axes_for(display: str, ax: Any = None, **options: Any) -> Any:
    """The axes `ax`, or new ones; `display` names what requires matplotlib, and options are those of a new figure."""
    pyplot = pyplot_for(display, ax)
    return pyplot.subplots(layout="constrained", **options)[1] if ax is None else ax


def without_spines(ax: Any, *sides: str) -> None:
    """Hide the spines of some sides, by default the top and the right."""
    ax.spines[list(sides or ("top", "right"))].set_visible(False)


def integer_ticks(axis: Any, most: int | str = "auto") -> None:
    """Set the ticks of an axis to integers, `most` at most."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=1))


def marker_of(values: Any) -> str | None:
    """Marker of a line through `values`: a point if there is only one, since a line through it would be invisible."""
    return "." if len(values) == 1 else None


def shortened(name: Any) -> str:
    """A name, whose end is left out if it is long."""
    name = str(name)
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
