"""scikit-learn's own checks of both estimators."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastlstm import LSTMClassifier, LSTMRegressor


def expected_failed_checks(estimator):
    if getattr(estimator, "loss", None) == "poisson":
        return {"check_regressor_multioutput": "fits targets below 0, whatever the tag positive_only says"}
    if estimator.dtype == "float64":
        return {}
    return {
        "check_sample_weight_equivalence_on_dense_data": "compares to rtol 1e-7, below a float32 ulp, after an "
        "iterative training that amplifies roundings",
    }


CHECKS = parametrize_with_checks(
    [
        estimator(hidden_size=16, max_iter=60, dtype=dtype)  # small, so that checks are quick
        for estimator in (LSTMClassifier, LSTMRegressor)
        for dtype in ("float64", "float32")
    ]
    + [
        LSTMRegressor(hidden_size=size, max_iter=60, dtype="float64", loss=loss)
        for loss, size in (("quantile", 16), ("poisson", 64), ("gaussian_nll", 64))
    ],
    expected_failed_checks=expected_failed_checks,
)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# a list, for scikit-learn 1.6 makes a generator, which pytest 9 warns of
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
