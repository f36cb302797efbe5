"""The classifier by scikit-learn's names: several labels, sparse rows, parts of the rows, dropout, solvers."""

import pickle

import jax
import numpy as np
import optax
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as Theirs

import functional_nn as fnn
from functional_nn.sklearn import MLPClassifier
from tests.compiled import compilations
from tests.slow import few

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 3))
Y3 = np.arange(48) % 3
Y2 = (X[:, 0] > 0).astype(int)
LABELS = np.column_stack([X[:, 0] > 0, X[:, 1] > 0.5, np.zeros(48)]).astype(int)  # the last label is never there


def small(**changes):
    options = {"hidden_layer_sizes": (6,), "learning_rate": 0.1, "max_iter": 8, "tol": None, "random_state": 0}
    return MLPClassifier(**options | changes)


def same(got, wanted):
    jax.tree.map(np.testing.assert_array_equal, got, wanted)


@pytest.mark.parametrize(("theirs", "ours"), few([
    ({"solver": "sgd", "learning_rate_init": 0.2, "learning_rate": "constant"}, {"optimizer": "sgd", "learning_rate": 0.2}),
    ({"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False},
     {"optimizer": fnn.optimizers.sgd(0.1, momentum=0.9)}),
    ({"activation": "identity"}, {"activation": "linear"}), ({"activation": "logistic"}, {"activation": "sigmoid"})], 1, 3))
def test_their_names_mean_the_same(theirs, ours):
    """Also after `clone`, which takes the parameters as they were given."""
    one = clone(small(batch_size=8, **{"learning_rate": 0.1} | theirs)).fit(X, Y3)
    same(one.params_, small(batch_size=8, **ours).fit(X, Y3).params_)


@pytest.mark.parametrize(("changes", "says"), [
    ({"solver": "sgd", "optimizer": "nadam"}, "solver is scikit-learn's name for optimizer; got both"),
    ({"learning_rate_init": 0.1}, "learning_rate_init is scikit-learn's name for learning_rate; got both"),
    ({"learning_rate": "adaptive"}, "learning_rate must be a number or a schedule .*reduce_on_plateau"),
    ({"solver": "lbgfs"}, "unknown optimizer 'lbgfs'; did you mean 'lbfgs'"),
    ({"dropout": 1.0}, "dropout must be the share of hidden units to drop"),
    ({"momentum": 1.0, "optimizer": "sgd"}, "momentum must be a number of at least 0 and below 1")])
def test_mistakes_with_names_are_said(changes, says):
    with pytest.raises(ValueError, match=says):
        small(**changes).fit(X, Y3)


def test_attributes_are_scikit_learns():
    """A network of the same weights in their estimator gives the same probabilities."""
    ours = small(activation="logistic", early_stopping=True, max_iter=12).fit(X, Y3)
    theirs = Theirs((6,), activation="logistic", max_iter=1).partial_fit(X, Y3, classes=[0, 1, 2])
    theirs.coefs_, theirs.intercepts_ = ours.coefs_, ours.intercepts_
    np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X), rtol=1e-5)
    assert (ours.n_layers_, ours.n_outputs_, ours.out_activation_) == (theirs.n_layers_, 3, "softmax")
    assert ours.loss_ == ours.loss_curve_[-1] and len(ours.validation_scores_) == ours.n_iter_ == 12
    assert ours.best_validation_score_ == max(ours.validation_scores_) and ours.t_ == 12 * 43
    plain = small().fit(X, Y3)
    assert plain.validation_scores_ is None and plain.best_validation_score_ is None
    assert plain.best_loss_ == min(plain.loss_curve_) and plain.t_ == 8 * 48


def test_lbfgs_takes_all_rows_and_finds_what_scipy_finds():
    """Without hidden layers the cost is convex: the same optimum as scikit-learn's own, of the same objective."""
    ours = small(hidden_layer_sizes=(), solver="lbfgs", alpha=0.1, max_iter=200, tol=1e-9, batch_size=5).fit(X, Y3)
    theirs = Theirs((), solver="lbfgs", alpha=0.1 * 48, max_iter=500, tol=1e-9, random_state=0).fit(X, Y3)
    for one, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(one - one.mean(-1, keepdims=True), other - other.mean(-1, keepdims=True), atol=2e-3)
    with pytest.raises(ValueError, match="partial_fit needs an optimizer that learns from parts of the rows"):
        small(solver="lbfgs").partial_fit(X, Y3, classes=[0, 1, 2])


@pytest.mark.slow
def test_a_plateau_is_an_optimizer_too():
    plateau = optax.chain(optax.adam(0.05), optax.contrib.reduce_on_plateau(patience=2))
    with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic raises under the strict one
        assert small(optimizer=plateau, max_iter=60).fit(X, Y2).score(X, Y2) > 0.9


@pytest.mark.parametrize("form", few([sp.csr_matrix, sp.csc_array, sp.coo_matrix], 1))
def test_sparse_rows_are_their_dense_ones(form):
    model, sparse = small().fit(X, Y3), small().fit(form(X), Y3)
    same(sparse.params_, model.params_)
    np.testing.assert_array_equal(sparse.predict_proba(form(X)), model.predict_proba(X))


@pytest.mark.parametrize("loss", few([None, "mse", "hinge"], 0))
def test_several_labels_a_row(loss):
    model = small(loss=loss, max_iter=150, alpha=0.0, early_stopping=loss is None).fit(X, LABELS)
    predicted = model.predict(X)
    assert predicted.shape == LABELS.shape and set(np.unique(predicted)) <= {0, 1}
    assert model.score(X, LABELS) == accuracy_score(LABELS, predicted) > 0.8
    assert model.classes_.tolist() == [0, 1, 2] and not predicted[:, 2].any()
    if loss != "hinge":
        likely = model.predict_proba(X)
        assert likely.shape == LABELS.shape and ((likely > 0.5) == predicted).all()
    else:
        assert ((model.decision_function(X) > 0) == predicted).all()
    same(small(loss=loss).fit(X, sp.csr_matrix(LABELS)).params_, small(loss=loss).fit(X, LABELS).params_)


@pytest.mark.parametrize(("changes", "y", "says"), [
    ({"loss": "cross_entropy"}, LABELS, "loss must suit several labels a row, got cross_entropy"),
    ({"class_weight": "balanced"}, LABELS, "class_weight must be None for several labels a row"),
    ({}, np.column_stack([Y3, Y3]), "y of several columns must hold labels, 0 or 1, got multiclass-multioutput"),
    ({}, np.zeros(48), r"got one class only: 0\.0$"), ({}, np.full(48, "b"), "got one class only: 'b'$")])
def test_labels_that_do_not_fit_are_refused(changes, y, says):
    with pytest.raises(ValueError, match=says):
        small(**changes).fit(X, y)


def test_parts_of_the_rows():
    """It learns, with another number of rows in each call and nothing compiled anew; pickles go on alike."""
    model = small(batch_size=16)
    model.partial_fit(X[:5], Y2[:5], classes=[0, 1])
    before = model.score(X, Y2)
    with compilations() as more:
        for i in range(40):
            model.partial_fit(X[: 4 + i % 13], Y2[: 4 + i % 13])
    assert not more and model.n_iter_ == 41 == len(model.loss_curve_)
    assert model.score(X[:16], Y2[:16]) > max(0.9, before - 0.1) and model.loss_ < model.loss_curve_[0]
    assert model.t_ == 5 + sum(4 + i % 13 for i in range(40))
    again = pickle.loads(pickle.dumps(model))
    same(again.partial_fit(X, Y2).params_, model.partial_fit(X, Y2).params_)


@pytest.mark.slow
def test_parts_of_the_rows_of_several_labels_and_after_a_fit():
    model = small(dropout=0.2).fit(X, LABELS)
    first = model.params_
    model.partial_fit(sp.csr_matrix(X), LABELS, sample_weight=Y2)
    assert not np.array_equal(first[0]["w"], model.params_[0]["w"]) and model.n_iter_ == 9
    assert small().fit(X, LABELS).predict(X).shape == LABELS.shape


@pytest.mark.parametrize(("calls", "says"), [
    ([{}], "classes must be passed on the first call to partial_fit"),
    ([{"classes": [0, 1, 2]}, {"classes": [0, 1]}], r"classes must be those of the first call, \[0 1 2\], got \[0 1\]"),
    ([{"classes": [0, 1]}], r"y must hold the classes \[0 1\], got \[2\] too")])
def test_wrong_parts_are_refused(calls, says):
    model = small()
    *good, bad = calls
    for call in good:
        model.partial_fit(X, Y3, **call)
    with pytest.raises(ValueError, match=says):
        model.partial_fit(X, Y3, **bad)
    with pytest.raises(ValueError, match="class_weight='balanced' needs all rows at once"):
        small(class_weight="balanced").partial_fit(X, Y3, classes=[0, 1, 2])


def test_a_part_that_diverges_leaves_the_parameters():
    model = small(optimizer="sgd").partial_fit(X, Y3, classes=[0, 1, 2])
    before = model.params_
    with pytest.raises(ValueError, match="MLPClassifier diverged in partial_fit, and keeps the parameters"):
        model.set_params(learning_rate=1e38, loss="mse").partial_fit(X, Y3).partial_fit(X, Y3)
    assert model.params_ is before or np.isfinite(model.params_[0]["w"]).all()


@pytest.mark.parametrize("do", [lambda model: model.fit(X, Y3), lambda model: model.partial_fit(X, Y3)])
def test_other_hidden_layers_cannot_go_on(do):
    model = small(warm_start=True).fit(X, Y3)
    with pytest.raises(ValueError, match=r"goes on with .*layers of \(3, 6, 3\) units, got \(3, 4, 3\)"):
        do(model.set_params(hidden_layer_sizes=(4,)))


def test_dropout_drops_in_training_only():
    model = small(dropout=0.5, max_iter=100, batch_size=16).fit(X, Y2)
    assert "dropout(0.5)" in repr(model.network_) and len(model.coefs_) == 2 and model.n_layers_ == 3
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X))
    assert model.score(X, Y2) > 0.9 and not np.array_equal(
        model.params_[0]["w"], small(max_iter=100, batch_size=16).fit(X, Y2).params_[0]["w"])


def test_a_search_over_rates_compiles_one_network():
    """The first setting compiles; the others, of other rates and penalties, nothing."""
    X, y = load_wine(return_X_y=True)
    model = small(hidden_layer_sizes=(5,), max_iter=2, batch_size=32)
    first = GridSearchCV(model, {"learning_rate": [0.1]}, cv=3, refit=False).fit(X, y)
    with compilations() as more:
        grid = {"learning_rate_init": [0.01, 0.05], "alpha": [1e-3, 1e-2], "learning_rate": ["constant"]}
        GridSearchCV(model, grid, cv=3, refit=False).fit(X, y)
    assert not more, more
    assert first.n_splits_ == 3
