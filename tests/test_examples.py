"""The demo's results."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import characters
import handwriting

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


def test_characters_learn_the_alphabet_and_write_it():
    import string

    text = string.ascii_lowercase * 6
    model, alphabet = characters.train(text, max_iter=150)
    symbols = np.array(list(string.ascii_lowercase))
    following = model.predict(characters.one_hot(symbols[:-1], alphabet)[None])[0]
    assert_array_equal(following, symbols[1:])  # a -> b, b -> c
    assert characters.write(model, alphabet, "a", 25, temperature=0.1) == string.ascii_lowercase


def test_characters_learn_the_text_that_comes_with_them():
    text = characters.TEXT.read_text().replace("\n", " ")
    model, alphabet = characters.train(text, max_iter=20)
    symbols, following = characters.windows(text)
    assert model.score(characters.one_hot(symbols, alphabet), following) > 0.6  # the commonest symbol alone: 0.21
    cold, warm = (characters.write(model, alphabet, "The ", 40, temperature) for temperature in (0.01, 2.0))
    assert cold != warm
    assert set(cold + warm) <= set(text)
