"""What do the quantities of the backward pass cost? Each is timed against the plain mean gradient.

Two compiled functions are timed in turn, A B B A …, so that a slow moment of the machine meets both: the quantity, and
`fnn.backprop.value_and_grad`. The ratio of a quantity is the median over the turns. Before timing, each quantity is compared
in float64 with what automatic differentiation gives for the same network and a few of the examples (the work check).

Command: python -m experiments.quantities

Expect: every ratio at most its limit, and every memory a small multiple of the gradient's, at 784-512-512-10 with batch 512.

Cost: about three minutes on two cores.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import functional_nn as fnn
from experiments.common import command_line, run_directory, versions, write_json
from experiments.speed import in_turn, memory
from functional_nn import layers
from functional_nn.losses import FUSED
from functional_nn.objective import objective

LOSS = "cross_entropy"
ROWS = {  # what is computed together -> the most that it may cost in units of the mean gradient, if that was asked for
    ("norms",): 0.75,
    ("clipped_sum",): 1.15,
    ("dots",): 1.2,
    ("gradient", "second_moment"): 1.6,
    ("gradient", "variance"): 1.6,
    ("hvp",): 2.4,
    ("ggn_vp",): 1.8,
    ("gradient", "ggn_diagonal"): 3.5,
    ("gradient", "ggn_diagonal_mc"): 1.8,
    ("gradient", "kronecker"): 2.3,
    ("gradient", "noise_scale"): None,
    ("gradient", "cosines"): None,
    ("gradient", "delta_statistics"): None,
}


@dataclass(frozen=True)
class Config:
    """What is timed."""

    sizes: tuple[int, ...] = (784, 512, 512, 10)
    """of the network"""
    batch: int = 512
    """examples"""
    hidden: str = "relu"
    """activation of the hidden layers"""
    turns: int = 15
    """how often the two take turns, at least 5"""
    seconds: float = 0.3
    """how long one turn of one of them lasts, about"""
    out: str | None = None
    """folder for quantities.json, which must be new or empty; nothing is written if not given"""


def main(config: Config) -> dict[str, Any]:
    """Print the table; returns it."""
    fnn.checks.integer("turns", config.turns, low=5)
    fnn.checks.integer("batch", config.batch, low=2)
    fnn.checks.number("seconds", config.seconds, low=1e-4, high=60, wanted="a number of seconds from 0.0001 to 60")
    net = fnn.mlp(config.sizes, hidden=config.hidden, output="softmax")
    errors, inputs = agreement(net), drawn(net, config.batch, jnp.float32)
    found = {"config": {name: value for name, value in vars(config).items() if name != "out"}, "rows": [], "versions": versions()}
    print(f"{'-'.join(map(str, config.sizes))}, batch {config.batch}; time and memory in units of the mean gradient's")
    print(f"{'quantity':<28} {'time':>6} {'at most':>8}   {'half within':<14} {'memory':>6}   error")
    for names, limit in ROWS.items():
        row = {"names": names, "limit": limit, "error": max(errors[name] for name in names), **race(net, names, inputs, config)}
        found["rows"].append(row)
        low, high = row["quartiles"]
        print(f"{' + '.join(names):<28} {row['ratio']:>6.2f} {'' if limit is None else f'{limit:.2f}':>8}   {f'{low:.2f} to {high:.2f}':<14} "
              f"{row['memory']:>6.2f}   {row['error']:.0e}", flush=True)
    if config.out is not None:
        with run_directory("quantities", config.out) as directory:
            write_json(directory / "quantities.json", found)
    return found


def race(net, names, inputs, config: Config) -> dict[str, Any]:
    """The quantities and the mean gradient in turn: medians, ratios, and the ratio of what memory they need."""
    arrays, options = inputs
    quantities = fnn.backprop.quantities(net, LOSS, names)
    ways = [jax.jit(lambda *arrays: quantities(*arrays, **options)), jax.jit(fnn.backprop.value_and_grad(net, LOSS))]
    turns = in_turn(ways, arrays, config.turns, config.seconds)
    ratios = turns[:, 0] / turns[:, 1]
    seconds, unit = np.median(turns, axis=0)
    return {"seconds": seconds, "unit": unit, "ratio": np.median(ratios), "quartiles": np.quantile(ratios, (0.25, 0.75)),
            "range": (ratios.min(), ratios.max()), "memory": memory(ways[0], arrays) / memory(ways[1], arrays)}


def drawn(net, batch: int, dtype) -> tuple[tuple, dict[str, Any]]:
    """((params, X, Y), options) for the network."""
    keys = jax.random.split(jax.random.key(0), 5)
    params, direction = net.init(keys[0], dtype), net.init(keys[1], dtype)
    arrays = params, jax.random.normal(keys[2], (batch, net.n_in), dtype), jax.random.randint(keys[3], (batch,), 0, net.n_out)
    return arrays, {"clip": 1.0, "direction": direction, "key": keys[4]}


def agreement(net, examples: int = 3) -> dict[str, float]:
    """The relative error of each quantity in float64, against automatic differentiation."""
    with jax.enable_x64(True):
        arrays, options = drawn(net, examples, jnp.float64)
        names = list(fnn.backprop.QUANTITIES)
        by_hand = fnn.backprop.quantities(net, LOSS, names)(*arrays, **options)
        automatic = Automatic(net, LOSS, *arrays, **options)
        errors = {name: relative_error(by_hand[name], REFERENCES[name](automatic)) for name in names}
    worst = max(errors, key=errors.get)
    if not errors[worst] <= 1e-12:
        raise ValueError(f"{worst} by hand differs from automatic differentiation by {errors[worst]:.1e}; nothing is timed")
    return errors


def relative_error(one, other) -> float:
    """The largest error of a leaf, relative to the leaf's norm."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return max(float(jnp.linalg.norm(a - b)) / (float(jnp.linalg.norm(b)) or 1.0) for a, b in pairs)


class Automatic:
    """What automatic differentiation needs for the quantities of a small batch: it forms every gradient and Jacobian."""

    def __init__(self, net, loss, params, X, Y, *, clip=None, direction=None, key=None):
        self.net, self.loss, self.params, self.clip, self.direction = net, loss, params, clip, direction
        self.problem = objective(net, loss)
        self.batch = self.problem.batch(params, X, Y, key=key)
        self.gradients = fnn.autodiff.per_example_gradients(net, loss)(params, X, Y, key=key)  # leading axis: the examples
        self.signs = None if key is None else jax.random.rademacher(
            jax.random.fold_in(key, 1), (len(X), net.n_out), self.batch.y.dtype)

    def mean(self, function):
        """The mean over the examples of a function of each leaf."""
        return jax.tree.map(lambda g: jnp.mean(function(g), axis=0), self.gradients)

    def flat(self):
        """The gradients as rows, (B, parameters)."""
        return self.flattened(self.gradients, len(self.batch.x))

    @staticmethod
    def flattened(tree, rows: int):
        return jnp.concatenate([leaf.reshape(rows, -1) for leaf in jax.tree.leaves(tree)], axis=1)

    def along(self, tree):
        """gᵢ · tree of every example."""
        return self.flat() @ self.flattened(tree, 1)[0]

    def hvp(self):
        """The derivative of `jax.grad` along the direction."""
        return jax.jvp(jax.grad(lambda params: self.problem.cost(params, self.batch)), (self.params,), (self.direction,))[1]

    def tape(self, params, x, key):
        return layers.forward(self.net.layers, params, x, key)[1]

    def split(self, params, x, key):
        """The output up to which the network counts as a model: z if the loss is a function of z, else a = σ(z)."""
        z = self.tape(params, x, key)[-1].z
        return z if (self.net.output.name, self.problem.loss.name) in FUSED else self.net.output(z)

    def of_split(self, output, y):
        """The loss as a function of that output."""
        fused = FUSED.get((self.net.output.name, self.problem.loss.name))
        return fused.value(output, y) if fused else self.problem.loss(output, y)

    def over_curvatures(self, function):
        """The mean of function(Jacobian of the output, Hessian of the loss by the output) over the examples."""
        def of_example(x, y, key):
            jacobian = jax.jacrev(lambda params: self.split(params, x, key))(self.params)
            return function(jacobian, jax.hessian(self.of_split)(self.split(self.params, x, key), y))

        each = jax.vmap(of_example)(self.batch.x, self.batch.y, self.batch.keys)
        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), each)

    def ggn_diagonal(self):
        """The diagonal of (1/B) Σ Jᵀ H J."""
        return self.over_curvatures(
            lambda J, h: jax.tree.map(lambda j: jnp.einsum("i...,ik,k...->...", j, h, j), J))

    def ggn_vp(self):
        """(1/B) Σ Jᵀ H J v."""
        def product(J, h):
            pushed = self.flattened(J, len(h)) @ self.flattened(self.direction, 1)[0]
            return jax.tree.map(lambda j: jnp.tensordot(h @ pushed, j, axes=1), J)

        return self.over_curvatures(product)

    def ggn_diagonal_mc(self):
        """The mean of (Jᵢᵀ S εᵢ)² with the same signs ε, where J is that of z."""
        def of_example(x, y, key, signs):
            z, pullback = jax.vjp(lambda params: self.tape(params, x, key)[-1].z, self.params)
            return jax.tree.map(jnp.square, pullback(self.problem.head.root(z, y, signs))[0])

        each = jax.vmap(of_example)(self.batch.x, self.batch.y, self.batch.keys, self.signs)
        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), each)

    def kronecker(self):
        """The averages of a aᵀ and δ δᵀ, which the gradients w = δ aᵀ and b = δ of the examples give back."""
        def of_layer(own):
            delta = own["b"].reshape(len(own["b"]), -1)
            w = own["w"].reshape(*delta.shape, -1)
            errors = jnp.einsum("bj,bk->jk", delta, delta) / len(delta)
            outer = jnp.einsum("bmj,bmk->bjk", w, w) / jnp.sum(delta**2, axis=1)[:, None, None]
            return {"inputs": jnp.mean(outer, axis=0), "errors": errors.reshape(2 * own["b"].shape[1:])}

        return jax.tree.map(of_layer, self.gradients, is_leaf=lambda node: isinstance(node, dict))

    def delta_statistics(self):
        """From the errors of single examples, by probes that are added to zˡ as `fnn.autodiff.deltas` does."""
        def errors(x, y, key):
            keys = layers.keys_of(self.net.layers, key)

            def loss_of(probes, a=x):
                for layer, p, key, probe in zip(self.net.layers, self.params, keys, probes, strict=True):
                    z = layer.forward(p, a, key)[0] + probe
                    a = layer.activation(z)
                return self.problem.head.value(z, y)

            return jax.grad(loss_of)(tuple(jnp.zeros(n, x.dtype) for n in self.net.sizes[1:]))

        found = jax.vmap(errors)(self.batch.x, self.batch.y, self.batch.keys)
        each = [d.reshape(len(d), -1) for d in found]
        zero = [jnp.where(d == 0, jnp.ones_like(d), jnp.zeros_like(d)) for d in each]
        return {"mean": jnp.stack([d.mean() for d in each]), "deviation": jnp.stack([d.std() for d in each]),
                "zeros": jnp.stack([d.mean() for d in zero]),
                "norm": jnp.stack([jnp.sqrt((d**2).sum(axis=1)).mean() for d in each]),
                "norm_of_mean": jnp.stack([jnp.sqrt((d.mean(axis=0)**2).sum()) for d in each])}

    def clipped_sum(self):
        """Σ min(1, clip / |gᵢ|) gᵢ."""
        shares = jnp.minimum(1, self.clip / jnp.linalg.norm(self.flat(), axis=1))
        return jax.tree.map(lambda g: jnp.tensordot(shares, g, axes=1), self.gradients)

    def noise_scale(self):
        """tr Σ / |G|² with the covariance matrix's unbiased trace."""
        rows = self.flat()
        trace = jnp.sum(jnp.var(rows, axis=0, ddof=1))
        return trace / (jnp.sum(jnp.square(jnp.mean(rows, axis=0))) - trace / len(rows))

    def cosines(self):
        """gᵢ · ḡ / (|gᵢ| |ḡ|)."""
        rows = self.flat()
        mean = jnp.mean(rows, axis=0)
        return rows @ mean / (jnp.linalg.norm(rows, axis=1) * jnp.linalg.norm(mean))


REFERENCES = {
    "gradient": lambda at: at.mean(lambda g: g),
    "norms": lambda at: jnp.linalg.norm(at.flat(), axis=1),
    "clipped_sum": Automatic.clipped_sum,
    "dots": lambda at: at.along(at.direction),
    "second_moment": lambda at: at.mean(jnp.square),
    "variance": lambda at: jax.tree.map(lambda g: jnp.var(g, axis=0), at.gradients),
    "noise_scale": Automatic.noise_scale,
    "cosines": Automatic.cosines,
    "fisher_diagonal": lambda at: at.mean(jnp.square),
    "kronecker": Automatic.kronecker,
    "delta_statistics": Automatic.delta_statistics,
    "ggn_diagonal": Automatic.ggn_diagonal,
    "ggn_diagonal_mc": Automatic.ggn_diagonal_mc,
    "hvp": Automatic.hvp,
    "ggn_vp": Automatic.ggn_vp,
}


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
