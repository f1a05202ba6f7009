"""The panels of gate displays; each function returns the axes that it has drawn on, by their titles."""

import numpy as np

from fastlstm.inspection.memory import SHUT

SIGNED = ("cell", "candidate", "cell_state", "hidden_state")
COMPARED = "before", "after"


def draw_inputs(panels, shown):
    """Draw the input, if known, above each of the estimators `shown`."""
    drawn = {}
    for column, seen in enumerate(shown):
        if seen.x is not None:
            axes = panels.lines(0, seen.x, seen.channels, "" if column else "input", column)
            drawn[_key("input", shown, column)] = axes
            if len(shown) > 1:
                axes.set_title(COMPARED[column])
    return drawn


def draw_predictions(panels, shown):
    """Draw the predictions, if any, below each of the estimators `shown`, on one scale."""
    known = [seen.predictions for seen in shown if seen.predictions is not None]
    drawn = {}
    for column, seen in enumerate(shown):
        if seen.predictions is not None:
            options = {"is_probability": seen.is_probability, "scale_of": np.concatenate(known)}
            axes = panels.lines(-1, seen.predictions, seen.labels, "" if column else seen.what, column, **options)
            drawn[_key("prediction", shown, column)] = axes
    return drawn


def draw_gates(panels, first, seen, names, order):
    """Draw a heat map of each gate or state, from the row `first`, with the units in order."""
    drawn = {_title(name): _map(panels, row, seen, name, order) for row, name in enumerate(names, first)}
    _note_order(drawn[_title(names[0])], order, "when they are active")
    return drawn


def draw_comparison(panels, first, shown, names, order):
    """Draw heat maps of each gate or state before and after on one scale, and of the change."""
    drawn = {}
    for row, name in enumerate(names, first):
        before, after = (seen.activations[name].T[order] for seen in shown)
        title, options = _title(name), {"signed": name in SIGNED, "labels": order}
        options["scale_of"] = np.concatenate([before, after])
        drawn[title, "before"] = panels.map(row, before, title, **options)
        drawn[title, "after"] = panels.map(row, after, "", column=1, bar=True, **options)
        drawn[title, "change"] = panels.map(row, after - before, "", True, order, column=2, bar=True)
    drawn[_title(names[0]), "change"].set_title("change")
    _note_order(drawn[_title(names[0]), "before"], order, "when they are active")
    return drawn


def draw_memory(panels, first, seen, gates, order, half_life):
    """Draw the `MemoryGates`, with the half-lives beside the gate that keeps the state, and the state."""
    drawn = {}
    for row, (title, gate, inverted, shut) in enumerate(gates, first):
        values = seen.activations[gate].T[order]
        values, label = 1 - values if inverted else values, title.replace(": ", ":\n")
        drawn[title] = axes = panels.map(row, values, label, False, order, bar=True, shut=SHUT if shut else None)
        if shut:
            axes.set_title(f"hatched: {shut} (gate below {SHUT})", fontsize="small", loc="right")
        if title == gates.keeps.title:
            _note_order(axes, order, "half-life")
            drawn["half_life"] = panels.bars(row, half_life[order], "half-life in steps")
    state = _state(seen.activations)
    drawn[_title(state)] = _map(panels, first + len(gates), seen, state, order)
    return drawn


def by_activity(seen):
    """Units sorted by the mean time of the activity of their state."""
    states = np.abs(seen.activations[_state(seen.activations)])
    active = states - states.min(axis=0) + 1e-12
    return np.argsort(np.arange(len(states)) @ active / active.sum(axis=0), kind="stable")


def _state(activations):
    """Name of the state that carries the memory."""
    return "cell_state" if "cell_state" in activations else "hidden_state"


def _key(title, shown, column):
    return title if len(shown) == 1 else (title, COMPARED[column])


def _map(panels, row, seen, name, order):
    return panels.map(row, seen.activations[name].T[order], _title(name), name in SIGNED, order, bar=True)


def _note_order(axes, order, by):
    if len(order) > 1:
        axes.set_title(f"units sorted by {by}", fontsize="small", loc="left")


def _title(name):
    """Title of the panel of a gate or state."""
    if name == "candidate":
        return "candidate"
    if name == "cell":
        return "cell candidate"
    return name.replace("_", " ") if name.endswith("state") else f"{name} gate"
