"""A user's backpropagation of a network, on our arrays: called, read, and its misfits put aside."""

import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.calls.arrays import by_path, is_array, is_real, plain, writer
from functional_nn.verify.calls.batch import Batch, batches
from functional_nn.verify.calls.calling import as_jax, called, takes
from functional_nn.verify.calls.forms import EXAMPLES
from functional_nn.verify.calls.layout import Layout, Ours, layouts
from functional_nn.verify.calls.pairs import answer, pairs
from functional_nn.verify.stations import Station

IDENTITY = EXAMPLES[0]
READINGS = 24  # the most readings that are tried on the user's own examples
NAMES = ("params", "X", "Y")


class Misfit(NamedTuple):
    """A leaf of the gradient that is missing, of another shape, or not real.

    Attributes:
      path: its path in the user's parameters.
      leaf: what was given there; None if nothing was.
    """

    path: str
    leaf: Any


class Own(NamedTuple):
    """The network's own parameters, in the place of a `Layout`: nothing is held otherwise.

    Attributes:
      tree: the parameters.
      places: the network's stations.
    """

    tree: Any
    places: tuple[Station, ...]
    without: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    @property
    def used(self) -> list[int]:
        """Return the indices of the leaves."""
        return [*range(len(jax.tree.leaves(self.tree)))]

    def read(self, leaves: Sequence[np.ndarray]) -> Any:
        """Return the tree of these leaves."""
        return jax.tree.unflatten(jax.tree.structure(self.tree), [np.asarray(leaf) for leaf in leaves])

    def write(self, params: Any) -> Any:
        """Return the parameters, which are what the user has."""
        return params

    def named(self, params: Any) -> list[tuple[str, np.ndarray]]:
        """Return (path, array) of each leaf."""
        return [(path, np.asarray(leaf)) for path, leaf in by_path(params).items()]

    def path(self, station: int, site: str) -> str:
        """Return the path of a station's leaf."""
        place = self.places[station]
        return "".join(f"[{i}]" for i in place.path) + f"[{place.leaves[site]!r}]"

    def index(self, station: int, site: str, place: tuple[int, ...]) -> tuple[int, ...]:
        """Return the index of an entry, which is its own."""
        return place

    def again(self, leaves: Sequence[np.ndarray]) -> None:
        """Return None: gradients of these parameters are held as they are."""


class UserFunction:
    """A user's value_and_grad of a known network, on the network's own parameters.

    The function may be written in JAX or in NumPy, and may return what `pairs.answer` takes. Its
    parameters may have any layout of `layout.layouts`, and a batch any of `forms.EXAMPLES`.

    Attributes:
      value: the cost that came with the last gradient, or None.
      misfits: the leaves of the last gradient that are not shaped like the parameters.
      extra: the paths of the last gradient that are no parameter's.
      unit: the coarsest rounding unit among the arrays that the user gave.
      shaped: whether every leaf is known to have its shape, or to be mended, so that it always must.
      mends: by path, what makes a misfit comparable: (given leaf, params, X, Y) -> the leaf.
    """

    def __init__(self, net, places: tuple[Station, ...], params: Any, function: Callable, layout: Layout | Own, batch: Batch,
                 write: Callable):
        self.net, self.places, self.function, self.layout, self.batch, self.write = net, places, function, layout, batch, write
        self.start = jax.tree.map(np.array, layout.read([np.asarray(leaf, dtype=np.float64) if i in layout.used else leaf
                                                         for i, leaf in enumerate(jax.tree.leaves(params))]))
        self.tree = params
        self.value: float | None = None
        self.misfits: tuple[Misfit, ...] = ()
        self.extra: tuple[str, ...] = ()
        self.mends: dict[str, Callable] = {}
        self.unit = 0.0
        self.shaped = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what the report should say of how the function is read."""
        said = ["an example is a column of X"] if self.batch.x.name == "columns" else []
        if self.extra:
            several = len(self.extra) > 1
            said.append(f"{', '.join(self.extra[:6])}{' …' if len(self.extra) > 6 else ''} of the gradient "
                        f"{'are' if several else 'is'} no parameter's and {'were' if several else 'was'} left out")
        return tuple(said)

    @property
    def without(self) -> tuple[int, ...]:
        """Return the stations whose bias the user does not have."""
        return self.layout.without

    def gradient(self, params: Ours, X: np.ndarray, Y: np.ndarray) -> Ours:
        """Return the gradient of a batch as our parameters, in the dtype in which it came.

        Raises:
          ValueError: the function fails, or its gradient has another shape than it had before.
        """
        return self._read(self._called(params, X, Y), params, X, Y)

    def _called(self, params: Ours, X, Y) -> Any:
        theirs = self.layout.write(params)
        X, Y = self.batch.write(np.asarray(X), np.asarray(Y))
        name = f"value_and_grad of {self.batch.x.count(X.shape) if X.ndim else 0} example(s)"
        result = called(self.function, (theirs, X, Y), name, NAMES, lambda got: (self.write(got[0]), *got[1:]))
        if result is None:
            raise ValueError(f"{name} returned None; does it end in a return statement? A function that changes its parameters "
                             "in place is checked with update=function in place of value_and_grad=function")
        found = answer(plain(result), self.tree)
        self.value = found.value
        return found.gradient

    def _read(self, gradient: Any, params: Ours, X, Y) -> Ours:
        leaves = jax.tree_util.tree_leaves_with_path(self.tree)
        wanted = {jax.tree_util.keystr(leaves[i][0]): i for i in self.layout.used}
        paired = pairs(self.tree, gradient)
        found = {path: leaf for path, leaf in paired.found.items() if path in wanted}
        missing = [path for path in wanted if path not in found]
        if missing and (again := self.layout.again(jax.tree.leaves(gradient))) is not None:
            found, missing, paired = {path: again[i] for path, i in wanted.items()}, [], paired._replace(extra=[])
        if self.layout.ends:  # one vector; a column is one too
            found = {path: np.ravel(leaf) for path, leaf in found.items()}
            if missing or np.shape(found[""]) != np.shape(leaves[0][1]):
                raise ValueError(f"value_and_grad must return a vector of {np.size(leaves[0][1])} "
                                 f"entries, as params, got shape {np.shape(found.get(''))}")
        misfits = [Misfit(path, None) for path in missing]
        misfits += [Misfit(path, leaf) for path, leaf in found.items()
                    if np.shape(leaf) != np.shape(leaves[wanted[path]][1]) or not is_real(leaf)]
        self.extra = () if missing else tuple(paired.extra)
        self.misfits, self.raw = tuple(misfits), gradient
        for path, mend in self.mends.items():
            found[path] = mend(found.get(path), params, X, Y)
        if self.shaped:
            self._insist(found, leaves, wanted, len(X))
        else:
            for misfit in misfits:
                found[misfit.path] = np.full(np.shape(leaves[wanted[misfit.path]][1]), np.nan)
        return self.layout.read([found.get(jax.tree_util.keystr(path)) for path, _ in leaves])

    def _insist(self, found, leaves, wanted, count: int) -> None:
        """Raise a ValueError for a leaf of a shape that no mend makes right."""
        for path, i in wanted.items():
            got, right = np.shape(found[path]) if path in found else None, np.shape(leaves[i][1])
            if got != right:
                raise ValueError(f"value_and_grad of {count} example(s) returned a leaf of shape {got} in place of {right}, which "
                                 "it does not with other batches; make it work for any number of examples")

    def settled(self, params: Ours) -> Ours:
        """Return the parameters with a bias of 0 wherever the user has none."""
        return params if not self.without else tuple(
            {**own, "b": np.zeros_like(own["b"])} if l in self.without else own for l, own in enumerate(params))

    def slope(self, penalty: Callable, params: Ours, count: int, X: np.ndarray) -> Ours:
        """Return the gradient of a penalty of the user's parameters, for a batch of `count` examples.

        The penalty may take the number of examples, or the inputs, as its second argument.
        """
        leaves, tree = jax.tree.flatten(self.layout.write(params))
        used = self.layout.used
        rows = np.resize(np.arange(len(X)), count)
        more = () if takes(penalty) < 2 else (
            (self.batch.x.write(X[rows], self.batch.shapes[0]),) if _second(penalty) in ("x", "inputs", "batch") else (count,))

        def of(arrays):
            held = dict(zip(used, arrays, strict=True))
            return penalty(tree.unflatten([held.get(i, leaf) for i, leaf in enumerate(leaves)]), *more)

        arrays = [jnp.asarray(leaves[i]) for i in used]
        slopes = dict(zip(used, jax.grad(as_jax_of(penalty, of, arrays))(arrays), strict=True))
        made = [np.asarray(slopes.get(i, leaf)) for i, leaf in enumerate(leaves)]
        return self.settled(self.layout.read(made))

    def _site(self, station: int, leaf: str) -> str:
        return next((site for site, name in self.places[station].leaves.items() if name == leaf), leaf)

    def path(self, station: int, leaf: str) -> str:
        """Return the path of a station's leaf in the user's own tree."""
        return self.layout.path(station, self._site(station, leaf))

    def index(self, station: int, leaf: str, index: tuple[int, ...]) -> tuple[int, ...]:
        """Return the index in the user's array of an entry of our leaf."""
        return self.layout.index(station, self._site(station, leaf), index)

    def shown(self, tree: Ours) -> list[tuple[str, np.ndarray]]:
        """Return (path, array) of each leaf as the user holds it."""
        return self.layout.named(tree)


def as_jax_of(penalty: Callable, of: Callable, arrays: Sequence) -> Callable:
    """Return the function `of` the arrays, with its penalty in a form that JAX can differentiate."""
    try:
        return as_jax(of, arrays)
    except ValueError as error:
        raise ValueError(f"penalty must be differentiable by JAX: {error}") from error


def _coarsest(tree: Any) -> float:
    """The coarsest rounding unit among the arrays of floats in a tree."""
    return max((float(jnp.finfo(leaf.dtype).eps) / 2 for leaf in jax.tree.leaves(tree)
                if is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating)), default=0.0)


def _second(function: Callable) -> str:
    return list(inspect.signature(function).parameters)[1].lower()


def read(net, places: tuple[Station, ...], params: Any, X: Any, Y: Any, function: Callable, layout: str | None,
         columns: bool | None, classes: bool, score: Callable[[UserFunction, np.ndarray, np.ndarray], int]) -> tuple[
             UserFunction, np.ndarray, np.ndarray]:
    """Return the user's function, and X and Y as (examples, units).

    Where shapes allow several readings, the one with the highest `score` is taken: the number of
    leaves of the user's own gradient that are right under it.

    Raises:
      ValueError: the parameters fit no layout.
    """
    write, unit = writer(params), _coarsest((plain(params), plain(X)))
    params, X, Y = plain(params), np.asarray(plain(X)), np.asarray(plain(Y))
    X = X.astype(np.float64) if X.dtype.kind in "fiub" or jnp.issubdtype(X.dtype, jnp.floating) else X
    Y = Y.astype(np.float64) if jnp.issubdtype(Y.dtype, jnp.floating) else Y
    sizes = (net.n_in, net.n_out)
    held = _layouts(net, places, params, layout)
    forms = batches(X, Y, sizes, classes, columns) or [Batch(IDENTITY, IDENTITY, (X.shape, Y.shape))]
    readings = [(UserFunction(net, places, params, function, one, batch, write), *batch.read(X, Y, sizes))
                for batch, one in itertools.islice(itertools.product(forms, held), READINGS)]
    for one, *_ in readings:
        one.unit = unit
    chosen = readings[0] if len(readings) == 1 else max(readings, key=lambda reading: score(*reading))
    return chosen


def _layouts(net, places, params: Any, layout: str | None) -> list[Layout | Own]:
    """The layouts of the parameters."""
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
    own = jax.tree.structure(params) == jax.tree.structure(net._shapes) and layout is None
    if own and shapes == [leaf.shape for leaf in jax.tree.leaves(net._shapes)]:
        return [Own(params, places)]
    dense = all(place.leaves == {"weight": "w", "bias": "b"} for place in places)
    if not (dense and len(places) == len(net.layers)):
        net.check_params(params)  # raises an error that names the misfit
    return layouts(params, net.sizes, layout)

