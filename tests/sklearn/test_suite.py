"""scikit-learn's own suite, with no expected failures: the two estimators as they come, and in other guises."""

import jax
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import functional_nn as fnn
from functional_nn.sklearn import MLPClassifier, MLPRegressor
from tests.slow import few

pytestmark = [pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
              pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")]


PLAIN = {"learning_rate": 0.05, "alpha": 0.0, "max_iter": 20}
GUISES = [
    MLPClassifier((16,), fnn.activations.leaky_relu.configure(slope=0.2), loss="hinge", optimizer="nadam", learning_rate=0.03,
                  max_iter=30, early_stopping=True),
    MLPClassifier((16, 8), "gelu", loss="binary_cross_entropy", optimizer="sgd", learning_rate=0.3, batch_size=None,
                  max_iter=40, early_stopping=True),
    MLPRegressor((16,), "tanh", loss=fnn.losses.huber.configure(delta=0.5), optimizer="rmsprop", learning_rate=0.02,
                 max_iter=60, early_stopping=True)]


def checks(estimator):
    """The suite's checks of an estimator: [(estimator, check)]."""
    [_, cases] = parametrize_with_checks([estimator]).mark.args
    return list(cases)


def each(cases):
    return pytest.mark.parametrize(("estimator", "check"), cases, ids=lambda value: getattr(
        getattr(value, "func", value), "__name__", type(value).__name__))


@each(few(checks(MLPClassifier((16,), **PLAIN)), *range(1, 99, 4)))
def test_estimators_are_scikit_learns(estimator, check):
    check(estimator)


@pytest.mark.slow
@each(checks(MLPRegressor((16,), **PLAIN)))
def test_so_are_regressors(estimator, check):
    check(estimator)


@pytest.mark.slow
@each([case for i, guise in enumerate(GUISES) for case in checks(guise)[i::3]])
def test_so_are_they_in_other_guises(estimator, check):
    """Every check in one guise or another."""
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
