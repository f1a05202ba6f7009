"""The demo's results."""

import sys
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import handwriting

forecasting = pytest.importorskip("forecasting", reason="statsmodels is not installed", exc_type=ImportError)


def test_handwriting_is_read_better_than_by_an_mlp():
    scores = handwriting.run()["scores"]
    assert scores["LSTM"] >= 0.96
    assert scores["LSTM"] > max(score for name, score in scores.items() if name != "LSTM")


def test_sunspots_are_forecast_better_than_naively_and_the_same_each_time():
    result = forecasting.run()
    naive = [error for name, error in result["scores"].items() if "persistence" in name or "naive" in name]
    assert len(naive) == 2
    assert result["scores"]["LSTM"] < 0.7 * min(naive)
    assert_array_equal(forecasting.run()["forecasts"]["LSTM"], result["forecasts"]["LSTM"])
