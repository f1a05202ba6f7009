"""A grid of panels with a common time axis: lines, heat maps and bars."""

import numpy as np

from fastlstm.plotting import MOST_COLOURS, colours_on, integer_ticks, marker_of, pyplot_for, shortened, without_spines

MOST_TICKS = 9  # of the rows of a heat map
SHORTEST = 0.1  # left end of the axis of half-lives, in steps
LEGEND_KEY, LEGEND_LETTER = 0.5, 0.055  # generous widths in inches of a legend's line with its gaps, and of a letter
MOST_NUMBERS = 8  # of bars that have their number printed; of more, rows are lower than the text


class Panels:
    """A grid of panels: rows above each other with a common time axis, a narrow column for colour bars."""

    def __init__(self, display, ax, rows, columns, with_bars):
        pyplot = pyplot_for(display, ax)
        if ax is None:
            size = 8.5 + 3.5 * (columns - 1), 1.0 + 1.35 * rows
            self.figure = pyplot.figure(figsize=size, layout="constrained")
            self.ax = self.figure.add_subplot()
        else:
            self.figure, self.ax = ax.figure, ax
        place = self.ax.get_subplotspec()
        if place is None:
            raise ValueError("ax has no place in a grid; pass axes made by plt.subplots or add_subplot.")
        self.ax.set_axis_off()
        widths = [16, 60, 1] if with_bars else [60, 1] if columns == 1 else [30, 30, 1, 30, 1]
        self._first, self._rows = int(with_bars), rows
        self._grid = place.subgridspec(rows, len(widths), width_ratios=widths)
        self._columns, self._of_time = ([self._first] if columns == 1 else [0, 1, 3]), []

    def _add(self, row, column):
        axes = self.figure.add_subplot(
            self._grid[row % self._rows, self._columns[column]], sharex=self._of_time[0] if self._of_time else None
        )
        self._of_time.append(axes)
        return axes

    def lines(self, row, values, labels, title, column=0, is_probability=False, scale_of=None):
        """Lines of values [T, K] over time, or a heat map of many; the axis covers the values `scale_of`, too."""
        scale_of = values if scale_of is None else scale_of
        if values.shape[1] > MOST_COLOURS:
            bar = column == len(self._columns) // 2  # of two columns beside each other, behind the second
            return self.map(row, values.T, title, not is_probability, labels, column, bar, scale_of=scale_of)
        axes = self._add(row, column)
        for line, label, colour in zip(values.T, labels, colours_on(axes), strict=False):
            options = {"color": colour, "linewidth": 1.3, "label": label, "marker": marker_of(line)}
            axes.plot(line, drawstyle="steps-mid", **options)
        if is_probability:
            axes.set_ylim(-0.05, 1.05)
        elif scale_of is not values:
            axes.update_datalim([(0, np.nanmin(scale_of)), (0, np.nanmax(scale_of))])
            axes.autoscale_view()
        axes.set_ylabel(title)
        without_spines(axes)
        if values.shape[1] > 1:
            self._add_legend(axes, row, column)
        return axes

    def _add_legend(self, axes, row, column):
        """Legend above the lines; of two panels beside each other, one in the free place behind them."""
        handles, labels = axes.get_legend_handles_labels()
        labels, style = [shortened(label) for label in labels], {"frameon": False, "fontsize": "x-small"}
        if len(self._columns) == 1:
            place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderpad": 0, "borderaxespad": 0.2}
            width = axes.get_subplotspec().get_position(self.figure).width * self.figure.bbox.width / self.figure.dpi
            columns = int(width / (LEGEND_KEY + LEGEND_LETTER * max(map(len, labels), default=1)))
            axes.legend(handles, labels, ncols=min(max(columns, 1), len(handles) or 1), **place, **style)
        elif column == 1:
            free = self.figure.add_subplot(self._grid[row % self._rows, self._columns[-1]])
            free.set_axis_off()
            free.legend(handles, labels, loc="center left", **style).set_in_layout(False)

    def map(self, row, values, title, signed, labels, column=0, bar=False, shut=None, scale_of=None):
        """A heat map of values [units, T], with a label for each unit; those below `shut` are hatched.

        The scale is that of the values `scale_of`, by default of those drawn.
        """
        axes = self._add(row, column)
        units, T = values.shape
        scale_of, extend = values if scale_of is None else scale_of, "neither"
        if signed:
            largest = _largest_of(scale_of)
            beyond = np.nanmin(scale_of) < -largest, np.nanmax(scale_of) > largest
            extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(beyond, "neither")
            options = {"cmap": "PuOr_r", "vmin": -largest, "vmax": largest}
        else:
            options = {"cmap": "viridis", "vmin": 0, "vmax": 1}
        if shut is not None:
            values = np.ma.masked_less(values, shut)
            axes.patch.set(hatch="/////", edgecolor="0.55", linewidth=0)
        image = axes.imshow(
            values, aspect="auto", interpolation="nearest", extent=(-0.5, T - 0.5, units - 0.5, -0.5), **options
        )
        axes.set_ylabel(title)
        integer_ticks(axes.yaxis, MOST_TICKS)
        axes.yaxis.set_major_formatter(lambda at, _: shortened(labels[round(at)]) if 0 <= at < units else "")
        axes.tick_params(axis="y", labelsize="x-small")
        if bar:
            of_bar = self.figure.add_subplot(self._grid[row % self._rows, self._columns[column] + 1])
            colour_bar = self.figure.colorbar(image, cax=of_bar, extend=extend)
            colour_bar.ax.tick_params(labelsize="x-small")
            colour_bar.outline.set_linewidth(0.4)
        return axes

    def bars(self, row, values, title):
        """Horizontal bars beside the heat map of a row, one per unit; those too long for the axis end in arrows."""
        axes, rows = self.figure.add_subplot(self._grid[row, 0]), np.arange(len(values))
        longest, colour = max(10.0, 10 * self._of_time[0].get_xlim()[1]), colours_on(self._of_time[0])[0]
        axes.set_xscale("log")
        axes.barh(rows, np.clip(values, SHORTEST, longest) - SHORTEST, left=SHORTEST, height=0.85, color=colour)
        for unit in rows[values > longest]:
            axes.plot(longest, unit, ">", color=colour, clip_on=False, markersize=5)
        if len(values) <= MOST_NUMBERS:
            _print_numbers(axes, values, (SHORTEST * longest) ** 0.5)
        axes.set(xlim=(SHORTEST, longest), ylim=(len(values) - 0.5, -0.5), yticks=[])
        axes.tick_params(labelsize="x-small")
        axes.set_title(title, fontsize="small")
        without_spines(axes)
        return axes

    def finish(self):
        """Label the time axis of the lowest panel of each column only."""
        lowest = {}
        for axes in self._of_time:
            place = axes.get_subplotspec()
            lowest[place.colspan.start] = max(lowest.get(place.colspan.start, 0), place.rowspan.stop)
        for axes in self._of_time:
            place = axes.get_subplotspec()
            is_lowest = place.rowspan.stop == lowest[place.colspan.start]
            axes.tick_params(labelbottom=is_lowest)
            axes.set_xlabel("step" if is_lowest else "")
        integer_ticks(self._of_time[0].xaxis)  # which all share
        first = [axes for axes in self._of_time if axes.get_subplotspec().colspan.start == self._first]
        self.figure.align_ylabels(first)


def _print_numbers(axes, values, middle):
    """Print the number of each bar inside it, or beside it if it ends before the middle of the axis."""
    for row, value in enumerate(values):
        text = "∞" if np.isinf(value) else f"{value:.0f}" if 10 <= value < 10_000 else f"{value:.2g}"
        place = {"xytext": (3, 0), "textcoords": "offset points", "va": "center", "fontsize": "x-small"}
        if value < middle:
            axes.annotate(text, (max(value, SHORTEST), row), **place)
        else:
            axes.annotate(text, (SHORTEST, row), color=axes.get_facecolor(), **place)


def _largest_of(values):
    """Limit of the colours for signed values: their 98th percentile, lest a single unit determine it."""
    sizes = np.abs(values[~np.isnan(values)])
    return float(np.percentile(sizes, 98) or sizes.max() or 1.0) if sizes.size else 1.0
