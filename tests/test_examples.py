"""The demo's results."""

import os
import sys
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import characters
import handwriting
import microcontroller

forecasting = pytest.importorskip("forecasting", reason="statsmodels is not installed", exc_type=ImportError)


@pytest.mark.slow
def test_handwriting_is_read_better_than_by_an_mlp():
    scores = handwriting.run()["scores"]
    assert scores["LSTM"] >= 0.96
    assert scores["LSTM"] > max(score for name, score in scores.items() if name != "LSTM")


def test_blood_cells_are_forecast_with_half_the_error_of_a_linear_model():
    scores = forecasting.run(forecasting.of_blood_cells())["scores"]
    assert scores["LSTM"] < 0.5 * min(error for name, error in scores.items() if name != "LSTM")


def test_sunspots_are_forecast_better_than_naively_and_the_same_each_time():
    result = forecasting.run(forecasting.of_sunspots())
    naive = [error for name, error in result["scores"].items() if "persistence" in name or "naive" in name]
    assert len(naive) == 2
    assert result["scores"]["LSTM"] < 0.7 * min(naive)
    assert_array_equal(forecasting.run(result["task"])["forecasts"]["LSTM"], result["forecasts"]["LSTM"])


def test_characters_learn_the_text_that_comes_with_them():
    text = characters.TEXT.read_text().replace("\n", " ")
    model = characters.train(text, max_iter=60)
    assert model.bits_per_symbol([text]) < 2.5  # the frequencies of the characters alone: 4.1
    cold, warm = (model.sample(prompt="The ", temperature=of, random_state=0)[0] for of in (0.01, 2.0))
    assert cold != warm
    assert set(cold + warm) <= set(text)


@pytest.mark.skipif(microcontroller.CC is None or os.name == "nt", reason="no C compiler that takes GCC's options")
def test_compiled_networks_forecast_like_the_stream():
    results = microcontroller.run()
    assert results["float"]["largest difference"] < 1e-4  # of values around 20
    assert results["int8"]["largest difference"] < 0.1
    assert results["int8"]["bytes of constants"] < 0.33 * results["float"]["bytes of constants"]
    assert results["int8"]["RMSE"] < 1.02 * results["RMSE"]["LSTM"] < 0.5 * results["RMSE"]["persistence"]
