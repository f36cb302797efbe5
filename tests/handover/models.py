"""A small network on the iris data that is handed over, and the checks that the tests share."""

import json

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import handover
from functional_nn.data import standardize
from functional_nn.handover import sealed

NET = fnn.mlp((4, 5, 3), hidden="tanh", output="softmax")
PARAMS = NET.init(jax.random.key(0))
IRIS = standardize(fnn.data.load("iris"))
AGAIN = "; copy it again, or save the model again"


def save(path, net=NET, params=PARAMS, loss="cross_entropy", dataset=IRIS, **options):
    return handover.save(path, net, params, loss, dataset, **options)


def assert_same(one, other):
    """Parameters equal to the bit, of the same dtypes and shapes, under the same names."""
    one, other = (jax.tree_util.tree_leaves_with_path(tree) for tree in (one, other))
    assert [path for path, _ in one] == [path for path, _ in other]
    for (_, a), (_, b) in zip(one, other, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def contents(folder):
    """What is in a folder: relative path -> bytes, None for a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")}


def spoil(name, how):
    """The damage that gives the file `name` other bytes: how(its bytes)."""
    return lambda folder: (folder / name).write_bytes(how((folder / name).read_bytes()))


def reseal(*path, value):
    """The damage that puts `value` at a place of the manifest and seals it again."""
    return lambda folder: sealed_again(folder / "manifest.json", put(*path, value=value))


def sealed_again(path, change):
    content = json.loads(path.read_text())
    change(content)
    content = {name: value for name, value in content.items()
               if name not in ("sha256", "made_by", "format")}
    path.write_bytes(sealed.seal(content))


def put(*path, value):
    def change(content):
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value
    return change


def check_load_refused(tmp_path, damage, kind, words, fields):
    """Loading a damaged model raises an error of these words and changes no file.

    In the words, {m} is the folder, and "..." stands for any text.
    """
    folder = save(tmp_path / "m")
    damage(folder)
    before = contents(tmp_path)
    with pytest.raises(kind) as error:
        handover.load(folder)
    start, dots, end = words.format(m=folder, **fields).partition("...")
    if dots:
        assert str(error.value).startswith(start) and str(error.value).endswith(end)
    else:
        assert str(error.value) == start
    assert contents(tmp_path) == before
