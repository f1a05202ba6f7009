"""scikit-learn's own checks of both estimators."""

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastlstm import LSTMClassifier, LSTMRegressor


def expected_failed_checks(estimator):
    if getattr(estimator, "loss", None) == "poisson":
        return {"check_regressor_multioutput": "fits targets below 0, whatever the tag positive_only says"}
    if estimator.dtype == "float64":
        return {}
    return {EQUIVALENCE: "compares to rtol 1e-7, below a float32 ulp, after an iterative training, which amplifies it"}


EQUIVALENCE = "check_sample_weight_equivalence_on_dense_data"
SMALL = {"hidden_size": 16, "max_iter": 60}  # so that checks are quick


def parametrized(*estimators):
    mark = parametrize_with_checks(list(estimators), expected_failed_checks=expected_failed_checks)
    # a list, for scikit-learn 1.6 makes a generator, which pytest 9 warns of
    return pytest.mark.parametrize(mark.args[0], list(mark.args[1]), **mark.kwargs)


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrized(LSTMClassifier(**SMALL), LSTMRegressor(**SMALL))
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_sample_weights_are_repetitions(estimator):
    estimator_checks.check_sample_weight_equivalence_on_dense_data(
        estimator.__name__, estimator(**SMALL, dtype="float64")
    )


@pytest.mark.slow
@parametrized(
    LSTMClassifier(**SMALL, dtype="float64"),
    LSTMRegressor(**SMALL, dtype="float64"),
    LSTMRegressor(**SMALL, dtype="float64", loss="quantile"),
    *(LSTMRegressor(max_iter=60, dtype="float64", loss=loss) for loss in ("poisson", "gaussian_nll")),
)
def test_scikit_learns_checks_in_float64_and_of_other_losses(estimator, check):
    check(estimator)
