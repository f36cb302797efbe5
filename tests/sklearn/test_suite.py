"""scikit-learn's own suite, with no expected failures: the two estimators as they come, and in other guises."""

import jax
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import functional_nn as fnn
from functional_nn.sklearn import MLPClassifier, MLPRegressor

pytestmark = [pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
              pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")]


@parametrize_with_checks([MLPClassifier((16,), learning_rate=0.05, alpha=0.0, max_iter=20)])
def test_estimators_are_scikit_learns(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([MLPRegressor((16,), learning_rate=0.05, alpha=0.0, max_iter=20)])
def test_so_are_regressors(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([
    MLPClassifier(),
    MLPRegressor(),
    MLPClassifier((16,), fnn.activations.leaky_relu.configure(slope=0.2), loss="hinge", optimizer="nadam", learning_rate=0.03,
                  max_iter=30, early_stopping=True),
    MLPClassifier((16, 8), "gelu", loss="binary_cross_entropy", optimizer="sgd", learning_rate=0.3, batch_size=None,
                  max_iter=40, early_stopping=True),
    MLPRegressor((16,), "tanh", loss=fnn.losses.huber.configure(delta=0.5), optimizer="rmsprop", learning_rate=0.02,
                 max_iter=60, early_stopping=True)])
def test_so_are_they_in_other_guises(estimator, check):
    check(estimator)


def test_the_suite_sees_a_row_that_weighs_nothing_but_counts(monkeypatch):
    """The check that would fail if rows of weight 0 were learnt from."""
    from sklearn.utils.estimator_checks import (
        check_sample_weight_equivalence_on_dense_data as check,
    )

    from functional_nn.sklearn import rows

    monkeypatch.setattr(rows, "checked_weights", lambda weights, X: jax.numpy.ones(len(X)).__array__())
    with pytest.raises(AssertionError, match="not equivalent to fitting with removed"):
        check("MLPClassifier", MLPClassifier((4,), max_iter=3, learning_rate=0.1))
