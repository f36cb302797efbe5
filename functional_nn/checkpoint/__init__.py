"""Checkpoints: what a run needs to go on to the same bits after it was killed at any moment.

>>> import jax, jax.numpy as jnp, tempfile
>>> state = {"w": jnp.full((2, 2), 0.5), "key": jax.random.key(7)}
>>> with tempfile.TemporaryDirectory() as folder:
...     with Checkpoints(folder, run={"network": "mlp(2, 2)", "batch_size": 32}) as checkpoints:
...         checkpoints.save(100, state, {"cost": [0.7, 0.3]}, score=0.31)
...     saved = restore(folder, like=state)
>>> saved.step, saved.state["w"].sum(), saved.record["cost"]
(100, Array(2., dtype=float32), [0.7, 0.3])
>>> bool(jax.random.bits(saved.state["key"]) == jax.random.bits(state["key"]))
True

A folder belongs to one run and holds one safetensors file a checkpoint, which is written beside, synced and renamed.

Why not orbax's `CheckpointManager`: saving 5.4 MB (784-512-512-10 and its momentum) every 100 steps, which take 300 ms on two
CPU cores, is to cost less than 9 ms. Side by side on busy cores, one `save` every 0.25 s took, of processor time and (blocking
at its fastest): orbax 70 ms (10 ms), with a handler that writes one file 28 ms (11 ms), with a handler that writes nothing at
all 16 to 18 ms (5 ms), this one 9 to 11 ms (3 ms); medians and minima of 24 saves, orbax-checkpoint 0.12.8.
"""

from functional_nn.checkpoint.checkpoints import Checkpoints, Saved, restore

__all__ = ["Checkpoints", "Saved", "restore"]
