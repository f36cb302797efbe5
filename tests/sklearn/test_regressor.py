"""The regressor learns standardised targets and predicts in their units."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from functional_nn.sklearn import MLPRegressor
from functional_nn.sklearn.rows import Units, units_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 3))
VALUES = X @ np.array([0.5, -1.0, 0.2]) + 0.1


def small(**changes):
    options = {"hidden_layer_sizes": (6,), "learning_rate": 0.05, "max_iter": 80, "tol": None, "random_state": 0}
    return MLPRegressor(**options | changes)


@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 0.0), (1e4, 0.0), (1.0, 1e9), (1e5, -3e5)])
def test_units_do_not_matter(scale, shift):
    """Cents, kilometres and seconds since 1970 are learnt as well as numbers of the size of 1."""
    plain, other = small().fit(X, VALUES), small().fit(X, scale * VALUES + shift)
    np.testing.assert_allclose((other.predict(X) - shift) / scale, plain.predict(X), atol=1e-3)
    assert other.score(X, scale * VALUES + shift) > 0.95
    assert other.loss_ == pytest.approx(plain.loss_, rel=0.05)


def test_without_scaling_the_targets_stay_as_they_are():
    raw = small(scale_targets=False).fit(X, 1e4 * VALUES)
    assert raw.score(X, 1e4 * VALUES) < 0.5 and raw.target_mean_.tolist() == [0.0] and raw.target_scale_.tolist() == [1.0]
    shares = small(loss="binary_cross_entropy").fit(X, 1 / (1 + np.exp(-VALUES)))
    assert shares.target_scale_.tolist() == [1.0] and shares.out_activation_ == "sigmoid"


def test_each_output_has_its_own_units_and_a_constant_one_stays():
    both = np.column_stack([VALUES, 1e6 + 1e3 * VALUES, np.full(48, 0.1)])
    model = small().fit(X, both)
    assert small().fit(X, both[:, :2]).score(X, both[:, :2]) > 0.95
    np.testing.assert_allclose(model.target_mean_, both.mean(axis=0))
    np.testing.assert_allclose(model.target_scale_[:2], both[:, :2].std(axis=0))
    assert model.target_scale_[2] == 1.0
    np.testing.assert_allclose(model.predict(X)[:, 2], 0.1, atol=0.1)


def test_coefficients_predict_in_the_units_of_the_targets():
    model = small(activation="relu").fit(X, 1e3 * VALUES + 5e4)
    (w, v), (b, c) = model.coefs_, model.intercepts_
    np.testing.assert_allclose((np.maximum(X @ w + b, 0) @ v + c)[:, 0], model.predict(X), rtol=1e-5)


def test_held_out_rows_are_scored_and_do_not_decide_the_units():
    model = small(early_stopping=True, validation_fraction=0.25, batch_size=8).fit(X, VALUES)
    assert model.best_validation_score_ == max(model.validation_scores_) > 0.9
    assert model.target_mean_[0] != pytest.approx(VALUES.mean(), rel=1e-9)


def test_a_warm_start_and_parts_of_the_rows_keep_the_units_of_the_first():
    model = small(warm_start=True).fit(X, VALUES)
    units = model.target_mean_, model.target_scale_
    model.fit(X, 2 * VALUES + 7)
    assert (model.target_mean_, model.target_scale_) == units and model.score(X, 2 * VALUES + 7) > 0.9
    online = small(batch_size=16).partial_fit(X[:20], 1e3 * VALUES[:20])
    units = online.target_mean_
    for i in range(100):
        online.partial_fit(X[: 10 + i % 30], 1e3 * VALUES[: 10 + i % 30])
    assert online.target_mean_ is units and online.score(X, 1e3 * VALUES) > 0.9


def test_a_run_that_diverges_leaves_the_units_of_the_one_before():
    model = small(optimizer="sgd").fit(X, VALUES)
    before = model.predict(X)
    with pytest.raises(ValueError, match="MLPRegressor diverged"):
        model.set_params(learning_rate=1e30).fit(X, 1e3 * VALUES)
    np.testing.assert_array_equal(model.predict(X), before)


def test_the_units_are_those_of_the_weighted_rows():
    Y, weights = RNG.normal(size=(9, 2)), RNG.integers(1, 4, 9).astype(float)
    found, repeated = units_of(Y, weights), units_of(np.repeat(Y, weights.astype(int), axis=0), np.ones(int(weights.sum())))
    np.testing.assert_allclose(found, repeated, rtol=1e-12)
    learnt = found.learnt(Y)
    assert learnt.dtype == np.float32
    np.testing.assert_allclose(np.average(learnt, axis=0, weights=weights), 0, atol=1e-6)
    assert Units(0.0, 1.0).learnt(np.array([2, 3])).tolist() == [2, 3]


@pytest.mark.slow
def test_diabetes_in_its_own_units():
    regressor = small(hidden_layer_sizes=(16,), learning_rate=0.01, alpha=0.1, max_iter=30)
    assert cross_val_score(make_pipeline(StandardScaler(), regressor), *load_diabetes(return_X_y=True), cv=3).mean() > 0.4
