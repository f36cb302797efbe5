"""The laws of the losses: value and gradient in exact arithmetic, and where they are tried."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest

from functional_nn import losses
from functional_nn.losses import LOSSES

exact = mpmath.mp.clone()
exact.dps = 50
POWERS = [10.0**k for k in range(-30, 31)]
RESIDUALS = [0.0, *POWERS, 0.25, 0.5, 0.75, 1.5, 2.0, 3.0, 10.5, 20.0, 90.0, 700.0]
REAL = [pair for r in RESIDUALS for pair in ((r, 0.0), (0.0, r), (-r, r), (2 * r, r), (-2 * r, -r))]
SIGNED = [(sign * a, y) for a in [*RESIDUALS, 1 - 2.0**-20, 1 + 2.0**-20] for sign in (1, -1) for y in (1.0, -1.0)]
CHANCES = [1.0, *POWERS[:30], *(1 - 2.0**-k for k in range(1, 24))]
CLASSES = [(p, y) for p in CHANCES for y in (0.0, 0.25, 0.3, 1e-10)] + [(0.0, 0.0)]
BINARY = [(p, y) for p, y in CLASSES if p < 1] + [(p, 1.0) for p in CHANCES]


@dataclasses.dataclass
class Law:
    """A loss of one output, exactly; whether outputs are summed; (a, y) to try; the optax twin; the gradient's largest term."""

    value: Callable
    gradient: Callable
    sums: bool = False
    pairs: list = dataclasses.field(default_factory=lambda: REAL)
    twin: Callable | None = None
    size: Callable = lambda a, y: 0


def sign(r):
    return (r > 0) - (r < 0)


def log_cosh(r):
    if abs(r) < 1:
        return exact.log1p(2 * exact.sinh(r / 2) ** 2)
    return abs(r) + exact.log1p(exact.exp(-2 * abs(r))) - exact.log(2)


def minus_times_log(y, p):
    return -y * exact.log(p) if y else 0


def ratio(y, p):
    return y / p if y else 0


def huber(delta):
    return Law(lambda a, y: (a - y) ** 2 / 2 if abs(a - y) <= delta else delta * (abs(a - y) - exact.mpf(delta) / 2),
               lambda a, y: max(-delta, min(a - y, delta)), twin=lambda a, y: optax.huber_loss(a, y, delta=delta))


def quantile(tau):
    return Law(lambda a, y: tau * (y - a) if a < y else (1 - exact.mpf(tau)) * (a - y),
               lambda a, y: -tau if a < y else (1 - exact.mpf(tau)) * (a > y))


def epsilon_insensitive(epsilon):
    return Law(lambda a, y: max(0, abs(a - y) - epsilon), lambda a, y: sign(a - y) * (abs(a - y) > epsilon))


LAWS = {
    "quadratic": Law(lambda a, y: (a - y) ** 2 / 2, lambda a, y: a - y, True, twin=optax.l2_loss),
    "squared_error": Law(lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y), True, twin=optax.squared_error),
    "mse": Law(lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y), twin=optax.squared_error),
    "mae": Law(lambda a, y: abs(a - y), lambda a, y: sign(a - y)),
    "huber": huber(1.0),
    "log_cosh": Law(lambda a, y: log_cosh(a - y), lambda a, y: exact.tanh(a - y), twin=optax.log_cosh),
    "quantile": quantile(0.5),
    "epsilon_insensitive": epsilon_insensitive(1.0),
    "binary_cross_entropy": Law(
        lambda a, y: minus_times_log(y, a) + minus_times_log(1 - y, 1 - a), lambda a, y: ratio(1 - y, 1 - a) - ratio(y, a),
        True, BINARY, size=lambda a, y: max(ratio(1 - y, 1 - a), ratio(y, a))),
    "cross_entropy": Law(lambda a, y: minus_times_log(y, a), lambda a, y: -ratio(y, a), True, CLASSES),
    "hinge": Law(lambda a, y: max(0, 1 - y * a), lambda a, y: -y * (y * a < 1), pairs=SIGNED, twin=optax.hinge_loss),
}
VARIANTS = {
    "huber(delta=0.25)": (losses.huber.configure(delta=0.25), huber(0.25)),
    "huber(delta=10)": (losses.huber.configure(delta=10), huber(10)),
    "quantile(tau=0.9)": (losses.quantile.configure(tau=0.9), quantile(0.9)),
    "quantile(tau=0)": (losses.quantile.configure(tau=0), quantile(0)),
    "epsilon=0": (losses.epsilon_insensitive.configure(epsilon=0), epsilon_insensitive(0)),
    "epsilon=0.25": (losses.epsilon_insensitive.configure(epsilon=0.25), epsilon_insensitive(0.25)),
}
CASES = {name: (LOSSES[name], law) for name, law in LAWS.items()} | VARIANTS
def both(loss, a, y):
    return loss(a, y), loss.gradient(a, y)


every_case = pytest.mark.parametrize("name", CASES)
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def assert_close(got, want, sizes, dtype, points, ulp=6):
    """|got − want| ≤ 6 u · size; inf where twice the exact number is beyond the dtype, and near 0 within 2 · its smallest."""
    limits = jnp.finfo(dtype)
    for point, a, b, size in zip(points, np.asarray(got, np.float64).tolist(), want, sizes, strict=True):
        bound = ulp * float(limits.eps) * max(abs(b), size) + 2 * float(limits.tiny)
        beyond = 2 * abs(b) > float(limits.max) and a == np.inf * sign(b)
        assert beyond or abs(exact.mpf(a) - b) <= bound, f"{point}: {a}, exactly {exact.nstr(exact.mpf(b), 17)}"
