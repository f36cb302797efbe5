"""Files as people have them, for the tests of `functional-nn verify`."""

REGRESSION = """
import numpy as np
def compute_cost(X, y, theta):
    return np.sum((X @ theta - y) ** 2) / (2 * len(y))
def compute_gradient(X, y, theta):
    print("called")
    return X.T @ (X @ theta - y)
def gradient_descent(X, y, theta):
    raise SystemExit("trained")
"""
NETWORK = """
import numpy as np
class Network:
    def __init__(self, n_in, n_out):
        self.W, self.b = np.ones((n_in, n_out)) / 3, np.zeros((1, n_out))
    def forward(self, X):
        self.out = np.tanh(X @ self.W + self.b)
        return self.out
    def backward(self, X, y):
        d = 2 * (self.out - y) / y.size * (1 - self.out**2)
        self.dW, self.db = X.T @ d, d.sum(axis=0, keepdims=True)
"""
LOSS = """
def mse(y_true, y_pred):
    return np.mean((y_true - y_pred) ** 2)
"""
BATCH = """
X, y = np.arange(6.0).reshape(3, 2) / 5, np.ones((3, 4))
net = Network(2, 4)
"""
POINT = """
def example():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 2)), rng.normal(size=6), rng.normal(size=2)
"""
