"""One check of one gradient: the given point, those beside it, and what each reference says there."""

import functools
import zlib
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.beside import Parts, known
from functional_nn.verify.calls.arrays import by_path
from functional_nn.verify.comparison import along, structure_faults
from functional_nn.verify.debugger.tolerance import SINGLES
from functional_nn.verify.limits import AWAY, NEARBY
from functional_nn.verify.naming import Point
from functional_nn.verify.references import Probe, Reference, compiled


def unit_of(leaf) -> float:
    """Return the rounding unit of a gradient's dtype: half its eps; for integers float64's.

    >>> unit_of(np.float32(1)) == 2.0**-24, unit_of(3) == 2.0**-53
    (True, True)
    """
    dtype = np.asarray(leaf).dtype if not hasattr(leaf, "dtype") else leaf.dtype
    return float(jnp.finfo(dtype if jnp.issubdtype(dtype, jnp.floating) else "float64").eps) / 2


def jittered(params, key, size: float):
    """Return the parameters, each moved at random by up to `size` · (|p| + the typical |p|)."""
    leaves = jax.tree.leaves(params)
    typical = (sum(float(np.sum(np.square(leaf))) for leaf in leaves) / max(sum(leaf.size for leaf in leaves), 1)) ** 0.5 or 1.0

    def moved(path, leaf):
        # the key depends on the leaf's path, not on the order of the leaves
        own = jax.random.fold_in(key, zlib.crc32(jax.tree_util.keystr(path).encode()))
        return leaf + size * (np.abs(leaf) + typical) * np.asarray(jax.random.uniform(own, leaf.shape, leaf.dtype, -1.0, 1.0))

    return jax.tree_util.tree_map_with_path(moved, params)


class Case:
    """A function f and the gradient to check at one point; nearby values are computed lazily.

    Attributes:
      parts: f, as a function of its arguments too.
      paths, labels, leaves: the paths, names and values of the parameters, in order.
      raw: the gradient's leaves by path, as they came.
      given: the gradient's leaves in float64; None where a leaf is missing or has another shape.
      units: the rounding unit of each gradient leaf's own dtype.
      references: the references by name.
      probes: by reference name, the probe of every leaf; excused derivatives are corrected in it.
      value, coarse, unit: f(params), its dtype, and the rounding unit of that dtype.
      sizes: by name, the arrays among parameters and arguments.
      looks: how many more rows may be examined closely.
      around, expected: (name of a reference) -> its derivatives at the points `away` and its mirror
        image, and at the points of `beside`.
    """

    def __init__(self, f: Callable, by_hand: Callable, params, gradient, references: Mapping[str, Reference], parts: Parts,
                 value: float, coarse: str, seed: int, sizes: Mapping[str, np.ndarray]):
        self.params, self.by_hand, self.references, self.parts = params, by_hand, references, parts
        self.value, self.coarse, self.seed, self.sizes, self.looks = value, coarse, seed, sizes, SINGLES
        self.unit = float(jnp.finfo(coarse).eps) / 2
        self.quick = f if parts.numpy else compiled(f)
        self.paths, self.leaves = [*by_path(params)], jax.tree.leaves(params)
        self.labels = [path or "params" for path in self.paths]
        self.raw, self.given = by_path(gradient), self._values(gradient)
        self.units = [unit_of(self.raw.get(path, 0)) for path in self.paths]
        self.probes = {name: list(reference.probes) for name, reference in references.items()}
        self.around, self.expected = functools.cache(self._around), functools.cache(self._expected)

    def _values(self, gradient) -> list[np.ndarray | None]:
        wrong, raw = {fault.leaf for fault in structure_faults(self.params, gradient)}, by_path(gradient)
        return [None if path in wrong else np.asarray(raw[path], dtype=np.float64) for path in self.paths]

    def _moved(self, size: float, number: int):
        """(parameters, gradient) at a random nearby point; None if the gradient raises there."""
        params = jittered(self.params, jax.random.fold_in(jax.random.key(self.seed), number), size)
        try:
            return params, self._values(self.by_hand(params))
        except Exception:  # the point may lie where the function is not defined
            return None

    @functools.cached_property
    def away(self):
        """(parameters, gradient) at a point a jitter away, off any kink of the given point."""
        return self._moved(AWAY, 0)

    @functools.cached_property
    def beside(self) -> list:
        """(parameters, gradient) at up to two nearby points, where a cause must be confirmed."""
        return [point for point in (self._moved(NEARBY, 1), self._moved(NEARBY, 2)) if point is not None]

    def _around(self, name: str) -> list:
        """The derivatives of every leaf by a reference, at the point `away` and at its mirror image."""
        mirror = jax.tree.map(lambda here, there: 2 * here - there, self.params, self.away[0])
        return [self.references[name].at(params) for params in (self.away[0], mirror)]

    def _expected(self, name: str) -> list:
        """The derivatives of every leaf by a reference, at the points of `beside`."""
        return [self.references[name].at(params) for params, _ in self.beside]

    def points(self, i: int, name: str, probe: Probe) -> list[Point]:
        """Return leaf i at the given point and beside it, as a reference sees it."""
        here = [own.derivatives for own in self.probes[name]]
        here[i] = probe.derivatives
        beside = [(*point, right) for point, right in zip(self.beside, self.expected(name), strict=True)]
        return [self._point(i, name, probe, *point) for point in [(self.params, self.given, here), *beside]
                if point[1][i] is not None and np.isfinite(point[1][i]).all() and np.isfinite(point[2][i]).all()]

    def _point(self, i: int, name: str, probe: Probe, params, given: Sequence, right: Sequence) -> Point:
        shape = (len(right[i]),) if probe.directions is not None else np.shape(self.leaves[i]) or (1,)
        p = np.asarray(jax.tree.leaves(params)[i], dtype=np.float64)
        mine = [None if g is None else along(g, own) for g, own in zip(given, self.probes[name], strict=True)]
        seen = {of: along(v, probe).reshape(shape) for of, v in (("1", np.ones_like(p)), ("p", p), ("sign(p)", np.sign(p)))}
        beside = known(self.parts if probe.directions is None else None, self.labels, params, mine, right, i, shape)
        close = np.abs(mine[i] - right[i]) <= probe.noise / len(right[i]) ** 0.5 if name == "fd" else False
        return Point(mine[i].reshape(shape), np.where(close, mine[i], right[i]).reshape(shape), seen, beside)

    def index(self, i: int, flat: int) -> tuple[int, ...]:
        """Return the index of an entry of leaf i."""
        return tuple(int(n) for n in np.unravel_index(flat, np.shape(self.leaves[i])))

    def place(self, i: int, probe: Probe, row: int) -> str:
        """Return the name of a row of a probe of leaf i: an entry or a direction."""
        if probe.directions is not None:
            return f"{self.labels[i]} along direction {row}"
        return f"{self.labels[i]}{list(self.index(i, row)) or ''}"
