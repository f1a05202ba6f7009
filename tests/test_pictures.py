"""Displays beside the reference pictures in pictures/, in light and dark."""

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
from make_pictures import DISPLAYS, FOLDER, STYLES, draw  # noqa: E402

#: Root mean square difference of colours, from 0 to 255, above which pictures differ.
TOLERANCE = 2.5


def difference(one, other):
    """Root mean square difference of two pictures in files, from the most similar of adjacent pixels.

    Other versions of matplotlib may place a panel one pixel further.
    """
    one, other = (255 * matplotlib.image.imread(path)[..., :3] for path in (one, other))
    assert one.shape == other.shape
    shifts = [np.roll(other, shift, axis=(0, 1)) for shift in np.ndindex(3, 3)]
    nearest = np.min([np.abs(np.roll(one, (1, 1), axis=(0, 1)) - shifted).max(axis=-1) for shifted in shifts], axis=0)
    return float(np.sqrt((nearest**2).mean()))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", DISPLAYS)
def test_displays_look_like_their_reference(name, style, tmp_path):
    """Where a change is intended: look at the new picture, then run make_pictures.py."""
    drawn = tmp_path / f"{name}_{style}.png"
    draw(name, style, drawn)
    assert difference(drawn, FOLDER / drawn.name) < TOLERANCE, f"look at {drawn}"
