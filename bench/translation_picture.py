"""Draws the attention that `translation.py` has recorded, as attention.png here.

The Hangul is in NanumGothic (SIL Open Font License), which comes with the package koreanize-matplotlib.
"""

import json
from pathlib import Path

import matplotlib
from data_sets import package_folder
from matplotlib import font_manager
from translation import RESULTS

from fastlstm.inspection import AttentionDisplay

PICTURE = Path(__file__).parent / "attention.png"


def use_hangul():
    """Draw with a font that has Hangul. Its package is not imported, as that changes other settings too."""
    folder = package_folder("koreanize_matplotlib")
    if folder is None:
        raise SystemExit("the font with Hangul is missing: pip install koreanize-matplotlib")
    font_manager.fontManager.addfont(folder / "fonts" / "NanumGothic.ttf")
    matplotlib.rcParams["font.family"] = ["NanumGothic", "DejaVu Sans"]


def draw(attention):
    display = AttentionDisplay(attention["weights"], attention["source"], attention["translation"]).plot()
    display.figure_.savefig(PICTURE, dpi=120, bbox_inches="tight")
    return PICTURE


def main():
    matplotlib.use("Agg")
    use_hangul()
    print(draw(json.loads(RESULTS.read_text())["rows"]["sentences, LSTM with attention"]["map"]))


if __name__ == "__main__":
    main()
