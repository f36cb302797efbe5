"""The rows of an estimator: their weights, the rows held out, and how the best epoch is kept."""

from types import SimpleNamespace

import numpy as np
import pytest

from functional_nn.sklearn import MLPClassifier, MLPRegressor, parts, rows
from functional_nn.sklearn.rows import held_out

CLASSES, CODES = np.array(["a", "b", "c"]), np.array([0, 0, 0, 1, 2, 2])
WEIGHTS = np.array([1.0, 2.0, 0.5, 4.0, 1.0, 3.0])


def test_rows_without_weights_weigh_one_and_given_weights_stay():
    X = np.ones((6, 2))
    assert rows.checked_weights(None, X).tolist() == [1.0] * 6
    np.testing.assert_array_equal(rows.checked_weights(WEIGHTS.astype(np.float32), X), WEIGHTS)


@pytest.mark.parametrize(("weights", "says"), [
    (np.array([1.0, 1, 1, 1, 1, -1e-9]), "sample_weight must be at least 0 .* got -1e-09 to 1.0"),
    (np.zeros(6), "zero"),  # in the words of scikit-learn, where its version looks for this
    (np.ones(5), "sample_weight.shape == ")])
def test_weights_that_do_not_fit_are_refused(weights, says):
    with pytest.raises(ValueError, match=says):
        rows.checked_weights(weights, np.ones((6, 2)))


def test_balanced_classes_have_equal_totals_and_the_total_of_all_rows_stays():
    weights = WEIGHTS * rows.class_weights("balanced", CLASSES, CODES, WEIGHTS)
    np.testing.assert_allclose(np.bincount(CODES, weights), WEIGHTS.sum() / 3, rtol=1e-12)


def test_each_row_has_the_weight_of_its_class_and_1_without_one():
    assert rows.class_weights(None, CLASSES, CODES, WEIGHTS).tolist() == [1.0] * 6
    by_class = rows.class_weights({"a": 0.0, "c": 5.0}, CLASSES, CODES, WEIGHTS)
    assert by_class.tolist() == [0.0, 0.0, 0.0, 1.0, 5.0, 5.0]


@pytest.mark.parametrize("of_a", [-1.0, np.nan, np.inf])
def test_class_weights_that_are_no_weights_are_refused(of_a):
    with pytest.raises(ValueError, match="class_weight must hold finite numbers of at least 0"):
        rows.class_weights({"a": of_a}, CLASSES, CODES, WEIGHTS)


def test_merging_keeps_each_total_and_does_not_see_the_order_of_the_rows():
    """Whole numbers as weights, so that their sums are exact in any order."""
    noise = np.random.default_rng(0)
    X, y = noise.integers(0, 2, (40, 2)).astype(float), noise.integers(0, 2, 40)
    weights = noise.integers(1, 5, 40).astype(float)
    found = []
    for order in (np.arange(40), noise.permutation(40)):
        first, totals = rows.merged(X[order], y[order], weights[order])
        examples = np.column_stack([X[order], y[order]])[first]
        for example, total in zip(examples, totals, strict=True):
            equal = (np.column_stack([X, y]) == example).all(axis=1)
            assert total == weights[equal].sum()
        found.append((examples.tolist(), totals.tolist()))
    assert found[0] == found[1] and sum(found[0][1]) == weights.sum()
    assert len(found[0][0]) == len(np.unique(np.column_stack([X, y]), axis=0))


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.99])
def test_no_class_is_held_out_whole(fraction):
    strata = np.array([0] * 20 + [1] * 6 + [2] * 2 + [3])
    kept = held_out(strata, fraction, seed=1)
    assert kept.any() and (np.bincount(strata[~kept], minlength=4) >= 1).all()
    assert (kept != held_out(strata, fraction, seed=2)).any() or fraction == 0.99


def test_each_class_has_about_the_same_share_held_out():
    strata = np.repeat([0, 1, 2], [10, 20, 70])
    for seed in range(5):
        kept = held_out(strata, 0.3, seed)
        assert kept.sum() == 30
        assert (abs(np.bincount(strata[kept]) - [3, 6, 21]) <= 1).all()


def test_a_row_of_each_class_alone_leaves_none_to_hold_out():
    with pytest.raises(ValueError, match="with n_samples=3 there is none to keep back"):
        held_out(np.arange(3), 0.5, seed=0)


def test_the_judge_keeps_the_first_epoch_of_the_lowest_cost_and_asks_the_rule(monkeypatch):
    monkeypatch.setattr(parts, "validation", lambda net, loss: lambda params, *rows: (params[0], None))
    judge = rows.Judge(None, None, None, None, None, stop=lambda costs: len(costs) == 4,
                       scored=lambda Y, outputs, weights: 0.5)
    costs = (3.0, 1.0, 2.0, 1.0, 4.0)
    said = [judge(SimpleNamespace(params=(cost, epoch))) for epoch, cost in enumerate(costs)]
    assert said == [False, False, False, True, False]
    assert judge.costs == list(costs) and judge.best == (1.0, 1) and judge.scores == [0.5] * 5
    without_rule = rows.Judge(None, None, None, None, None, stop=None, scored=lambda *args: 1.0)
    assert without_rule(SimpleNamespace(params=(1.0,))) is False


@pytest.mark.parametrize("frame", [False, True])
def test_what_float32_cannot_tell_apart_is_refused(frame):
    seconds = np.column_stack([np.arange(60.0), 1.7e9 + np.arange(60.0)])
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame(seconds) if frame else seconds
    for model in (MLPClassifier(), MLPRegressor()):
        with pytest.raises(ValueError, match=r"X\[:, 1\] must differ by more than float32 can tell apart"):
            model.fit(given, np.arange(60) % 2)
