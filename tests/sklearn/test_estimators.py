"""The estimators: what they learn is what `fit` learns, weights are repetitions, and mistakes are named."""

import copy
import functools
import inspect
import pickle

import jax
import numpy as np
import optax
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

import functional_nn as fnn
from functional_nn.sklearn import MLPClassifier, MLPRegressor, estimators
from functional_nn.sklearn.parts import OPTIMIZERS, built
from functional_nn.sklearn.rows import held_out
from tests.slow import few

N = 24
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
Y3 = np.arange(N) % 3
Y2 = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]
VALUES = X @ np.array([0.5, -1.0, 0.2]) + 0.1


def small(estimator, **changes):
    options = {"hidden_layer_sizes": (4,), "learning_rate": 0.1, "max_iter": 8, "tol": None, "random_state": 0} | changes
    return estimator(**options)


def same(got, wanted):
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, got, wanted)


def differ(got, other):
    return any(not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(other), strict=True))


# --- they are fit


@pytest.mark.parametrize(("estimator", "y", "net", "loss", "Y"), [
    (MLPClassifier, Y3, fnn.mlp((3, 4, 3), hidden="relu", output="softmax"), "cross_entropy", Y3),
    (MLPClassifier, Y2, fnn.mlp((3, 4, 1), hidden="relu", output="sigmoid"), "binary_cross_entropy", Y2 == "yes"),
    (MLPRegressor, VALUES, fnn.mlp((3, 4, 1), hidden="relu"), "mse", VALUES)], ids=["three", "two", "values"])
def test_they_learn_what_fit_learns(estimator, y, net, loss, Y):
    """In mini-batches to the bit; of full batches the rows come in another order."""
    size = 7 if net.n_out == 3 else 8  # of 24: with a smaller batch at the end, and without
    model = small(estimator, batch_size=size, random_state=5).fit(X, y)
    learnt = Y.astype(int) if estimator is MLPClassifier else ((Y - Y.mean()) / Y.std()).astype(np.float32)
    result = fnn.fit(net, loss, fnn.optimizers.adam(0.1), (X, learnt),
                     key=jax.random.key(5), epochs=8, batch_size=size, penalty=fnn.penalties.l2(1e-4), progress=False)
    same(model.params_, result.params)
    assert model.loss_curve_ == result.history["cost"].tolist() and model.best_loss_ == min(model.loss_curve_)
    assert (model.n_iter_, model.n_outputs_, model.out_activation_) == (8, net.n_out, net.output.name)
    assert repr(model.network_) == repr(net) and model.result_.stopped == "epochs are over"
    predicted = np.asarray(jax.vmap(net.apply, (None, 0))(result.params, X))
    got = model.predict_proba(X)[:, -net.n_out:] if estimator is MLPClassifier else (model.predict(X)[:, None] - Y.mean()) / Y.std()
    np.testing.assert_allclose(got, predicted, atol=1e-6)


@functools.cache
def plainly_fitted():
    return small(MLPClassifier, batch_size=8).fit(X, Y3)


@pytest.mark.parametrize("change", few([
    {"learning_rate": 0.2}, {"optimizer": "sgd"}, {"batch_size": 5}, {"loss": "mse"}, {"early_stopping": True},
    {"class_weight": {0: 5.0}}, {"activation": "tanh"}, {"random_state": 1}, {"learning_rate": fnn.schedules.constant(0.01)},
    {"optimizer": optax.sgd(0.1)}], *range(6)), ids=lambda change: next(iter(change)))
def test_what_is_given_is_used(change):
    model = small(MLPClassifier, **{"batch_size": 8} | change).fit(X, Y3)
    assert differ(model.params_, plainly_fitted().params_)


def test_sizes_and_alpha_do_what_they_mean():
    base = plainly_fitted()
    assert small(MLPClassifier, hidden_layer_sizes=5).fit(X, Y3).network_.sizes == (3, 5, 3)
    assert small(MLPClassifier, hidden_layer_sizes=()).fit(X, Y3).network_.sizes == (3, 3)
    size = lambda model: sum(float(np.square(layer["w"]).sum()) for layer in model.params_)  # noqa: E731
    assert size(small(MLPClassifier, alpha=1.0, batch_size=8).fit(X, Y3)) < size(base)


@pytest.mark.parametrize("loss", few(fnn.losses.LOSSES, "cross_entropy", "hinge", "huber"))
def test_every_loss_trains_classes(loss):
    part = fnn.losses.epsilon_insensitive.configure(epsilon=0.1) if loss == "epsilon_insensitive" else loss
    margins = fnn.losses.get(loss).targets == "signs"
    model = small(MLPClassifier, loss=part, max_iter=60, learning_rate=0.05).fit(X, Y2)
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0] and model.score(X, Y2) > 0.9
    assert hasattr(model, "decision_function") is margins and hasattr(model, "predict_proba") is not margins
    if margins:
        assert ((model.decision_function(X) > 0) == (model.predict(X) == "yes")).all()


@pytest.mark.parametrize("loss", few([
    name for name, loss in fnn.losses.LOSSES.items() if loss.targets not in ("signs", "distribution")], "mae", "binary_cross_entropy"))
def test_every_loss_of_values_trains_them(loss):
    part = fnn.losses.epsilon_insensitive.configure(epsilon=0.1) if loss == "epsilon_insensitive" else loss
    y = 1 / (1 + np.exp(-VALUES)) if fnn.losses.get(loss).targets == "shares" else VALUES
    model = small(MLPRegressor, loss=part, max_iter=60, learning_rate=0.05).fit(X, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0] and model.score(X, y) > 0.8


def test_every_optimizer_of_ours_has_its_name_here():
    ours = {name for name in fnn.optimizers.__all__ if not name[0].isupper() and name != "decoupled_decay"
            and next(iter(inspect.signature(getattr(fnn.optimizers, name)).parameters)) == "learning_rate"}
    assert set(OPTIMIZERS) == ours


# --- predictions


@pytest.mark.parametrize("loss", [None, "binary_cross_entropy", "mse"])
def test_probabilities_sum_to_one_and_decide(loss):
    model = small(MLPClassifier, loss=loss).fit(X, Y3 + 5)
    likely = model.predict_proba(100 * X)
    np.testing.assert_allclose(likely.sum(axis=1), 1, rtol=1e-12)
    assert likely.min() >= 0 and (model.predict(100 * X) == 5 + likely.argmax(axis=1)).all()
    np.testing.assert_array_equal(np.exp(model.predict_log_proba(X)), np.exp(np.log(model.predict_proba(X))))
    assert set(model.predict(100 * X)) > {5}


def test_targets_come_back_in_their_shape():
    both = np.column_stack([VALUES, -VALUES])
    model = small(MLPRegressor, max_iter=100, learning_rate=0.05).fit(X, both)
    assert model.predict(X).shape == both.shape and model.score(X, both) > 0.9 and model.n_outputs_ == 2
    assert small(MLPRegressor).fit(X, VALUES[:, None]).predict(X).shape == (N, 1)
    assert small(MLPRegressor).fit(X, VALUES).predict(X).shape == (N,)


# --- weights


@pytest.mark.parametrize(("estimator", "y", "early_stopping"), few([
    (MLPClassifier, Y3, True), (MLPRegressor, VALUES, False), (MLPClassifier, Y3, False), (MLPRegressor, VALUES, True)], 0, 1),
    ids=["classes-early", "values", "classes", "values-early"])
def test_a_weight_is_a_repetition_to_the_bit(estimator, y, early_stopping):
    weights = np.random.default_rng(1).integers(0, 4, N)
    order = np.random.default_rng(2).permutation(N)
    run = {"early_stopping": early_stopping, "validation_fraction": 0.3, "learning_rate": 0.5}
    repeated = small(estimator, **run).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    weighted = small(estimator, **run).fit(X[order], y[order], sample_weight=weights[order])
    same(weighted.params_, repeated.params_)
    assert weighted.loss_curve_ == repeated.loss_curve_
    assert weighted.validation_loss_curve_ == repeated.validation_loss_curve_
    plain = small(estimator, **run).fit(X, y)
    assert differ(plain.params_, weighted.params_)
    same(plain.params_, small(estimator, **run).fit(X, y, sample_weight=np.full(N, 3.0)).params_)


def test_classes_weigh_as_the_rows_of_the_same_weights():
    y = np.where(np.arange(N) < 18, Y3, 0)
    balanced = small(MLPClassifier, class_weight="balanced", batch_size=6).fit(X, y)
    weights = compute_sample_weight("balanced", y)
    np.testing.assert_allclose(np.bincount(y, weights), N / 3)
    same(balanced.params_, small(MLPClassifier, batch_size=6).fit(X, y, sample_weight=weights).params_)
    assert differ(balanced.params_, small(MLPClassifier, batch_size=6).fit(X, y).params_)
    by_name = small(MLPClassifier, class_weight={"yes": 4.0}).fit(X, Y2)
    same(by_name.params_, small(MLPClassifier).fit(X, Y2, sample_weight=np.where(Y2 == "yes", 4.0, 1.0)).params_)
    heavy = np.arange(N) % 3 + 1  # balanced by weight, where a row of weight 2 is two rows
    same(small(MLPClassifier, class_weight="balanced").fit(X, y, sample_weight=heavy).params_,
         small(MLPClassifier, class_weight="balanced").fit(np.repeat(X, heavy, 0), np.repeat(y, heavy)).params_)


# --- when to stop


def test_it_says_when_it_has_not_converged():
    with pytest.warns(ConvergenceWarning, match="MLPClassifier has not converged: max_iter=3 came first"):
        small(MLPClassifier, tol=1e-4, max_iter=3).fit(X, Y3)
    done = small(MLPClassifier, tol=0.5, n_iter_no_change=2, max_iter=50).fit(X, Y3)  # no warning, which would be an error
    assert 3 <= done.n_iter_ < 50 and done.result_.stopped.startswith("the stopping rule was met")


def test_it_says_when_it_was_interrupted(monkeypatch):
    def interrupted(*args, **options):
        return fnn.fit(*args, **options)._replace(stopped=fnn.Stop("interrupted", 8, None, "interrupted after epoch 8"))

    monkeypatch.setattr(estimators, "fit", interrupted)
    with pytest.warns(ConvergenceWarning, match="interrupted after epoch 8, and keeps what it had learnt"):
        small(MLPClassifier).fit(X, Y3)


def test_a_run_that_diverges_leaves_the_one_before():
    model = small(MLPRegressor, optimizer="sgd").fit(X, VALUES)
    before = model.predict(X)
    with pytest.raises(ValueError, match="MLPRegressor diverged"):
        model.set_params(learning_rate=1e30, hidden_layer_sizes=(5,)).fit(X, VALUES)
    np.testing.assert_array_equal(model.predict(X), before)


def test_rows_held_out_decide_when_to_stop_and_what_is_kept():
    run = {"learning_rate": 1.0, "validation_fraction": 0.25, "max_iter": 40}
    model = small(MLPClassifier, early_stopping=True, tol=1e-3, n_iter_no_change=5, **run).fit(X, Y3)
    costs = model.validation_loss_curve_
    assert len(costs) == model.n_iter_ < 40 and model.best_loss_ == min(costs) < costs[-1]
    order = np.lexsort((Y3, *X.T[::-1]))  # as the rows of a full batch are ordered
    kept = held_out(Y3[order], 0.25, seed=0)
    inside, outside = order[~kept], order[kept]
    assert np.bincount(Y3[outside]).tolist() == [2, 2, 2]
    twin = fnn.fit(model.network_, "cross_entropy", fnn.optimizers.adam(1.0), (X[inside], Y3[inside]), key=jax.random.key(0),
                   epochs=40, batch_size=None, validation=(X[outside], Y3[outside]), restore_best=True, progress=False,
                   penalty=fnn.penalties.l2(1e-4), stop=fnn.until_converged(1e-3, 5))
    same(model.params_, twin.params)
    np.testing.assert_allclose(costs, twin.history["validation_cost"], rtol=1e-6)
    assert differ(model.params_, twin.last)


def test_a_warm_start_goes_on():
    warm, cold = (small(MLPClassifier, warm_start=start, max_iter=5) for start in (True, False))
    first = warm.fit(X, Y3).params_
    same(first, cold.fit(X, Y3).params_)
    again = fnn.fit(warm.network_, "cross_entropy", fnn.optimizers.adam(0.1), (X, Y3), key=jax.random.key(0), epochs=5,
                    batch_size=None, params=first, penalty=fnn.penalties.l2(1e-4), progress=False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), warm.fit(X, Y3).params_, again.params)
    assert differ(warm.params_, first) and not differ(cold.fit(X, Y3).params_, first)
    with pytest.raises(ValueError, match=r"warm_start goes on with the classes \[0 1 2\], got \[1 2 3\]"):
        warm.fit(X, Y3 + 1)


# --- among scikit-learn's


def test_a_generator_is_drawn_from_and_none_is_chance():
    runs = [small(MLPClassifier, random_state=state).fit(X, Y3).params_
            for state in (np.random.RandomState(3), np.random.RandomState(3), None, None)]
    same(runs[0], runs[1])
    assert differ(runs[0], runs[2]) and differ(runs[2], runs[3])


@pytest.mark.parametrize("activation", ["tanh", fnn.activations.leaky_relu.configure(slope=0.3)], ids=str)
def test_copies_share_what_is_compiled_and_pickles_predict_alike(activation):
    model = small(MLPRegressor, activation=activation, loss=fnn.losses.huber.configure(delta=2.0)).fit(X, VALUES)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        assert built("activation", other.activation) is built("activation", activation) and repr(other.loss) == "huber(delta=2.0)"
        assert other.network_ is model.network_
    assert clone(model).fit(X, VALUES).network_ is model.network_


def scaled(*steps):
    return make_pipeline(StandardScaler(), *steps)


@pytest.mark.slow
def test_scores_of_the_bundled_data():
    wine = scaled(MLPClassifier((32,), learning_rate=0.01, max_iter=60, tol=None, random_state=0))
    assert cross_val_score(wine, *load_wine(return_X_y=True), cv=5).mean() >= 0.95
    regressor = small(MLPRegressor, hidden_layer_sizes=(16,), learning_rate=0.01, alpha=0.1, max_iter=30)
    values = scaled(TransformedTargetRegressor(regressor, transformer=StandardScaler()))
    assert cross_val_score(values, *load_diabetes(return_X_y=True), cv=3).mean() > 0.4


@pytest.mark.slow
def test_a_grid_search_finds_what_learns():
    model = scaled(small(MLPClassifier, hidden_layer_sizes=(8,), learning_rate=0.03))
    search = GridSearchCV(model, {"mlpclassifier__max_iter": [1, 40]}, cv=3).fit(*load_iris(return_X_y=True))
    assert search.best_params_ == {"mlpclassifier__max_iter": 40} and search.best_score_ > 0.9
    assert search.cv_results_["mean_test_score"][0] < 0.8


def test_tables_keep_their_names():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["height", "width", "age"])
    model = small(MLPClassifier).fit(table, pandas.Series(Y2), sample_weight=pandas.Series(np.ones(N)))
    assert model.feature_names_in_.tolist() == ["height", "width", "age"] and model.n_features_in_ == 3
    same(model.params_, small(MLPClassifier).fit(X, Y2).params_)
    np.testing.assert_array_equal(model.predict(table), small(MLPClassifier).fit(X, Y2).predict(X))
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        model.predict(table[["width", "height", "age"]])


# --- mistakes


@pytest.mark.parametrize(("changes", "message"), [
    ({"optimizer": "addam"}, "unknown optimizer 'addam'; did you mean 'adam'?"),
    ({"optimizer": 3}, "optimizer must be a name such as 'adam' or an optax optimiser, got 3"),
    ({"activation": "rleu"}, "unknown activation 'rleu'; did you mean 'relu'?"),
    ({"loss": "crossentropy"}, "unknown loss 'crossentropy'; did you mean 'cross_entropy'?"),
    ({"learning_rate": -1.0}, "learning_rate must be a finite number of at least 0"),
    ({"learning_rate": np.ones(2)}, "learning_rate must be a finite number .* got an array"),
    ({"alpha": -1e-4}, "alpha must be a finite number of at least 0, got -0.0001"),
    ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
    ({"batch_size": "all"}, "batch_size must be 'auto', an integer of at least 1, or None for all, got 'all'"),
    ({"max_iter": 0}, "max_iter must be an integer of at least 1, got 0"),
    ({"tol": -1.0}, "tol must be a finite number of at least 0"),
    ({"n_iter_no_change": 0}, "n_iter_no_change must be an integer of at least 1"),
    ({"validation_fraction": 1.0}, "validation_fraction must be a share between 0 and 1, got 1.0"),
    ({"hidden_layer_sizes": (4, 0)}, r"hidden_layer_sizes\[1\] must be an integer of at least 1, got 0"),
    ({"hidden_layer_sizes": "8"}, "hidden_layer_sizes must hold integers"),
    ({"random_state": "0"}, "'0' cannot be used to seed"),
    ({"class_weight": {0: -1.0}}, "class_weight must hold finite numbers of at least 0"),
    ({"class_weight": "even"}, "class_weight"),
    ({"optimizer": "sgd", "learning_rate": 1e30, "loss": "mse"}, "MLPClassifier diverged"),
])
def test_mistakes_are_named(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        small(MLPClassifier, **changes).fit(100 * X, Y3)


@pytest.mark.parametrize(("estimator", "y", "weights", "message"), [
    (MLPClassifier(), np.zeros(N), None, "at least 2 classes, got one class only"),
    (MLPClassifier(), Y3, -np.ones(N), "sample_weight must be at least 0"),
    (MLPClassifier(), VALUES, None, "Unknown label type: continuous"),
    (MLPRegressor(loss="hinge"), VALUES, None, "loss must be one of values, got hinge"),
    (MLPRegressor(loss="binary_cross_entropy"), VALUES, None, "y must hold shares from 0 to 1"),
    (MLPRegressor(loss="cross_entropy"), np.full(N, 0.5), None, "softmax over one output is always 1"),
])
def test_data_that_does_not_fit_is_refused(estimator, y, weights, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y, sample_weight=weights)
