"""What the displays share: axes, and colours that colour-blind people can tell apart.

matplotlib is imported only here, and only when a picture is drawn.
"""

from typing import Any

#: Okabe & Ito (2008), "Color Universal Design", without black and yellow, which one of the two backgrounds hides.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")
#: Number of colours.
MOST_COLOURS = len(_COLOURS)


def colours_on(ax: Any) -> tuple[str, ...]:
    """Colours for lines on these axes; on a dark background, the light blue comes before the dark one."""
    from matplotlib.colors import to_rgb

    if sum(to_rgb(ax.get_facecolor())) < 1.5:
        return "#56B4E9", *_COLOURS[1:4], "#0072B2", _COLOURS[5]
    return _COLOURS


def pyplot_for(display: str) -> Any:
    """matplotlib's pyplot; raises ImportError with advice if matplotlib is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(f"{display} requires matplotlib: pip install fastlstm[plot].") from error
    return pyplot


def axes_for(display: str, ax: Any = None, **options: Any) -> Any:
    """The axes `ax`, or new ones; `display` names what requires matplotlib, and options are those of a new figure."""
    return pyplot_for(display).subplots(layout="constrained", **options)[1] if ax is None else ax


def without_spines(ax: Any, *sides: str) -> None:
    """Hide the spines of some sides, by default the top and the right."""
    ax.spines[list(sides or ("top", "right"))].set_visible(False)
