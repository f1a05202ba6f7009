"""Handwritten digits, read row by row: LSTMClassifier beside MLPClassifier.

Each image of scikit-learn's digits is a series of 8 steps, its rows from top to bottom, of 8 channels, their pixels.
The first half of the images trains, the second half tests; they are of different writers.
"""

import time

import numpy as np
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from fastlstm import LSTMClassifier

# The distortions come from cross-validation within the training half, in five contiguous folds, so that there too a
# model reads writers it has not seen. The LSTM has its defaults.
COPIES = 8  # of each training image, besides itself
TURN, SLANT, SHIFT = 0.26, 0.3, 0.7  # at the most: radians (15 degrees), columns per row, pixels


def distorted(images, rng):
    """A copy of each image [n, 8, 8], turned, slanted and shifted at random, as another hand would have written it."""
    copies = np.empty_like(images)
    centre = np.array([3.5, 3.5])
    for copy, image in zip(copies, images, strict=True):
        turn, slant = rng.uniform(-TURN, TURN), rng.uniform(-SLANT, SLANT)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, 0], [slant, 1]]
        offset = centre - matrix @ centre + rng.uniform(-SHIFT, SHIFT, size=2)
        affine_transform(image, matrix, offset, output=copy, order=1)  # pixels from outside the image are 0
    return copies


def load(seed):
    """Training half, training half with distorted copies, test half: each as images and labels."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)  # (n, T, C)
    half = len(images) // 2
    X, y, X_test, y_test = images[:half], labels[:half], images[half:], labels[half:]

    rng = np.random.default_rng(seed)
    X_more = np.concatenate([X, *(distorted(X, rng) for _ in range(COPIES))])
    y_more = np.tile(y, 1 + COPIES)

    mean, deviation = X_more.mean(), X_more.std()  # of all pixels together, and of the training half alone
    X, X_more, X_test = ((part - mean) / deviation for part in (X, X_more, X_test))
    return (X, y), (X_more, y_more), (X_test, y_test)


def run(seed=0):
    """Train and test; returns what table and pictures show."""
    plain, more, (X_test, y_test) = load(seed)
    print(f"handwriting: {len(plain[0])} images and {COPIES} distorted copies of each train, {len(X_test)} test")

    models = {
        "LSTM": (LSTMClassifier(random_state=seed), more),
        "MLP": (MLPClassifier(max_iter=400, random_state=seed), plain),
        "MLP, distorted copies too": (MLPClassifier(early_stopping=True, n_iter_no_change=5, random_state=seed), more),
    }
    scores, seconds = {}, {}
    for name, (model, (X, y)) in models.items():
        shape = np.shape if name == "LSTM" else lambda images: (len(images), 64)  # an MLP sees no rows, just 64 pixels
        start = time.perf_counter()
        model.fit(X.reshape(shape(X)), y)
        seconds[name] = time.perf_counter() - start
        scores[name] = model.score(X_test.reshape(shape(X_test)), y_test)
        print(f"  {name}: accuracy {scores[name]:.4f} on the test half, trained in {seconds[name]:.1f} s", flush=True)

    lstm = models["LSTM"][0]
    return {
        "model": lstm,
        "training": more,
        "scores": scores,
        "seconds": seconds,
        "images": X_test,
        "truth": y_test,
        "predicted": lstm.predict(X_test),
    }


if __name__ == "__main__":
    run()
