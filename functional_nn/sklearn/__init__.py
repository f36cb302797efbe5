"""Estimators for scikit-learn: `MLPClassifier` and `MLPRegressor`, thin layers over `fit`.

They work with `Pipeline`, `GridSearchCV`, `cross_val_score` and tables with named columns, as
scikit-learn's own estimators do. Standardise the inputs: networks train badly on large numbers
(N20). Most names of scikit-learn's own perceptrons are taken too; docs/tables.md lists them beside
ours.

>>> from sklearn.datasets import load_wine
>>> from sklearn.model_selection import train_test_split
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> X, X_test, y, y_test = train_test_split(*load_wine(return_X_y=True), random_state=0)
>>> mlp = MLPClassifier((16,), learning_rate=0.03, max_iter=40, tol=None, random_state=0)
>>> model = make_pipeline(StandardScaler(), mlp)
>>> print(f"{model.fit(X, y).score(X_test, y_test):.0%} right")
98% right

They train as `fit` does: `random_state=0` means `key=jax.random.key(0)`, `params_` is a pytree as
`network_.init` makes it, and `result_` is the `Result` of the run. They train in float32, whatever
the dtype of the inputs.
"""

from functional_nn.sklearn.classifier import MLPClassifier
from functional_nn.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
