"""The estimators: scikit-learn's interface around one call of `fit`."""

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
    """The common part of the classifier and the regressor."""

    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, loss=None, optimizer="adam",
                 learning_rate=1e-3, alpha=1e-4, batch_size="auto", max_iter=200, tol=1e-4,
                 n_iter_no_change=10, early_stopping=False, validation_fraction=0.1,
                 random_state=None, verbose=False, warm_start=False):
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
        """The network of the fitted estimator."""
        check_is_fitted(self)
        return parts.network(*self._architecture)

    def _train(self, loss: losses.Loss, output: str, n_out: int, X, Y, weights, strata) -> None:
        """Train on checked rows by one call of `fit`, and set the attributes of a fitted estimator.

        Args:
          loss, output, n_out: the loss, the name of the output activation, the number of outputs.
          X, Y, weights: (n, features), targets of n rows, and (n,), all above 0.
          strata: (n,), integers; early stopping holds out the same share of every stratum.
        """
        architecture = (parts.sizes(X.shape[1], self.hidden_layer_sizes, n_out),
                        parts.stored(parts.built("activation", self.activation)), output)
        net, seed, size = (parts.network(*architecture), _seed(self.random_state),
                           parts.batch_size(self.batch_size, len(X)))
        stop, fraction = (parts.stopping(self.tol, self.n_iter_no_change),
                          parts.share("validation_fraction", self.validation_fraction))
        if size == len(X):
            first, weights = rows.merged(X, Y, weights)
            X, Y, strata = X[first], Y[first], strata[first]
        judge = None
        if self.early_stopping:
            kept = rows.held_out(strata, fraction, seed)
            judge = rows.Judge(net, loss, X[kept], Y[kept], _scaled(weights[kept]), stop)
            X, Y, weights, stop = X[~kept], Y[~kept], weights[~kept], None
        result = fit(
            net, loss, parts.optimizer(self.optimizer, self.learning_rate), (X, Y),
            key=jax.random.key(seed), epochs=checks.integer("max_iter", self.max_iter),
            batch_size=min(size, len(X)),
            params=self.params_ if self.warm_start and hasattr(self, "params_") else None,
            penalty=parts.penalty(self.alpha),
            sample_weights=_scaled(weights) if np.ptp(weights) else None, stop=stop,
            callbacks=[judge] if judge else [], progress=bool(self.verbose))
        if result.stopped.reason == "diverged":
            raise ValueError(f"{type(self).__name__} {result.stopped}")
        self._architecture = architecture
        self._keep(result, judge)

    def _keep(self, result: Result, judge: rows.Judge | None) -> None:
        """Set the attributes of a finished run; a ConvergenceWarning if it was cut short."""
        self.result_ = result if judge is None else result._replace(params=judge.best)
        self.params_ = self.result_.params
        self.loss_curve_ = result.history["cost"].tolist()
        self.validation_loss_curve_ = None if judge is None else judge.costs
        self.best_loss_ = min(self.loss_curve_ if judge is None else judge.costs)
        self.n_iter_ = len(self.loss_curve_)
        self.n_outputs_, self.out_activation_ = self.network_.n_out, self.network_.output.name
        said = f"{type(self).__name__} has not converged: "
        if result.stopped.reason == "interrupted":
            warnings.warn(f"{said}it was interrupted after epoch {self.n_iter_}, and keeps what it "
                          "had learnt", ConvergenceWarning, stacklevel=4)
        elif self.tol is not None and result.stopped.reason == "epochs":
            warnings.warn(f"{said}max_iter={self.n_iter_} came first, with tol={self.tol} and "
                          f"n_iter_no_change={self.n_iter_no_change}; raise max_iter, or pass "
                          "tol=None for exactly that many epochs",
                          ConvergenceWarning, stacklevel=4)

    def _outputs(self, X) -> np.ndarray:
        """The outputs of the network for every row of X, (n, n_out) in float64."""
        check_is_fitted(self)
        checks.unmasked(X=X)
        return parts.outputs(self.network_, self.params_,
                             validate_data(self, X, dtype=np.float32, reset=False))


def _seed(random_state: Any) -> int:
    """The seed for `jax.random.key`: `random_state` if it is an integer, else a drawn one."""
    generator = check_random_state(random_state)
    return (int(random_state) if isinstance(random_state, numbers.Integral)
            else int(generator.randint(2**31 - 1)))


def _scaled(weights: np.ndarray) -> np.ndarray:
    """The weights scaled to a mean of 1, so that they lie in the range of float32."""
    weights = checks.bounded(weights)
    return (weights / weights.mean()).astype(np.float32)


def _has_margins(estimator) -> bool:
    """Whether the outputs are margins (the loss is hinge) and not probabilities."""
    loss = losses.LOSSES.get(estimator.loss) if isinstance(estimator.loss, str) else estimator.loss
    return getattr(loss, "targets", None) == "signs"


def _has_probabilities(estimator) -> bool:
    return not _has_margins(estimator)


class MLPClassifier(ClassifierMixin, _Perceptron):
    """A multi-layer perceptron for classification (N5, N7, N21).

    Args:
      hidden_layer_sizes: the number of units of each hidden layer, the first layer first; () for
        none.
      activation: the activation of the hidden layers, a name in `fnn.activations.ACTIVATIONS` or
        an Activation.
      loss: a name in `fnn.losses.LOSSES` or a Loss. None means binary_cross_entropy of a single
        output for two classes, and cross_entropy for more classes. The loss decides the output:
        cross_entropy: softmax;
        binary_cross_entropy: a sigmoid; for more than two classes one per class, each class
          against the rest;
        hinge: linear margins, which give no probabilities;
        any other: a sigmoid for two classes, softmax for more.
      optimizer: a name of `fnn.optimizers`, such as "adam" or "sgd"; or an optax optimiser, which
        contains its own learning rate.
      learning_rate: a number, or a schedule step count -> rate. It applies to an optimiser that
        is given by name.
      alpha: strength of the penalty ½ α Σ w² on the weights. scikit-learn's own estimators divide
        this by the number of rows.
      batch_size: rows per step. "auto": 200; None: all rows. If there are fewer rows, all.
      max_iter: the largest number of epochs.
      tol, n_iter_no_change: training stops when the last `n_iter_no_change` epochs did not improve
        the best cost by more than the share `tol` of it. tol=None: never.
      early_stopping: whether to stop by the cost of held-out rows, and to keep the parameters of
        the epoch with the lowest such cost.
      validation_fraction: the share of the rows that early stopping holds out, the same in every
        class; above 0 and below 1.
      class_weight: the weight of each class, which multiplies the weights of its rows: a dict
        class -> weight; "balanced" for classes of equal total weight; None for 1.
      random_state: seed of the initial parameters, the order of the rows and the held-out rows.
        0 means `key=jax.random.key(0)` in `fit`. None or a NumPy RandomState: draw a seed.
      verbose: whether to show progress on stderr.
      warm_start: whether to start from the parameters of the previous `fit`.

    Attributes:
      classes_: the classes, (classes,), sorted.
      n_features_in_: the number of columns of X.
      feature_names_in_: their names, if X had names.
      network_: the `Network`.
      params_: its parameters, a pytree as `network_.init` makes it, in float32.
      result_: the `Result` of the run.
      n_iter_: the number of epochs done.
      loss_curve_: the mean cost of each epoch, without the penalty.
      validation_loss_curve_: the cost of the held-out rows after each epoch; None without early
        stopping.
      best_loss_: the lowest value of validation_loss_curve_, or of loss_curve_ without early
        stopping.
      n_outputs_, out_activation_: the number of outputs and the name of their activation.

    Rows of weight 0 are left out. If every step takes all rows, a row of weight 3 gives the same
    result as three equal rows, bit for bit; in smaller batches its loss counts three times.
    Training is in float32, predictions are in float64.

    An estimator can be pickled unless a parameter is a function or an optax optimiser; cloudpickle
    can store these too.

    Raises, in `fit`:
      TypeError, ValueError: a parameter is wrong; the message names it.
      ValueError: training diverged.

    Warns in `fit` with a ConvergenceWarning if `max_iter` is reached before convergence or the
    training is interrupted.

    >>> import numpy as np
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> y = np.array(["same", "different", "different", "same"])
    >>> model = MLPClassifier((8,), "tanh", learning_rate=0.1, max_iter=100, tol=None,
    ...                       random_state=0).fit(X, y)
    >>> print(model.predict(X), model.network_)
    ['same' 'different' 'different' 'same'] Network(2 -> dense(8, tanh) -> dense(1, sigmoid))
    """

    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, loss=None, optimizer="adam",
                 learning_rate=1e-3, alpha=1e-4, batch_size="auto", max_iter=200, tol=1e-4,
                 n_iter_no_change=10, early_stopping=False, validation_fraction=0.1,
                 class_weight=None, random_state=None, verbose=False, warm_start=False):
        super().__init__(
            hidden_layer_sizes, activation, loss=loss, optimizer=optimizer,
            learning_rate=learning_rate, alpha=alpha, batch_size=batch_size, max_iter=max_iter,
            tol=tol, n_iter_no_change=n_iter_no_change, early_stopping=early_stopping,
            validation_fraction=validation_fraction, random_state=random_state, verbose=verbose,
            warm_start=warm_start)
        self.class_weight = class_weight

    def fit(self, X, y, sample_weight=None):
        """Train on labelled rows and return the estimator.

        Args:
          X: (n, features).
          y: (n,), the label of each row; at least two different ones.
          sample_weight: (n,), the weight of each row, at least 0 and not all 0; None for 1.
        """
        checks.unmasked(X=X, y=y, sample_weight=sample_weight)
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        weights = checks.bounded(rows.checked_weights(sample_weight, X))
        X, y, weights = X[weights > 0], y[weights > 0], weights[weights > 0]
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y must hold at least 2 classes, got one class only: {classes[0]!r}")
        if (self.warm_start and hasattr(self, "classes_")
                and not np.array_equal(classes, self.classes_)):
            raise ValueError(f"warm_start goes on with the classes {self.classes_}, "
                             f"got {classes} in y")
        weights = weights * rows.class_weights(self.class_weight, classes, codes, weights)
        default = "cross_entropy" if len(classes) > 2 else "binary_cross_entropy"
        loss = parts.built("loss", default if self.loss is None else self.loss)
        n_out, output, Y = _encoded(loss, codes, len(classes))
        self._train(loss, output, n_out, X, Y, weights, strata=codes)
        self.classes_ = classes
        return self

    def predict(self, X) -> np.ndarray:
        """The most probable class of every row of X, (n,); the first in `classes_` of equal ones.

        With the loss hinge it is the class with the largest margin.
        """
        scores = self._scores(X)
        return self.classes_[scores.argmax(axis=1)]

    def _scores(self, X) -> np.ndarray:
        """The score of each class, (n, classes): its probability, or its margin for hinge."""
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
        """The probability of each class, (n, classes), in the order of `classes_`.

        The method does not exist for the loss hinge.
        """
        return self._scores(X)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X) -> np.ndarray:
        """The logarithm of `predict_proba`, (n, classes); −inf for a probability of 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @available_if(_has_margins)
    def decision_function(self, X) -> np.ndarray:
        """The margins, (n, classes); for two classes (n,), positive for the second class.

        The method exists for the loss hinge only.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


def _encoded(loss: losses.Loss, codes: np.ndarray, classes: int) -> tuple[int, str, np.ndarray]:
    """The number of outputs, the name of their activation, and the targets.

    Args:
      loss: the loss.
      codes: (n,), the index of the class of each row.
      classes: the number of classes.

    The targets are `codes` for a loss that takes integer classes. Otherwise they are one-hot,
    (n, classes), or (n, 1) for two classes; in {−1, 1} for hinge and {0, 1} for other losses.
    """
    if loss.labels:
        return classes, loss.output, codes.astype(np.int32)
    margins, two = loss.targets == "signs", classes == 2
    Y = (codes[:, None] == (np.array([1]) if two else np.arange(classes))).astype(np.float32)
    output = loss.output or ("linear" if margins else "sigmoid" if two else "softmax")
    return Y.shape[1], output, 2 * Y - 1 if margins else Y


class MLPRegressor(MultiOutputMixin, RegressorMixin, _Perceptron):
    """A multi-layer perceptron for regression, with one or several outputs (N5, N15, N21).

    Args:
      loss: a name in `fnn.losses.LOSSES` except hinge, or a Loss; None means mse. The output is
        linear. For binary_cross_entropy it is a sigmoid and for cross_entropy a softmax: their
        targets must lie between 0 and 1.
      hidden_layer_sizes, activation, optimizer, learning_rate, alpha, batch_size, max_iter, tol,
        n_iter_no_change, early_stopping, validation_fraction, random_state, verbose, warm_start:
        as for `MLPClassifier`.

    Attributes, weights, errors, warnings and pickling are those of `MLPClassifier`, without
    `classes_`. The targets are not scaled: bring large targets to the size of 1, for example by
    `sklearn.compose.TransformedTargetRegressor`.

    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 64)[:, None]
    >>> model = MLPRegressor((16,), "gelu", learning_rate=0.03, max_iter=100, tol=None,
    ...                      random_state=0).fit(X, X[:, 0] ** 2)
    >>> model.score(X, X[:, 0] ** 2) > 0.98, model.network_
    (True, Network(1 -> dense(16, gelu) -> dense(1, linear)))
    """

    def fit(self, X, y, sample_weight=None):
        """Train on rows with their targets and return the estimator.

        Args:
          X: (n, features).
          y: (n,) or (n, outputs), numbers.
          sample_weight: (n,), the weight of each row, at least 0 and not all 0; None for 1.
        """
        checks.unmasked(X=X, y=y, sample_weight=sample_weight)
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True)
        y = check_array(y, dtype=np.float32, ensure_2d=False, input_name="y")
        weights = checks.bounded(rows.checked_weights(sample_weight, X))
        loss = parts.built("loss", "mse" if self.loss is None else self.loss)
        if loss.targets == "signs":
            raise ValueError(f"loss must be one of values, got {loss.name}, which is of classes; "
                             "use MLPClassifier")
        if loss.output and (y.min() < 0 or y.max() > 1):
            raise ValueError(f"y must hold shares from 0 to 1 for the loss {loss.name}, got values "
                             f"from {y.min()} to {y.max()}")
        there = weights > 0
        Y = y[there].reshape(np.count_nonzero(there), -1)
        self._train(loss, loss.output or "linear", Y.shape[1], X[there], Y, weights[there],
                    strata=np.zeros(len(Y), int))
        self._one_column = y.ndim == 1
        return self

    def predict(self, X) -> np.ndarray:
        """The predicted targets of every row of X, in the shape of y: (n,) or (n, outputs)."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._one_column else outputs
