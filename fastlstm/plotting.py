"""Axes to draw on. matplotlib is imported only here, and only when a picture is drawn."""


def axes_for(display, ax=None, **options):
    """The axes `ax`, or new ones; `display` names what requires matplotlib, and options are those of a new figure."""
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(f"{display} requires matplotlib: pip install fastlstm[plot].") from error
    return pyplot.subplots(layout="constrained", **options)[1]
