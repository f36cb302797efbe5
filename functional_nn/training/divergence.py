"""The diagnosis of a diverged run: the step, the layer and the leaf of the first NaN or inf.

`fit` looks at the running sum of the cost and at the parameters once per compiled call, so a run
without a NaN or inf pays almost nothing. After a bad call, its steps are repeated from its start.
They are a pure function, so the repetition gives the same bits.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from functional_nn import layers
from functional_nn.network import Network
from functional_nn.training.program import Program
from functional_nn.training.sources import Piece
from functional_nn.training.steps import Run, all_finite

# above these, the advice is to standardise the inputs, and to clip the gradient's norm
LARGE_INPUT, LARGE_NORM = 30.0, 1e3


class Divergence(NamedTuple):
    """The diagnosis of a diverged run.

    Attributes:
      run: the state before the bad step, in which everything is finite.
      step: the step of the epoch, from 1, at which the first NaN or inf appeared.
      text: what became NaN or inf, and what to try.
    """

    run: Run
    step: int
    text: str


def divergence(
    program: Program, start: Run, key, piece: Piece, first: int, last: int, sound: int
) -> Divergence:
    """The diagnosis of a compiled call at whose end the cost or a parameter was not finite.

    Args:
      program: the compiled functions of the run.
      start: the state before the call, in which everything was finite.
      key: the key of the epoch's noise, as for `program.steps`.
      piece: the steps and examples of the call.
      first, last: the call took the rows `first` to `last` − 1 of `piece`.
      sound: the number of these steps before the cost was first not finite.
    """
    def after(k: int) -> Run:
        return program.steps(
            start, key, piece.before, piece.rows, piece.count, first, k, *piece.examples)

    # Bisection: the state is finite after `good` rows and not after `bad`. It looks close to
    # `bad` first, as mostly the step just before the first bad cost did the damage.
    good, bad, reach = first, min(last, first + sound + 1), 1
    while bad - good > 1:
        probe = max(good + 1, bad - reach)
        if bool(after(probe).fine):
            good, reach = probe, max(1, (bad - probe) // 2)
        else:
            bad, reach = probe, 2 * reach
    run, step = after(good), piece.before + good
    what, norm = _what(
        program, run, jax.random.fold_in(key, step), piece.rows[good], piece.count,
        piece.examples)
    return Divergence(
        run, step + 1,
        f"{what}; try {_advice(np.asarray(piece.examples[0][piece.rows[good]]), norm)}")


def _what(
    program: Program, run: Run, key, rows, count: int | None, examples
) -> tuple[str, float]:
    """The first NaN or inf of the next step after `run`, in words, and the gradient's norm."""
    cost, gradient, step, _ = program.update(
        run.params, run.optimizer_state, key, rows, count, *examples)
    norm = float(optax.tree.norm(gradient))
    if not bool(jnp.isfinite(cost)):
        layer = _overflowing(program.net, run.params, examples[0][rows])
        where = "" if layer is None else (
            f"; the first z to overflow is that of layer {layer}, {program.net.layers[layer]!r}")
        return f"the cost is {float(cost)}{where}", norm
    for what, tree in (("the gradient", gradient),
                       ("the optimiser's step", optax.apply_updates(run.params, step))):
        for path, leaf in reversed(jax.tree_util.tree_leaves_with_path(tree)):
            if not bool(all_finite(leaf)):
                values = np.asarray(leaf)
                index = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
                place = f"params{jax.tree_util.keystr(path)}{list(index) if index else ''}"
                return f"{what} of {place}, in layer {path[0].idx}, is {values[index]}", norm
    return f"the sum of the epoch's losses is inf, and the last cost {float(cost):.1e}", norm


def _overflowing(net: Network, params, X) -> int | None:
    """The index of the first layer whose z is not finite for some example; None without one."""
    _, tape = jax.vmap(lambda x: layers.forward(
        net.layers, params, x.astype(jax.tree.leaves(params)[0].dtype)))(X)
    return next((i for i, step in enumerate(tape) if not bool(all_finite(step.z))), None)


def _advice(X: np.ndarray, norm: float) -> str:
    """What to try, the most promising first, given the step's inputs and the gradient's norm."""
    parts = ["a smaller learning rate"]
    if not norm < LARGE_NORM:
        size = (f"the gradient's norm was {norm:.1e}" if np.isfinite(norm)
                else "the gradient was not finite")
        parts.append(f"clipping by fnn.optimizers.clip_by_global_norm(1.0) ({size})")
    largest = float(np.abs(X.astype(np.float64)).max())
    if largest > LARGE_INPUT:
        parts.insert(0, f"standardising the inputs, which reach {largest:.3g}")
    return " or ".join(parts)
