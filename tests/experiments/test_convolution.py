"""The experiment, small: a folder of a few images, a gradient that agrees, and an accuracy that is a share."""

import json

import numpy as np
import pytest

import functional_nn as fnn
from experiments import convolution
from functional_nn.data.mnist import FILES


@pytest.fixture
def images(tmp_path):
    """A tiny MNIST: the images of a class are bright in a row of their own."""
    for name in FILES:
        count = 40 if name.startswith("train") else 20
        classes = (np.arange(count) % 10).astype(np.uint8)
        pixels = np.zeros((count, 28, 28), np.uint8)
        pixels[np.arange(count), 4 + 2 * classes] = 255
        head = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
        text = head + pixels.tobytes() if "images" in name else (
            b"\0\0\x08\x01" + count.to_bytes(4, "big") + classes.tobytes())
        (tmp_path / name).write_bytes(text)
    return tmp_path


@pytest.mark.slow
def test_it_trains_and_reports(images, tmp_path, capsys):
    config = convolution.Config(data_dir=str(images), channels=(2, 3), epochs=2, batch_size=10, images=40, out=str(tmp_path / "run"))
    found = convolution.main(config)
    assert found["gradient_error"] < 1e-12 and 0 <= found["accuracy"] <= 1 and "test accuracy" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "convolution.json").read_text())["accuracy"] == found["accuracy"]


def test_the_network_of_the_docstring():
    assert convolution.network((8, 16)).sizes == (784, (28, 28, 1), (24, 24, 8), (12, 12, 8), (8, 8, 16), (4, 4, 16), 256, 10)
    assert fnn.summary(convolution.network((8, 16))).endswith("5,994")
