"""A manifest describes a model in words, and the model that it describes has the same manifest."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import handover
from functional_nn.data import Dataset, Standardizer
from functional_nn.data.columns import Encoder
from functional_nn.handover import manifest
from functional_nn.handover.model import Model, rowless
from functional_nn.layers import KINDS as LAYER_KINDS
from tests.handover.models import AGAIN, IRIS, check_load_refused, reseal, save

UNMADE = "{m}/manifest.json must describe a model, got one that cannot be made ({reason})" + AGAIN
ENCODER = Encoder(("height", "kind"), {"kind": ("elm", "oak")})
DATA = {
    "standardised": rowless("iris", IRIS.feature_names, IRIS.class_names,
                            standardizer=IRIS.standardizer, decided=IRIS.decided),
    "pictures": rowless("pictures", tuple("abcd"), tuple("xyz"), image_shape=(2, 2)),
    "categories": rowless(
        "trees.csv", ENCODER.feature_names, ("no", "yes"), encoder=ENCODER, decided="classes",
        standardizer=Standardizer(np.array([1 / 3, 0.5, 0.5]), np.array([2 / 3, 1.0, 0.25]))),
}


def modelled(data: Dataset) -> Model:
    net = fnn.mlp((len(data.feature_names), 5, len(data.class_names)), output="softmax")
    return Model(net, jax.tree.map(np.asarray, net.init(jax.random.key(0))),
                 fnn.losses.cross_entropy, data, {"epochs": 3}, manifest.versions())


@pytest.mark.parametrize("data", DATA)
def test_what_is_restored_is_described_alike(data):
    model = modelled(DATA[data])
    content = json.loads(json.dumps(manifest.describe(model, b"tensors")))
    restored = manifest.restore(content)
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), restored.params)
    assert shapes == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), model.params)
    again = manifest.describe(dataclasses.replace(restored, params=model.params), b"tensors")
    assert json.loads(json.dumps(again)) == content
    assert restored.data.encoder == model.data.encoder


def test_about_versions_and_pictures_are_kept(tmp_path):
    about = {"epochs": 30, "größe": [1.5, None, {"a": "\n\udcff"}], "accuracy": 1 / 3}
    save(tmp_path / "m", dataset=dataclasses.replace(IRIS, image_shape=(2, 2), name="x\udcff"),
         about=about)
    model = handover.load(tmp_path / "m")
    assert model.about == about and model.data.image_shape == (2, 2)
    assert model.data.name == "x\udcff"
    assert model.versions["jax"] == jax.__version__ and model.versions["numpy"] == np.__version__


def test_a_person_can_read_the_manifest(tmp_path):
    save(tmp_path / "m")
    text = (tmp_path / "m" / "manifest.json").read_text()
    assert '    "class_names": ["setosa", "versicolor", "virginica"],\n' in text
    content = json.loads(text)
    assert content["sizes"] == [4, 5, 3] and content["parameters"]["count"] == 43
    assert content["format"] == 1
    assert content["network"]["layers"][0] == {
        "kind": "dense", "n_out": 5, "activation": "tanh", "init": "glorot_uniform"}


@pytest.mark.parametrize(("spoil", "kind", "words", "fields"), [
    (reseal("network", "layers", 0, "kind", value="conv"), ValueError, UNMADE,
     {"reason": "ValueError: unknown layer 'conv'; did you mean 'convolution'? There are: "
                + ", ".join(LAYER_KINDS)}),
    (reseal("network", "n_in", value=10**30), ValueError, UNMADE, {"reason": "..."}),
    (reseal("data", "standardizer", "mean", value=[1]), ValueError, UNMADE,
     {"reason": "ValueError: the standardizer must have a finite mean and a deviation above 0 "
                "for each of 4 features"}),
    (reseal("data", "standardizer", "deviation", value=[1, 1, 0, 1]), ValueError, UNMADE,
     {"reason": "ValueError: the standardizer must have a finite mean and a deviation above 0 "
                "for each of 4 features"}),
    (reseal("data", value={}), ValueError, UNMADE, {"reason": "KeyError: 'columns'"}),
])
def test_load_says_what_is_wrong(spoil, kind, words, fields, tmp_path):
    check_load_refused(tmp_path, spoil, kind, words, fields)
