"""The bytes of the parameters do not hang on their layout in memory; others are refused by name."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn import handover
from functional_nn.handover import parameters
from tests.handover.models import NET, PARAMS, assert_same, check_load_refused, reseal, save


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, np.float32, np.float64])
def test_what_is_written_is_read_to_the_bit(dtype):
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda p: np.asarray(rng.normal(size=p.shape), dtype), PARAMS)
    assert_same(parameters.from_bytes("file", parameters.to_bytes(params), NET), params)


def test_byte_order_makes_no_difference():
    swapped = jax.tree.map(lambda p: np.asarray(p, ">f4"), PARAMS)
    assert parameters.to_bytes(swapped) == parameters.to_bytes(PARAMS)


@pytest.mark.parametrize("layout", [
    np.asfortranarray, lambda p: np.repeat(p, 2, axis=0)[::2], lambda p: p[::-1][::-1]])
def test_memory_layout_makes_no_difference(tmp_path, layout):
    save(tmp_path / "m", params=jax.tree.map(lambda p: layout(np.asarray(p)), PARAMS))
    assert_same(handover.load(tmp_path / "m").params, PARAMS)


@pytest.mark.parametrize(("spoil", "kind", "words", "fields"), [
    (reseal("network", "layers", 0, "n_out", value=6), ValueError,
     "{m}/model.safetensors must hold '0/b' as floats of shape (6,), which the manifest's network "
     "has, got F32 of shape (5,); take both files from one folder", {}),
    (reseal("network", "layers", 0, value={"kind": "dropout", "rate": 0.5}), ValueError,
     "{m}/model.safetensors must hold the parameters of Network(4 -> dropout(0.5) -> "
     "dense(3, softmax)), got others: '0/b' is one too many; take both files from one folder", {}),
])
def test_load_says_what_is_wrong(spoil, kind, words, fields, tmp_path):
    check_load_refused(tmp_path, spoil, kind, words, fields)


def test_without_safetensors_a_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    save(tmp_path / "m")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (lambda: handover.load(tmp_path / "m"), lambda: save(tmp_path / "n")):
        with pytest.raises(ModuleNotFoundError) as error:
            call()
        assert str(error.value) == ("handing over a model needs safetensors; install it with: pip "
                                    "install 'functional_nn[ckpt]'")
    assert not (tmp_path / "n").exists()
