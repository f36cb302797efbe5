"""The contract: by hand = `jax.grad`, for every activation × legal output and loss × layer kind, and × depth 1–5, in float64.

Depth is tried with the plain and the residual layers, and every kind follows itself once. `jax.lax.switch` picks activation and loss
by a traced index, so that one compilation serves all those of one kind and depth.
"""

import jax
import jax.numpy as jnp
import pytest

import functional_nn as fnn
from functional_nn import layers
from functional_nn.activations import ACTIVATIONS, Activation
from functional_nn.layers import dense
from functional_nn.losses import FUSED, LOSSES, Loss
from tests.slow import few
from tests.variants import KINDS, targets

N, CLASSES, BATCH = 5, 3, 3
SIMILAR = {"reshape", "flatten", "average_pool", "embedding", "positions", "gru"}  # to another kind, for `make test`
FUSED_LOSSES = [Loss(f"fused {name}", head.value, head.delta, targets=LOSSES[name].targets)
                for (_, name), head in FUSED.items()]  # of the linear output z
HIDDEN, LOSS = list(ACTIVATIONS.values()), [*LOSSES.values(), *FUSED_LOSSES]
PAIRS = [(output, loss) for output in HIDDEN for loss in LOSS
         if (output.name == "linear" if loss in FUSED_LOSSES else loss.output in (None, output.name))]
CASES = [(HIDDEN.index(hidden), HIDDEN.index(output), LOSS.index(loss)) for hidden in HIDDEN for output, loss in PAIRS]


def chosen(index) -> Activation:
    """The activation of that traced index."""
    return Activation("chosen", lambda z: jax.lax.switch(index, HIDDEN, z), lambda z: pytest.fail("a pullback is enough"),
                      lambda z, v: jax.lax.switch(index, [a.pullback for a in HIDDEN], z, v))


def chosen_loss(index) -> Loss:
    """The loss of that traced index; the general head joins it to any output."""
    return Loss("chosen", lambda a, y: jax.lax.switch(index, LOSS, a, y),
                lambda a, y: jax.lax.switch(index, [loss.gradient for loss in LOSS], a, y))


def grid():
    """(kind, depth): every kind twice in a row, and both kinds of connection at every depth."""
    deep = [(kind, depth) for kind in ("dense", "residual") for depth in (1, 2, 3, 4, 5)]
    pairs = sorted({*deep, *((kind, 2) for kind in KINDS)})
    quick = [(kind, 1) for kind in KINDS if kind not in SIMILAR | {"dense", "residual"}]
    return few([*quick, *pairs], *range(len(quick)), len(quick) + pairs.index(("dense", 2)), len(quick) + pairs.index(("residual", 1)))


@pytest.mark.parametrize(("kind", "depth"), grid())
def test_hand_written_equals_automatic(kind, depth):
    """A relative error means nothing of a gradient that is 0 by cancellation, nor where an output has rounded to 1 and the
    general form through it has lost its digits: so sample weights are unequal, and inputs small.
    """
    with jax.enable_x64(True):
        Y = jnp.stack([targets(loss, (BATCH, CLASSES)) for loss in LOSS])
        X, key = jax.random.normal(jax.random.key(1), (BATCH, N)) / 4, jax.random.key(2)
        weights = jnp.array([1.0, 2.3, 0.7])

        def errors(case):
            hidden, output, loss = case
            blocks = [layer for _ in range(depth - (kind == "dense")) for layer in KINDS[kind](N, chosen(hidden))]
            net = fnn.sequential(N, *blocks, dense(CLASSES, chosen(output)))
            params = net.init(jax.random.key(0), jnp.float64)
            ways = [way.value_and_grad(net, chosen_loss(loss))(params, X, Y[loss], sample_weights=weights, key=key)
                    for way in (fnn.backprop, fnn.autodiff)]
            return jax.tree.map(relative_error, *ways)

        every = jax.jit(lambda cases: jax.lax.map(errors, cases))(jnp.array(CASES))
        for path, leaf in jax.tree_util.tree_leaves_with_path(every):
            worst = int(jnp.argmax(leaf))
            hidden, output, loss = CASES[worst]
            assert leaf[worst] <= 1e-12, (HIDDEN[hidden], HIDDEN[output], LOSS[loss], jax.tree_util.keystr(path), leaf[worst])


def relative_error(a, b):
    gap, size = jnp.linalg.norm(a - b), jnp.maximum(jnp.linalg.norm(a), jnp.linalg.norm(b))
    return jnp.where(gap == 0, 0.0, jnp.where(jnp.isfinite(gap), gap / size, jnp.inf))


def test_the_contract_is_about_every_variant():
    assert set(KINDS) == set(layers.KINDS)
    assert {HIDDEN[hidden].name for hidden, _, _ in CASES} == set(ACTIVATIONS)
    assert {LOSS[loss].name for _, _, loss in CASES} == {*LOSSES, *(f"fused {name}" for _, name in FUSED)}
    for output in ACTIVATIONS.values():
        for loss in LOSSES.values():
            assert ((output, loss) in PAIRS) == (loss.output in (None, output.name))
