"""`MLPClassifier`: classes, and several labels a row."""

import functools
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from functional_nn import checks, losses
from functional_nn.sklearn import parts, rows
from functional_nn.sklearn.estimators import Perceptron

__all__ = ["MLPClassifier"]

THRESHOLD = {"linear": 0.0}  # of a margin; that of a probability is 0.5


def _has_margins(estimator) -> bool:
    """Whether the outputs are margins (the loss is hinge) and not probabilities."""
    loss = losses.LOSSES.get(estimator.loss) if isinstance(estimator.loss, str) else estimator.loss
    return getattr(loss, "targets", None) == "signs"


def _has_probabilities(estimator) -> bool:
    return not _has_margins(estimator)


class MLPClassifier(ClassifierMixin, Perceptron):
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
        Several labels a row, as columns of 0 and 1 in y, have a sigmoid each.
      optimizer: a name of `fnn.optimizers`, such as "adam" or "sgd"; "lbfgs", which takes all rows
        in each step; or an optax optimiser, which contains its own learning rate.
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
      dropout: the share of the units of each hidden layer that every step drops at random.
      shuffle: whether every epoch takes the rows in a new order.
      momentum, nesterovs_momentum: the momentum of the optimiser "sgd", at least 0 and below 1,
        and whether it is Nesterov's.
      solver, learning_rate_init: scikit-learn's names for optimizer and learning_rate; None where
        these are used. Names of scikit-learn's activations, "identity" and "logistic", are taken
        too.

    Attributes:
      classes_: the classes, (classes,), sorted; the numbers of the columns of y for several labels.
      n_features_in_: the number of columns of X.
      feature_names_in_: their names, if X had names.
      network_: the `Network`.
      params_: its parameters, a pytree as `network_.init` makes it, in float32.
      coefs_, intercepts_: the same as scikit-learn has them, lists of (n_in, n_out) and (n_out,).
      result_: the `Result` of the run of the last `fit`.
      n_iter_, t_: the number of epochs done, and of rows seen in them.
      loss_curve_, loss_: the mean cost of each epoch and of the last, without the penalty.
      validation_loss_curve_, validation_scores_: the cost and the score of the held-out rows after
        each epoch; None without early stopping.
      best_loss_: the lowest value of validation_loss_curve_, or of loss_curve_ without early
        stopping.
      best_validation_score_: the highest of validation_scores_, or None.
      n_layers_, n_outputs_, out_activation_: the number of layers of units, the number of outputs
        and the name of their activation.

    Rows of weight 0 are left out. If every step takes all rows, a row of weight 3 gives the same
    result as three equal rows, bit for bit; in smaller batches its loss counts three times.
    Training is in float32, predictions are in float64. A sparse X is made dense: for training as a
    whole, which takes 4 bytes for each row and column, and for predictions in parts.

    An estimator can be pickled unless a parameter is a function or an optimiser of optax itself;
    cloudpickle can store these too.

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
                 class_weight=None, random_state=None, verbose=False, warm_start=False, dropout=0.0,
                 shuffle=True, solver=None, learning_rate_init=None, momentum=0.0,
                 nesterovs_momentum=True):
        super().__init__(
            hidden_layer_sizes, activation, loss=loss, optimizer=optimizer,
            learning_rate=learning_rate, alpha=alpha, batch_size=batch_size, max_iter=max_iter,
            tol=tol, n_iter_no_change=n_iter_no_change, early_stopping=early_stopping,
            validation_fraction=validation_fraction, random_state=random_state, verbose=verbose,
            warm_start=warm_start, dropout=dropout, shuffle=shuffle, solver=solver,
            learning_rate_init=learning_rate_init, momentum=momentum,
            nesterovs_momentum=nesterovs_momentum)
        self.class_weight = class_weight

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X, y, sample_weight=None):
        """Train on labelled rows and return the estimator.

        Args:
          X: (n, features), dense or sparse.
          y: (n,), the label of each row; at least two different ones. Or (n, labels) of 0 and 1,
            several labels a row.
          sample_weight: (n,), the weight of each row, at least 0 and not all 0; None for 1.
        """
        rows.check_apart(X)
        X, y, weights = self._rows(X, y, sample_weight, reset=True)
        several = y.ndim == 2
        classes = np.arange(y.shape[1]) if several else np.unique(y)
        if len(classes) < 2 and not several:
            raise ValueError("y must hold at least 2 classes, got one class only: "
                             f"{classes.tolist()[0]!r}")
        if (self.warm_start and hasattr(self, "classes_")
                and not np.array_equal(classes, self.classes_)):
            raise ValueError(f"warm_start goes on with the classes {self.classes_}, "
                             f"got {classes} in y")
        loss, n_out, output, Y, codes, weights = self._encoded(y, classes, weights)
        self._train(loss, output, n_out, X, Y, weights, codes,
                    functools.partial(_share_right, several, output))
        self.classes_, self._several = classes, several
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch on some of the rows, from where the last call ended.

        Calls with other numbers of rows share what is compiled. The first call after a `fit` begins
        with a new state of the optimiser.

        Args:
          X, y, sample_weight: as for `fit`; y may hold one class only.
          classes: all classes; needed in the first call unless y holds several labels a row.
        """
        fitted = hasattr(self, "params_")
        X, y, weights = self._rows(X, y, sample_weight, reset=not fitted)
        several = y.ndim == 2
        if several:
            classes = np.arange(y.shape[1])
        elif classes is not None:
            classes = unique_labels(classes)
        elif not fitted:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if fitted and classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(f"classes must be those of the first call, {self.classes_}, "
                             f"got {classes}")
        classes = self.classes_ if fitted else classes
        if isinstance(self.class_weight, str):
            raise ValueError(f"class_weight={self.class_weight!r} needs all rows at once, so "
                             "partial_fit takes a dict or None")
        if not several and (strange := np.setdiff1d(y, classes)).size:
            raise ValueError(f"y must hold the classes {classes}, got {strange} too")
        loss, n_out, output, Y, _, weights = self._encoded(y, classes, weights)
        self._train_once(loss, output, n_out, X, Y, weights)
        self.classes_, self._several = classes, several
        return self

    def _rows(self, X, y, sample_weight, reset: bool) -> tuple:
        """The rows of weight above 0, as dense arrays: `(X, y, weights)`."""
        checks.unmasked(X=X, y=y, sample_weight=sample_weight)
        shape = y.shape if scipy.sparse.issparse(y) else np.asarray(y).shape
        several = len(shape) == 2 and shape[1] > 1
        X, y = validate_data(self, X, y, dtype=np.float32, accept_sparse="csr", reset=reset,
                             multi_output=several)
        check_classification_targets(y)
        if several and type_of_target(y) != "multilabel-indicator":
            raise ValueError("y of several columns must hold labels, 0 or 1, got "
                             f"{type_of_target(y)} targets; train one estimator a column with "
                             "sklearn.multioutput.MultiOutputClassifier")
        weights = checks.bounded(rows.checked_weights(sample_weight, X))
        there = weights > 0
        return parts.dense(X[there]), parts.dense(y[there], "y"), weights[there]

    def _encoded(self, y, classes, weights) -> tuple:
        """`(loss, n_out, output, Y, strata, weights)`, with the weights of the classes."""
        several = y.ndim == 2
        default = "cross_entropy" if len(classes) > 2 and not several else "binary_cross_entropy"
        loss = parts.built("loss", default if self.loss is None else self.loss)
        if several:
            if loss.labels:
                raise ValueError(f"loss must suit several labels a row, got {loss.name}, which "
                                 "takes one class; use binary_cross_entropy")
            if self.class_weight is not None:
                raise ValueError("class_weight must be None for several labels a row, got "
                                 f"{self.class_weight!r}; use sample_weight")
            strata = np.zeros(len(y), int)
            return loss, y.shape[1], *_as_targets(loss, y, "sigmoid"), strata, weights
        codes = np.searchsorted(classes, y)
        weights = weights * rows.class_weights(self.class_weight, classes, codes, weights)
        if loss.labels:
            return loss, len(classes), loss.output, codes.astype(np.int32), codes, weights
        two = len(classes) == 2
        Y = codes[:, None] == (np.array([1]) if two else np.arange(len(classes)))
        output = "sigmoid" if two else "softmax"
        return loss, Y.shape[1], *_as_targets(loss, Y, output), codes, weights

    def predict(self, X) -> np.ndarray:
        """The most probable class of every row of X, (n,); the first in `classes_` of equal ones.

        With the loss hinge it is the class with the largest margin. Of several labels, (n, labels)
        of 0 and 1: those with a probability above ½, or a margin above 0.
        """
        scores = self._scores(X)
        if self._several:
            return (scores > THRESHOLD.get(self.out_activation_, 0.5)).astype(int)
        return self.classes_[scores.argmax(axis=1)]

    def _scores(self, X) -> np.ndarray:
        """The score of each class, (n, classes): its probability, or its margin for hinge."""
        outputs = self._outputs(X)
        if self._several:
            return outputs
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

        Of several labels, the probability of each, (n, labels). The method does not exist for the
        loss hinge.
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


def _share_right(several: bool, output: str, Y, outputs, weights) -> float:
    """The weighted share of rows whose prediction is right; of several labels, all of them."""
    if several or outputs.shape[1] == 1:
        bound = THRESHOLD.get(output, 0.5)
        right = ((outputs > bound) == (bound < Y)).all(axis=1)
    else:
        right = outputs.argmax(axis=1) == (Y if Y.ndim == 1 else Y.argmax(axis=1))
    return np.average(right, weights=weights)


def _as_targets(loss: losses.Loss, Y: np.ndarray, output: str) -> tuple[Any, np.ndarray]:
    """The name of the output activation, and the targets for the loss.

    Args:
      loss: the loss.
      Y: (n, outputs), 0 and 1.
      output: the activation where the loss suits any.

    The targets are in {−1, 1} for hinge and {0, 1} for other losses.
    """
    margins, Y = loss.targets == "signs", Y.astype(np.float32)
    return loss.output or ("linear" if margins else output), 2 * Y - 1 if margins else Y
