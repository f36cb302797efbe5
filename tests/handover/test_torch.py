"""PyTorch reads the two files and answers as the model does."""

import json

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import handover
from functional_nn.data import standardize

torch = pytest.importorskip("torch", reason="PyTorch is not installed; pip install 'functional_nn[bench]'")


def in_torch(folder):
    """The way of docs/handover.md."""
    from safetensors.torch import load_file

    manifest, tensors = json.loads((folder / "manifest.json").read_text()), load_file(folder / "model.safetensors")
    activations = {"relu": torch.nn.ReLU(), "tanh": torch.nn.Tanh(), "softmax": torch.nn.Softmax(dim=-1),
                   "linear": torch.nn.Identity(), "sigmoid": torch.nn.Sigmoid()}
    parts = []
    for i, layer in enumerate(manifest["network"]["layers"]):
        weight, bias = tensors[f"{i}/w"], tensors[f"{i}/b"]               # (n_out, n_in), as torch has it
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": weight, "bias": bias})
        parts += [linear, activations[layer["activation"]]]
    network, scaling = torch.nn.Sequential(*parts), manifest["data"]["standardizer"]
    mean, deviation = torch.tensor(scaling["mean"]), torch.tensor(scaling["deviation"])
    return lambda x: network((torch.tensor(x) - mean) / deviation)


def test_pytorch_answers_alike(tmp_path):
    raw = fnn.data.load("wine")
    net = fnn.mlp((13, 8, 6, 3), hidden=("relu", "tanh"), output="softmax")
    folder = handover.save(tmp_path / "m", net, net.init(jax.random.key(0)), "cross_entropy", standardize(raw))
    outputs = in_torch(folder)(raw.x_test).detach().numpy()
    np.testing.assert_allclose(outputs, handover.load(folder).outputs(raw.x_test), rtol=2e-5, atol=1e-6)
    assert outputs.std(axis=0).min() > 0.01  # a softmax that says something
