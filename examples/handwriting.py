"""Classification of handwritten digits by LSTMClassifier, which reads them row by row, and by MLPClassifier.

Each image of scikit-learn's digits data set is a series of 8 steps, the rows from top to bottom, with 8 channels, the
pixels of a row. The first half of the images is the training set and the second half the test set, with other writers.
"""

import time

import numpy as np
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from fastlstm import LSTMClassifier

# The augmentation was chosen by cross-validation on the training set, in five contiguous folds, so that the writers of
# the validation folds differ, too. The LSTM has its default parameters.
COPIES = 8  # number of distorted copies of each training image
TURN, SLANT, SHIFT = 0.26, 0.3, 0.7  # maxima, in radians (15 degrees), columns per row, and pixels


def distorted(images, rng):
    """Randomly rotated, slanted and shifted copies of images [n, 8, 8]."""
    copies = np.empty_like(images)
    centre = np.array([3.5, 3.5])
    for copy, image in zip(copies, images, strict=True):
        turn, slant = rng.uniform(-TURN, TURN), rng.uniform(-SLANT, SLANT)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, 0], [slant, 1]]
        offset = centre - matrix @ centre + rng.uniform(-SHIFT, SHIFT, size=2)
        affine_transform(image, matrix, offset, output=copy, order=1)  # pixels outside the image are 0
    return copies


def load(seed):
    """Training set, augmented training set and test set, each as images and labels."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)  # (n, T, C)
    half = len(images) // 2
    X, y, X_test, y_test = images[:half], labels[:half], images[half:], labels[half:]

    rng = np.random.default_rng(seed)
    X_more = np.concatenate([X, *(distorted(X, rng) for _ in range(COPIES))])
    y_more = np.tile(y, 1 + COPIES)

    mean, deviation = X_more.mean(), X_more.std()  # over all pixels of the training set
    X, X_more, X_test = ((part - mean) / deviation for part in (X, X_more, X_test))
    return (X, y), (X_more, y_more), (X_test, y_test)


def run(seed=0):
    """Train and test all models; returns the results for the table and the figures."""
    plain, more, (X_test, y_test) = load(seed)
    print(f"handwriting: {len(plain[0])} training images, {COPIES} distorted copies of each, {len(X_test)} test images")

    models = {
        "LSTM": (LSTMClassifier(random_state=seed), more),
        "MLP": (MLPClassifier(max_iter=400, random_state=seed), plain),
        "MLP, augmented": (MLPClassifier(early_stopping=True, n_iter_no_change=5, random_state=seed), more),
    }
    scores, seconds = {}, {}
    for name, (model, (X, y)) in models.items():
        shape = np.shape if name == "LSTM" else lambda images: (len(images), 64)  # the MLP takes 64 pixels
        start = time.perf_counter()
        model.fit(X.reshape(shape(X)), y)
        seconds[name] = time.perf_counter() - start
        scores[name] = model.score(X_test.reshape(shape(X_test)), y_test)
        print(f"  {name}: test accuracy {scores[name]:.4f}, trained in {seconds[name]:.1f} s", flush=True)

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
