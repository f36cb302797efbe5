"""A face for users of scikit-learn: `MLPClassifier` and `MLPRegressor`, thin estimators over `fit`.

They go wherever scikit-learn's own do: `Pipeline`, `GridSearchCV`, `cross_val_score`, tables with named columns. Networks like
small numbers, so standardise the inputs, and for regression the targets too:

>>> from sklearn.datasets import load_wine
>>> from sklearn.model_selection import train_test_split
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> X, X_test, y, y_test = train_test_split(*load_wine(return_X_y=True), random_state=0)
>>> model = make_pipeline(StandardScaler(), MLPClassifier((16,), learning_rate=0.03, max_iter=40, tol=None, random_state=0))
>>> print(f"{model.fit(X, y).score(X_test, y_test):.0%} right")
98% right

What they learn is what `fit` would: `random_state=0` is `key=jax.random.key(0)`, `params_` is a pytree as `network_.init` makes
one, and `result_` is the run's `Result`. They learn in float32, whatever the inputs' dtype.
"""

from functional_nn.sklearn.estimators import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
