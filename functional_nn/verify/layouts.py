"""Convert a perceptron's parameters between a user's tree and lists of W (n_out, n_in), b (n_out,).

The layout is found from the tree itself: two-dimensional leaves are weights and the others are
biases, each kind in the natural order of its paths. So these trees can be read, with weights of
shape (n_out, n_in) or (n_in, n_out): `({"w", "b"}, …)`, `[(W, b), …]`, `{"W1", "b1", …}`,
`{"weights": […], "biases": […]}` and Flax's `{"params": {"Dense_0": {"kernel", "bias"}}}`.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

ORIENTATIONS = ("out_in", "in_out")


class Layout(NamedTuple):
    """The places of each layer's weight and bias among the leaves of a tree.

    Attributes:
      tree: the tree's structure.
      paths, shapes: the path and the shape of each leaf.
      weights, biases: for each layer the index of its weight's, or bias's, leaf.
      in_out: whether weights have the shape (n_in, n_out).
    """

    tree: Any
    paths: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    weights: tuple[int, ...]
    biases: tuple[int, ...]
    in_out: bool

    def read(self, tree) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return (W of each layer, b of each layer), float64, from a tree of this layout."""
        leaves = [np.asarray(leaf, dtype=np.float64) for leaf in jax.tree.leaves(tree)]
        return [leaves[i].T if self.in_out else leaves[i] for i in self.weights], [leaves[i].ravel() for i in self.biases]

    def write(self, W: Sequence[np.ndarray], b: Sequence[np.ndarray]):
        """Return the tree of this layout that holds W and b."""
        leaves = [np.zeros(shape) for shape in self.shapes]
        for i, w in zip(self.weights, W, strict=True):
            leaves[i] = np.ascontiguousarray(w.T if self.in_out else w)
        for i, bias in zip(self.biases, b, strict=True):
            leaves[i] = bias.reshape(self.shapes[i])
        return jax.tree.unflatten(self.tree, leaves)


def detect(params, sizes: Sequence[int], layout: str | None = None) -> Layout:
    """Return the layout of `params` for a multi-layer perceptron of `sizes`.

    Args:
      params: the tree of parameters.
      sizes: the number of inputs, then the number of units of each layer.
      layout: "out_in" or "in_out", the order of the weights' axes. None finds it from the shapes.
        If all weights are square, None means "in_out" for leaves called kernel, else "out_in".

    Raises:
      ValueError: the leaves do not fit `sizes`, or `layout` is not known.

    >>> W, b = np.ones((3, 2)), np.zeros(3)
    >>> detect([(W, b)], (2, 3)).in_out, detect({"params": {"Dense_0": {"kernel": W.T, "bias": b}}}, (2, 3)).in_out
    (False, True)
    """
    if layout not in (None, *ORIENTATIONS):
        raise ValueError(f"layout must be None or one of {', '.join(ORIENTATIONS)}, got {layout!r}")
    leaves = jax.tree_util.tree_leaves_with_path(params)
    paths = tuple(jax.tree_util.keystr(path) for path, _ in leaves)
    shapes = tuple(np.shape(leaf) for _, leaf in leaves)
    order = sorted(range(len(paths)), key=lambda i: _natural(paths[i]))
    biases = tuple(i for i in order if _is_bias(paths[i], shapes[i]))
    weights = tuple(i for i in order if i not in biases)
    layers = len(sizes) - 1
    if len(weights) != layers or len(biases) != layers:
        raise ValueError(f"params must hold a weight and a bias for each of the {layers} layers of "
                         f"{'-'.join(map(str, sizes))}, got {len(weights)} weights and {len(biases)} biases: "
                         f"{_listed(paths, shapes)}")
    out_in = [(n_out, n_in) for n_in, n_out in itertools.pairwise(sizes)]
    stored = [shapes[i] for i in weights]
    fits = {"out_in": stored == out_in, "in_out": stored == [shape[::-1] for shape in out_in]}
    wanted = [name for name in ORIENTATIONS if fits[name] and layout in (None, name)]
    sized = all(np.prod(shapes[i], dtype=int) == n for i, n in zip(biases, sizes[1:], strict=True))
    if not wanted or not sized:
        raise ValueError(f"params must hold weights {out_in} (or their transposes) and biases {list(sizes[1:])}, got "
                         f"{_listed(paths, shapes)}")
    in_out = wanted[0] == "in_out" or (len(wanted) == 2 and all("kernel" in paths[i] for i in weights))
    return Layout(jax.tree.structure(params), paths, shapes, weights, biases, in_out)


def _natural(path: str) -> list:
    """Return a sorting key that puts Dense_10 behind Dense_2."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)]


def _is_bias(path: str, shape: tuple[int, ...]) -> bool:
    name = re.findall(r"[A-Za-z]+", path)[-1:] or [""]
    return len(shape) < 2 or (min(shape) == 1 and name[0].lower() in ("b", "bias", "biases"))


def _listed(paths, shapes) -> str:
    return ", ".join(f"{path or 'params'} {shape}" for path, shape in list(zip(paths, shapes, strict=True))[:8])
