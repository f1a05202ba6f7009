"""A character model: it learns which symbol follows each, and writes on from a few of them.

Run: python examples/characters.py [TEXT FILE]
The text is read in windows; every step of a window has a target, the next symbol. Writing draws one symbol after the
other from the predicted probabilities: a low temperature takes the likeliest, a high one dares more.
"""

import sys
import time
from pathlib import Path

import numpy as np

from fastlstm import LSTMClassifier

TEXT = Path(__file__).parent / "harbour.txt"  # written for this example
WINDOW, STRIDE = 60, 7  # steps of a series, and steps from one to the next


def one_hot(symbols, alphabet):
    """Symbols [...] as channels [..., len(alphabet)]."""
    return (np.asarray(symbols)[..., None] == alphabet).astype("float32")


def windows(text):
    """Series of symbols, and for each of their steps the symbol that follows."""
    symbols = np.array(list(text))
    all_windows = np.lib.stride_tricks.sliding_window_view(symbols, WINDOW + 1)[::STRIDE]
    return all_windows[:, :-1], all_windows[:, 1:]


def train(text, max_iter=50):
    """The fitted model and its alphabet."""
    alphabet = np.unique(list(text))
    symbols, following = windows(text)
    model = LSTMClassifier(
        hidden_size=96, return_sequences=True, learning_rate_init=0.01, learning_rate="cosine", max_iter=max_iter,
        batch_size=20, random_state=0,
    )  # fmt: skip
    return model.fit(one_hot(symbols, alphabet), following), alphabet


def write(model, alphabet, start, length, temperature, random_state=0):
    """`start`, and `length` symbols more."""
    rng, text = np.random.default_rng(random_state), list(start)
    for _ in range(length):
        scores = model.predict_log_proba(one_hot(text[-WINDOW:], alphabet)[None])[0, -1] / temperature
        chances = np.exp(scores - scores.max(), dtype=float)
        text.append(rng.choice(model.classes_, p=chances / chances.sum()))
    return "".join(text)


def main():
    text = Path(sys.argv[1] if len(sys.argv) > 1 else TEXT).read_text().replace("\n", " ")
    start = time.perf_counter()
    model, alphabet = train(text)
    symbols, following = windows(text)
    accuracy = model.score(one_hot(symbols, alphabet), following)
    print(f"{len(text)} symbols, {len(alphabet)} different; trained {time.perf_counter() - start:.1f} s")
    print(f"the next symbol is predicted right at {accuracy:.0%} of all steps\n")
    for temperature in (0.2, 0.6, 1.2):
        print(f"temperature {temperature}: {write(model, alphabet, 'The harbour ', 100, temperature)}\n")


if __name__ == "__main__":
    main()
