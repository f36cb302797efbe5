"""The common part of the estimators: scikit-learn's interface around one call of `fit`."""

import numbers
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from functional_nn import checks, losses
from functional_nn.network import Network
from functional_nn.sklearn import online, parts, rows
from functional_nn.training import Result, fit

__all__ = ["Perceptron"]


class Perceptron(BaseEstimator):
    """The common part of the classifier and the regressor."""

    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, loss=None, optimizer="adam",
                 learning_rate=1e-3, alpha=1e-4, batch_size="auto", max_iter=200, tol=1e-4,
                 n_iter_no_change=10, early_stopping=False, validation_fraction=0.1,
                 random_state=None, verbose=False, warm_start=False, dropout=0.0, shuffle=True,
                 solver=None, learning_rate_init=None, momentum=0.0, nesterovs_momentum=True):
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
        self.dropout = dropout
        self.shuffle = shuffle
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def network_(self) -> Network:
        """The network of the fitted estimator."""
        check_is_fitted(self)
        return parts.network(*self._architecture)

    @property
    def n_layers_(self) -> int:
        """The number of layers of units, those of the input and the output included."""
        return len(self._matrices()) + 1

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each layer, (n_in, n_out), transposed as scikit-learn has them."""
        return [w.T for w, _ in self._matrices()]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each layer, (n_out,)."""
        return [b for _, b in self._matrices()]

    def _matrices(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The weights and biases of each dense layer."""
        check_is_fitted(self)
        return [(np.asarray(layer["w"]), np.asarray(layer["b"])) for layer in self.params_ if layer]

    @property
    def loss_(self) -> float:
        """The cost of the last epoch."""
        check_is_fitted(self)
        return self.loss_curve_[-1]

    @property
    def n_iter_(self) -> int:
        """The number of epochs done."""
        check_is_fitted(self)
        return len(self.loss_curve_)

    @property
    def n_outputs_(self) -> int:
        """The number of outputs of the network."""
        return self.network_.n_out

    @property
    def out_activation_(self) -> str:
        """The name of the activation of the outputs."""
        return self.network_.output.name

    @property
    def best_loss_(self) -> float:
        """The lowest cost of an epoch: of the held-out rows, or of all without early stopping."""
        check_is_fitted(self)
        return min(self.validation_loss_curve_ or self.loss_curve_)

    @property
    def best_validation_score_(self) -> float | None:
        """The highest of `validation_scores_`; None without early stopping."""
        check_is_fitted(self)
        return None if self.validation_scores_ is None else max(self.validation_scores_)

    def _given(self, n_in: int, output: str, n_out: int) -> tuple:
        """`(architecture, optimizer, penalty, seed)` as the parameters ask for, checked."""
        drop = checks.number("dropout", self.dropout, low=0, high=1 - 1e-6,
                             wanted="the share of hidden units to drop, from 0 to below 1")
        architecture = (parts.sizes(n_in, self.hidden_layer_sizes, n_out),
                        parts.built("activation", self.activation), output, drop)
        return (architecture,
                parts.optimizer(*parts.own_names(self), self.momentum, self.nesterovs_momentum),
                parts.penalty(self.alpha), _seed(self.random_state))

    def _train(self, loss: losses.Loss, output: str, n_out: int, X, Y, weights, strata,
               scored: Callable) -> None:
        """Train on checked rows by one call of `fit`, and set the attributes of a fitted estimator.

        Args:
          loss, output, n_out: the loss, the name of the output activation, the number of outputs.
          X, Y, weights: (n, features), targets of n rows, and (n,), all above 0.
          strata: (n,), integers; early stopping holds out the same share of every stratum.
          scored: (Y, outputs, weights) -> the score of held-out rows.
        """
        architecture, optimizer, penalty, seed = self._given(X.shape[1], output, n_out)
        net = parts.network(*architecture)
        goes_on = self.warm_start and hasattr(self, "params_")
        if goes_on and architecture[0] != self._architecture[0]:
            raise ValueError(
                f"warm_start goes on with the parameters of the previous fit, of layers of "
                f"{self._architecture[0]} units, got {architecture[0]}; keep hidden_layer_sizes, "
                "the columns of X and the outputs, or set warm_start=False")
        size = len(X) if parts.takes_all(optimizer) else parts.batch_size(self.batch_size, len(X))
        stop, fraction = (parts.stopping(self.tol, self.n_iter_no_change),
                          parts.share("validation_fraction", self.validation_fraction))
        if size == len(X):
            first, weights = rows.merged(X, Y, weights)
            X, Y, strata = X[first], Y[first], strata[first]
        kept = (rows.held_out(strata, fraction, seed) if self.early_stopping
                else np.zeros(len(X), bool))
        units = self._units if goes_on else self._units_of(loss, Y[~kept], weights[~kept])
        Y, judge = units.learnt(Y), None
        if self.early_stopping:
            judge = rows.Judge(net, loss, X[kept], Y[kept], _scaled(weights[kept]), stop, scored)
            X, Y, weights, stop = X[~kept], Y[~kept], weights[~kept], None
        result = fit(
            net, loss, optimizer, (X, Y), key=jax.random.key(seed),
            epochs=checks.integer("max_iter", self.max_iter), batch_size=min(size, len(X)),
            params=self.params_ if goes_on else None, penalty=penalty, shuffle=bool(self.shuffle),
            sample_weights=_scaled(weights) if np.ptp(weights) else None, stop=stop,
            callbacks=[judge] if judge else [], progress=bool(self.verbose))
        if result.stopped.reason == "diverged":
            raise ValueError(f"{type(self).__name__} {result.stopped}")
        self._architecture, self._units = architecture, units
        self._keep(result, judge, len(X))

    def _units_of(self, loss: losses.Loss, Y: np.ndarray, weights: np.ndarray) -> rows.Units:
        """The units of the targets Y, which the network does not learn in."""
        return rows.Units(0.0, 1.0)

    def _keep(self, result: Result, judge: rows.Judge | None, n: int) -> None:
        """Set the attributes of a finished run; a ConvergenceWarning if it was cut short."""
        self.result_ = result if judge is None else result._replace(params=judge.best)
        self.params_ = self.result_.params
        self._online = None
        self.loss_curve_ = result.history["cost"].tolist()
        self.t_ = n * len(self.loss_curve_)
        self.validation_loss_curve_ = None if judge is None else judge.costs
        self.validation_scores_ = None if judge is None else judge.scores
        said = f"{type(self).__name__} has not converged: "
        if result.stopped.reason == "interrupted":
            warnings.warn(f"{said}it was interrupted after epoch {self.n_iter_}, and keeps what it "
                          "had learnt", ConvergenceWarning, stacklevel=4)
        elif self.tol is not None and result.stopped.reason == "epochs":
            warnings.warn(f"{said}max_iter={self.n_iter_} came first, with tol={self.tol} and "
                          f"n_iter_no_change={self.n_iter_no_change}; raise max_iter, or pass "
                          "tol=None for exactly that many epochs",
                          ConvergenceWarning, stacklevel=4)

    def _train_once(self, loss: losses.Loss, output: str, n_out: int, X, Y, weights) -> None:
        """One epoch on the rows of a call of `partial_fit`; the arguments are those of `_train`."""
        architecture, optimizer, penalty, seed = self._given(X.shape[1], output, n_out)
        if parts.takes_all(optimizer):
            raise ValueError("partial_fit needs an optimizer that learns from parts of the rows, "
                             "got 'lbfgs'; use 'adam' or 'sgd'")
        fitted = hasattr(self, "params_")
        if fitted and architecture[0] != self._architecture[0]:
            raise ValueError(
                f"partial_fit goes on with layers of {self._architecture[0]} units, got "
                f"{architecture[0]}; clone the estimator to begin anew")
        units = self._units if fitted else self._units_of(loss, Y, weights)
        progress, cost = online.epoch(
            online.Learner(parts.network(*architecture), loss, optimizer, penalty),
            online.begin(self.params_ if fitted else None, seed)
            if not fitted or self._online is None else self._online,
            X, units.learnt(Y), weights,
            None if self.batch_size is None else parts.batch_size(self.batch_size, 2**30),
            shuffle=bool(self.shuffle))
        if not np.isfinite(cost):
            raise ValueError(f"{type(self).__name__} diverged in partial_fit, and keeps the "
                             "parameters from before; try a smaller learning rate")
        if not fitted:
            self.loss_curve_, self.t_ = [], 0
            self.validation_loss_curve_ = self.validation_scores_ = None
        self._architecture, self._units, self._online = architecture, units, progress
        self.params_ = progress.params
        self.loss_curve_ = [*self.loss_curve_, cost]
        self.t_ += len(X)

    def _outputs(self, X) -> np.ndarray:
        """The outputs of the network for every row of X, (n, n_out) in float64."""
        check_is_fitted(self)
        checks.unmasked(X=X)
        return parts.outputs(
            self.network_, self.params_,
            validate_data(self, X, dtype=np.float32, reset=False, accept_sparse="csr"))


def _seed(random_state: Any) -> int:
    """The seed for `jax.random.key`: `random_state` if it is an integer, else a drawn one."""
    generator = check_random_state(random_state)
    return (int(random_state) if isinstance(random_state, numbers.Integral)
            else int(generator.randint(2**31 - 1)))


def _scaled(weights: np.ndarray) -> np.ndarray:
    """The weights scaled to a mean of 1, so that they lie in the range of float32."""
    weights = checks.bounded(weights)
    return (weights / weights.mean()).astype(np.float32)
