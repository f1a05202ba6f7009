"""Draws the attention that `translation.py` has recorded, as attention.png here.

The Hangul is drawn in NanumGothic (SIL Open Font License), from the installed package koreanize-matplotlib.
"""

import json
from pathlib import Path

import matplotlib
from data_sets import package_folder
from translation import RESULTS

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.font_manager import FontProperties

PICTURE = Path(__file__).parent / "attention.png"


def font():
    """A font with Hangul. The package is not imported: it changes matplotlib's settings."""
    folder = package_folder("koreanize_matplotlib")
    if folder is None:
        raise SystemExit("koreanize-matplotlib is not installed, with which a font with Hangul comes")
    return FontProperties(fname=folder / "fonts" / "NanumGothic.ttf", size=11)


def draw(attention):
    """Weights [T + 1, S] as shades: a row for each translated word and the end, a column for each word read."""
    labels = [*attention["translation"], "(end)"]
    figure, axes = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
    picture = axes.imshow(attention["weights"], vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(attention["source"])), attention["source"], fontproperties=font(), rotation=30, ha="left")
    axes.set_yticks(range(len(labels)), labels, fontproperties=font())
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    for t, weights in enumerate(attention["weights"]):
        for s, weight in enumerate(weights):
            if weight >= 0.05:
                axes.text(s, t, f"{weight:.2f}", ha="center", va="center", color="white" if weight > 0.5 else "black")
    figure.colorbar(picture, label="attention")
    figure.savefig(PICTURE, dpi=120)
    return PICTURE


def main():
    rows = json.loads(RESULTS.read_text())["rows"]
    print(draw(rows["sentences, LSTM with attention"]["map"]))


if __name__ == "__main__":
    main()
