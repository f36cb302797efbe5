"""The estimators: what scikit-learn asks of one, around one call of `fit`."""

import numbers
import warnings
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from functional_nn import checks, losses
from functional_nn.network import Network
from functional_nn.sklearn import parts, rows
from functional_nn.training import Result, fit

__all__ = ["MLPClassifier", "MLPRegressor"]


class _Perceptron(BaseEstimator):
    """What classifier and regressor share."""

    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, loss=None, optimizer="adam", learning_rate=1e-3,
                 alpha=1e-4, batch_size="auto", max_iter=200, tol=1e-4, n_iter_no_change=10, early_stopping=False,
                 validation_fraction=0.1, random_state=None, verbose=False, warm_start=False):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start

    @property
    def network_(self) -> Network:
        """The fitted network."""
        check_is_fitted(self)
        return parts.network(*self._architecture)

    def _train(self, loss: losses.Loss, output: str, n_out: int, X, Y, weights, strata) -> None:
        """One call of `fit` on checked rows, and the attributes that it leaves. strata: what to hold rows out evenly of."""
        architecture = (parts.sizes(X.shape[1], self.hidden_layer_sizes, n_out),
                        parts.stored(parts.built("activation", self.activation)), output)
        net, seed, size = parts.network(*architecture), _seed(self.random_state), parts.batch_size(self.batch_size, len(X))
        stop, fraction = parts.stopping(self.tol, self.n_iter_no_change), parts.share(
            "validation_fraction", self.validation_fraction)
        if size == len(X):
            first, weights = rows.merged(X, Y, weights)
            X, Y, strata = X[first], Y[first], strata[first]
        judge = None
        if self.early_stopping:
            kept = rows.held_out(strata, fraction, seed)
            judge = rows.Judge(net, loss, X[kept], Y[kept], _scaled(weights[kept]), stop)
            X, Y, weights, stop = X[~kept], Y[~kept], weights[~kept], None
        result = fit(
            net, loss, parts.optimizer(self.optimizer, self.learning_rate), (X, Y), key=jax.random.key(seed),
            epochs=checks.integer("max_iter", self.max_iter), batch_size=min(size, len(X)),
            params=self.params_ if self.warm_start and hasattr(self, "params_") else None,
            penalty=parts.penalty(self.alpha), sample_weights=_scaled(weights) if np.ptp(weights) else None, stop=stop,
            callbacks=[judge] if judge else [], progress=bool(self.verbose))
        if result.stopped.startswith("diverged"):
            raise ValueError(f"{type(self).__name__} {result.stopped}")
        self._architecture = architecture
        self._keep(result, judge)

    def _keep(self, result: Result, judge: rows.Judge | None) -> None:
        """The attributes of a finished run, and a ConvergenceWarning for one cut short."""
        self.result_ = result if judge is None else result._replace(params=judge.best)
        self.params_ = self.result_.params
        self.loss_curve_ = result.history["cost"].tolist()
        self.validation_loss_curve_ = None if judge is None else judge.costs
        self.best_loss_ = min(self.loss_curve_ if judge is None else judge.costs)
        self.n_iter_ = len(self.loss_curve_)
        self.n_outputs_, self.out_activation_ = self.network_.n_out, self.network_.output.name
        said = f"{type(self).__name__} has not converged: "
        if result.stopped.startswith("interrupted"):
            warnings.warn(f"{said}it was interrupted after epoch {self.n_iter_}, and keeps what it had learnt",
                          ConvergenceWarning, stacklevel=4)
        elif self.tol is not None and result.stopped == "epochs are over":
            warnings.warn(f"{said}max_iter={self.n_iter_} came first, with tol={self.tol} and n_iter_no_change="
                          f"{self.n_iter_no_change}; raise max_iter, or pass tol=None for exactly that many epochs",
                          ConvergenceWarning, stacklevel=4)

    def _outputs(self, X) -> np.ndarray:
        """What the network says of every row, (n, n_out) in float64."""
        check_is_fitted(self)
        return parts.outputs(self.network_, self.params_, validate_data(self, X, dtype=np.float32, reset=False))


def _seed(random_state: Any) -> int:
    """An integer as it is, so that it is the one of `jax.random.key`; otherwise one drawn from the generator."""
    generator = check_random_state(random_state)
    return int(random_state) if isinstance(random_state, numbers.Integral) else int(generator.randint(2**31 - 1))


def _scaled(weights: np.ndarray) -> np.ndarray:
    """With a mean of 1, so that float32 can hold them."""
    return (weights / weights.mean()).astype(np.float32)


def _has_margins(estimator) -> bool:
    """Whether the outputs are margins, as hinge's are, which are no probabilities."""
    return getattr(estimator.loss, "name", estimator.loss) == "hinge"


def _has_probabilities(estimator) -> bool:
    return not _has_margins(estimator)


class MLPClassifier(ClassifierMixin, _Perceptron):
    """A multi-layer perceptron that tells classes apart (N5, N7, N21).

    Args:
      hidden_layer_sizes: units of each hidden layer, the first to the last; () for none.
      activation: of the hidden layers: a name in `fnn.activations.ACTIVATIONS`, or an Activation.
      loss: a name in `fnn.losses.LOSSES`, or a Loss. None: binary_cross_entropy of one output for two classes, cross_entropy
        for more. The output: softmax for cross_entropy; linear for hinge, which has no probabilities; for the others a sigmoid
        for two classes and a softmax for more, but for binary_cross_entropy a sigmoid each, one class against the rest.
      optimizer: "adam", "sgd", … as in `fnn.optimizers`, or an optax optimiser, which has its rate already.
      learning_rate: a number, or a schedule: count of steps -> rate. For an optimiser by its name alone.
      alpha: strength of the penalty ½ α Σ w² on the weights; scikit-learn's divides that by the number of rows.
      batch_size: rows a step. "auto": 200, or all where they are fewer; None: all. Never more than there are.
      max_iter: epochs, at most.
      tol, n_iter_no_change: stop once so many epochs have improved the best cost by no more than this share of it; None
        for tol: never.
      early_stopping: whether to judge that by rows held out, and keep the parameters of the epoch that was best on them.
      validation_fraction: the share of the rows to hold out for it, evenly through the classes; above 0 and below 1.
      class_weight: "balanced", or class -> weight, or None; times the row's own.
      random_state: decides the start, the order of the rows, and which are held out. 0 is `key=jax.random.key(0)` in `fit`.
      verbose: whether to show progress, on stderr.
      warm_start: whether to start from the parameters of the fit before.

    Attributes:
      classes_: (classes,), sorted. n_features_in_: columns of X. feature_names_in_: their names, if X had any.
      params_: the parameters, a pytree as `network_.init` makes it, of float32. network_: their `Network`.
      result_: the run's `Result`. n_iter_: epochs done. loss_curve_: each epoch's mean cost, without the penalty.
      validation_loss_curve_: with early stopping, the cost of the rows held out. best_loss_: the lowest of it, or else of the
        other.
      n_outputs_, out_activation_: of the last layer.

    Rows of weight 0 are left out. Where a step takes all rows, a row of weight 3 is three rows, to the bit; in smaller batches
    it weighs as much as three. Predictions are float64, though learning is in float32.

    Raises, at `fit`, a TypeError or ValueError that names the parameter at fault, and a ValueError where training diverges.
    Warns with a ConvergenceWarning where `max_iter` comes before convergence. Pickles, unless a parameter is a function or an
    optax optimiser, which cloudpickle takes.

    >>> import numpy as np
    >>> X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array(["same", "different", "different", "same"])
    >>> model = MLPClassifier((8,), "tanh", learning_rate=0.1, max_iter=100, tol=None, random_state=0).fit(X, y)
    >>> print(model.predict(X), model.network_)
    ['same' 'different' 'different' 'same'] Network(2 -> dense(8, tanh) -> dense(1, sigmoid))
    """

    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, loss=None, optimizer="adam", learning_rate=1e-3,
                 alpha=1e-4, batch_size="auto", max_iter=200, tol=1e-4, n_iter_no_change=10, early_stopping=False,
                 validation_fraction=0.1, class_weight=None, random_state=None, verbose=False, warm_start=False):
        super().__init__(
            hidden_layer_sizes, activation, loss=loss, optimizer=optimizer, learning_rate=learning_rate, alpha=alpha,
            batch_size=batch_size, max_iter=max_iter, tol=tol, n_iter_no_change=n_iter_no_change,
            early_stopping=early_stopping, validation_fraction=validation_fraction, random_state=random_state,
            verbose=verbose, warm_start=warm_start)
        self.class_weight = class_weight

    def fit(self, X, y, sample_weight=None):
        """Learn from X (n, features) and one label a row, each row weighing as `sample_weight` (n,) says; the estimator."""
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        weights = rows.checked_weights(sample_weight, X)
        X, y, weights = X[weights > 0], y[weights > 0], weights[weights > 0]
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y must hold at least 2 classes, got one class only: {classes[0]!r}")
        if self.warm_start and hasattr(self, "classes_") and not np.array_equal(classes, self.classes_):
            raise ValueError(f"warm_start goes on with the classes {self.classes_}, got {classes} in y")
        weights = weights * rows.class_weights(self.class_weight, classes, codes, weights)
        default = "cross_entropy" if len(classes) > 2 else "binary_cross_entropy"
        loss = parts.built("loss", default if self.loss is None else self.loss)
        n_out, output, Y = _encoded(loss, codes, len(classes))
        self._train(loss, output, n_out, X, Y, weights, strata=codes)
        self.classes_ = classes
        return self

    def predict(self, X) -> np.ndarray:
        """The likeliest class of every row of X, (n,); the first of equals."""
        scores = self._scores(X)
        return self.classes_[scores.argmax(axis=1)]

    def _scores(self, X) -> np.ndarray:
        """What speaks for each class, (n, classes): its probability, or its margin."""
        outputs = self._outputs(X)
        if outputs.shape[1] == 1:
            against = -outputs if self.out_activation_ == "linear" else 1 - outputs
            return np.column_stack([against, outputs])
        if self.out_activation_ == "sigmoid":
            likely = outputs + np.finfo(float).tiny
            return likely / likely.sum(axis=1, keepdims=True)
        return outputs

    @available_if(_has_probabilities)
    def predict_proba(self, X) -> np.ndarray:
        """The probability of each class in `classes_`, (n, classes); there is none with hinge."""
        return self._scores(X)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X) -> np.ndarray:
        """Its logarithm, −inf where it is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @available_if(_has_margins)
    def decision_function(self, X) -> np.ndarray:
        """With hinge, the margins: (n, classes), or (n,) for two, above 0 for the second."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


def _encoded(loss: losses.Loss, codes: np.ndarray, classes: int) -> tuple[int, str, np.ndarray]:
    """(outputs, their activation, targets) for the classes with those codes."""
    if loss.labels:
        return classes, loss.output, codes.astype(np.int32)
    margins, two = loss.name == "hinge", classes == 2
    Y = (codes[:, None] == (np.array([1]) if two else np.arange(classes))).astype(np.float32)
    output = loss.output or ("linear" if margins else "sigmoid" if two else "softmax")
    return Y.shape[1], output, 2 * Y - 1 if margins else Y


class MLPRegressor(MultiOutputMixin, RegressorMixin, _Perceptron):
    """A multi-layer perceptron that predicts one number a row, or several (N5, N15, N21).

    Args:
      loss: a name in `fnn.losses.LOSSES` but hinge, or a Loss; None: mse. The output is linear, but a sigmoid for
        binary_cross_entropy and a softmax for cross_entropy, whose targets are shares from 0 to 1.
      hidden_layer_sizes, activation, optimizer, learning_rate, alpha, batch_size, max_iter, tol, n_iter_no_change,
        early_stopping, validation_fraction, random_state, verbose, warm_start: as for `MLPClassifier`.

    Attributes, weights, errors, warnings and pickles as for `MLPClassifier`, without classes_. The targets are learnt as they
    are: bring large ones to the size of 1 by `sklearn.compose.TransformedTargetRegressor`.

    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 64)[:, None]
    >>> model = MLPRegressor((16,), "gelu", learning_rate=0.03, max_iter=100, tol=None, random_state=0).fit(X, X[:, 0] ** 2)
    >>> model.score(X, X[:, 0] ** 2) > 0.98, model.network_
    (True, Network(1 -> dense(16, gelu) -> dense(1, linear)))
    """

    def fit(self, X, y, sample_weight=None):
        """Learn from X (n, features) and y, (n,) or (n, outputs), rows weighing as `sample_weight` (n,) says; the estimator."""
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True)
        y = check_array(y, dtype=np.float32, ensure_2d=False, input_name="y")
        weights = rows.checked_weights(sample_weight, X)
        loss = parts.built("loss", "mse" if self.loss is None else self.loss)
        if loss.name == "hinge":
            raise ValueError("loss must be one of values, got hinge, which is of classes; use MLPClassifier")
        if loss.output and (y.min() < 0 or y.max() > 1):
            raise ValueError(f"y must hold shares from 0 to 1 for the loss {loss.name}, got values from {y.min()} to {y.max()}")
        there = weights > 0
        Y = y[there].reshape(np.count_nonzero(there), -1)
        self._train(loss, loss.output or "linear", Y.shape[1], X[there], Y, weights[there], strata=np.zeros(len(Y), int))
        self._one_column = y.ndim == 1
        return self

    def predict(self, X) -> np.ndarray:
        """What is expected of every row of X, shaped as y was: (n,) or (n, outputs)."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._one_column else outputs
