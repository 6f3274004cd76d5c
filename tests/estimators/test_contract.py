"""scikit-learn's own checks of its contract: all of them, counted."""

from collections import Counter

import pytest
from sklearn.utils.estimator_checks import check_estimator

from chainrule.estimators import Autoencoder, DeepClassifier, DeepRegressor

# The options of a small and quick training; every other one is as it is without options.
SMALL = {"hidden": (16,), "epochs": 15, "step_size": 0.01, "batch_size": 8}
PLAIN = {"batch_norm": False, "dropout": 0.0, "input_clip": None}  # quicker to compile
_MINIBATCHES = "rows are drawn in minibatches: see docs/estimators.md, and test_weights.py"
EXEMPT = {  # the two that scikit-learn exempts its own MLPClassifier and MLPRegressor from
    "check_sample_weight_equivalence_on_dense_data": _MINIBATCHES,
    "check_sample_weight_equivalence_on_sparse_data": _MINIBATCHES,
}
PASSED = {"DeepClassifier": 64, "DeepRegressor": 58, "Autoencoder": 52}


@pytest.mark.filterwarnings("ignore:batch_size=8 is more than")  # some checks have five rows
@pytest.mark.parametrize(
    "estimator",
    [DeepClassifier(**SMALL), DeepRegressor(**SMALL, **PLAIN), Autoencoder(**SMALL)],
    ids=lambda e: type(e).__name__,
)
def test_scikit_learns_checks_pass(estimator):
    results = check_estimator(estimator, expected_failed_checks=EXEMPT, on_skip=None)
    counts = Counter(result["status"] for result in results)
    assert counts["passed"] == PASSED[type(estimator).__name__], counts
    assert counts["xfail"] == len(EXEMPT) and counts["failed"] == 0
