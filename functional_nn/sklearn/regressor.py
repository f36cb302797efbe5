"""`MLPRegressor`: one or several values a row."""

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from functional_nn import checks, losses
from functional_nn.sklearn import parts, rows
from functional_nn.sklearn.estimators import Perceptron

__all__ = ["MLPRegressor"]


class MLPRegressor(MultiOutputMixin, RegressorMixin, Perceptron):
    """A multi-layer perceptron for regression, with one or several outputs (N5, N15, N21).

    Args:
      loss: a name in `fnn.losses.LOSSES` except hinge, or a Loss; None means mse. The output is
        linear. For binary_cross_entropy it is a sigmoid and for cross_entropy a softmax: their
        targets must lie between 0 and 1.
      scale_targets: whether the network learns the standardised targets, with mean 0 and deviation
        1 in each column; predictions are in the units of y. The costs, and hyper-parameters of a
        loss such as the δ of huber, are then in units of the deviation. Targets of a loss of shares
        are never scaled.
      hidden_layer_sizes, activation, optimizer, learning_rate, alpha, batch_size, max_iter, tol,
        n_iter_no_change, early_stopping, validation_fraction, random_state, verbose, warm_start,
        dropout, shuffle, solver, learning_rate_init, momentum, nesterovs_momentum: as for
        `MLPClassifier`.

    Attributes, weights, errors, warnings and pickling are those of `MLPClassifier`, without
    `classes_`. `target_mean_` and `target_scale_` are the mean and the deviation of each target, or
    0 and 1. `coefs_` and `intercepts_` give the predictions in the units of y.

    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 64)[:, None]
    >>> model = MLPRegressor((16,), "gelu", learning_rate=0.03, max_iter=100, tol=None,
    ...                      random_state=0).fit(X, 1000 * X[:, 0] ** 2)
    >>> model.score(X, 1000 * X[:, 0] ** 2) > 0.98, model.network_
    (True, Network(1 -> dense(16, gelu) -> dense(1, linear)))
    """

    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, loss=None, optimizer="adam",
                 learning_rate=1e-3, alpha=1e-4, batch_size="auto", max_iter=200, tol=1e-4,
                 n_iter_no_change=10, early_stopping=False, validation_fraction=0.1,
                 random_state=None, verbose=False, warm_start=False, dropout=0.0, shuffle=True,
                 solver=None, learning_rate_init=None, momentum=0.0, nesterovs_momentum=True,
                 scale_targets=True):
        super().__init__(
            hidden_layer_sizes, activation, loss=loss, optimizer=optimizer,
            learning_rate=learning_rate, alpha=alpha, batch_size=batch_size, max_iter=max_iter,
            tol=tol, n_iter_no_change=n_iter_no_change, early_stopping=early_stopping,
            validation_fraction=validation_fraction, random_state=random_state, verbose=verbose,
            warm_start=warm_start, dropout=dropout, shuffle=shuffle, solver=solver,
            learning_rate_init=learning_rate_init, momentum=momentum,
            nesterovs_momentum=nesterovs_momentum)
        self.scale_targets = scale_targets

    def fit(self, X, y, sample_weight=None):
        """Train on rows with their targets and return the estimator.

        Args:
          X: (n, features), dense or sparse.
          y: (n,) or (n, outputs), numbers.
          sample_weight: (n,), the weight of each row, at least 0 and not all 0; None for 1.
        """
        rows.check_apart(X)
        X, y, weights = self._rows(X, y, sample_weight, reset=True)
        loss, output = self._head(y)
        Y = y.reshape(len(y), -1)
        self._train(loss, output, Y.shape[1], X, Y, weights, np.zeros(len(Y), int), _r2)
        self._one_column = y.ndim == 1
        return self

    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch on some of the rows, from where the last call ended.

        Calls with other numbers of rows share what is compiled. The first call decides the mean and
        the deviation that the targets are standardised with, and the first call after a `fit`
        begins with a new state of the optimiser. The arguments are those of `fit`.
        """
        X, y, weights = self._rows(X, y, sample_weight, reset=not hasattr(self, "params_"))
        loss, output = self._head(y)
        Y = y.reshape(len(y), -1)
        self._train_once(loss, output, Y.shape[1], X, Y, weights)
        self._one_column = y.ndim == 1
        return self

    def _rows(self, X, y, sample_weight, reset: bool) -> tuple:
        """The rows of weight above 0, as dense arrays, y in float64: `(X, y, weights)`."""
        checks.unmasked(X=X, y=y, sample_weight=sample_weight)
        X, y = validate_data(self, X, y, dtype=np.float32, accept_sparse="csr", multi_output=True,
                             y_numeric=True, reset=reset)
        y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        weights = checks.bounded(rows.checked_weights(sample_weight, X))
        there = weights > 0
        return parts.dense(X[there]), y[there], weights[there]

    def _head(self, y: np.ndarray) -> tuple:
        """`(loss, output)`: the loss and the name of the output activation."""
        loss = parts.built("loss", "mse" if self.loss is None else self.loss)
        if loss.targets == "signs":
            raise ValueError(f"loss must be one of values, got {loss.name}, which is of classes; "
                             "use MLPClassifier")
        if loss.output and (y.min() < 0 or y.max() > 1):
            raise ValueError(f"y must hold shares from 0 to 1 for the loss {loss.name}, got values "
                             f"from {y.min()} to {y.max()}")
        return loss, loss.output or "linear"

    def _units_of(self, loss: losses.Loss, Y: np.ndarray, weights: np.ndarray) -> rows.Units:
        scaled = self.scale_targets and not loss.output
        n_out = Y.shape[1]
        return (rows.units_of(Y, weights) if scaled
                else rows.Units(np.zeros(n_out), np.ones(n_out)))

    @property
    def target_mean_(self) -> np.ndarray:
        """The mean of each target, (outputs,); 0 where targets are not scaled."""
        check_is_fitted(self)
        return self._units.mean

    @property
    def target_scale_(self) -> np.ndarray:
        """The deviation of each target, (outputs,); 1 where targets are not scaled."""
        check_is_fitted(self)
        return self._units.scale

    def _matrices(self) -> list:
        *inner, (w, b) = super()._matrices()
        return [*inner, (w * self.target_scale_[:, None], b * self.target_scale_
                         + self.target_mean_)]

    def predict(self, X) -> np.ndarray:
        """The predicted targets of every row of X, in the shape and units of y."""
        outputs = self._outputs(X) * self.target_scale_ + self.target_mean_
        return outputs[:, 0] if self._one_column else outputs


def _r2(Y, outputs, weights) -> float:
    """R² of rows, the same in any units; NaN for fewer than two rows and where it diverged."""
    if len(Y) < 2 or not np.isfinite(outputs).all():
        return float("nan")
    return r2_score(Y, outputs, sample_weight=weights)
