"""`fnn.replay`: what it takes, what it says of the run, and what it refuses."""

import numpy as np
import pytest

import functional_nn as fnn
from tests.timemachine.conftest import small

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.mark.slow
def test_what_is_left_out_is_said(replayed):
    assert "All 12 steps are shown." in replayed.about
    shown = fnn.replay(**small(net=fnn.mlp((3, 20, 2), output="softmax"), batch_size=7), steps=4, examples=5, most=6)
    text = " ".join(shown.about)
    assert "4 of the 6 steps are shown, evenly spaced, of 3 epochs." in text
    assert "Of the 7 examples of a step, the 5 with the largest gradients" in text
    assert "6 of 20 nodes of layer 2" in text and len(shown.layout.plan.shown[1]) == 6


def test_the_page_is_written_whole(replayed, tmp_path):
    path = replayed.write(tmp_path / "replay.html")
    assert path.read_text(encoding="utf-8") == replayed.to_html()
    assert [p.name for p in tmp_path.iterdir()] == ["replay.html"]


@pytest.mark.slow
def test_pictures_of_the_examples_go_with_it():
    X = np.random.default_rng(0).random((6, 36)).astype(np.float32)
    shown = fnn.replay(**small(net=fnn.mlp((36, 2), output="softmax"), data=(X, np.arange(6) % 2), epochs=1),
                       image_shape=(6, 6))
    np.testing.assert_allclose(shown.images(np.array([2, 4])), X[[2, 4]].reshape(2, 6, 6))
    assert '"height": 6' in shown.to_html()


@pytest.mark.parametrize(("change", "error"), [
    ({"steps": 0}, "steps must be an integer of at least 1"), ({"examples": 251}, "examples must be"),
    ({"mistakes": ["signs"]}, "did you mean 'sign'"), ({"epochs": 0}, "epochs"), ({"batch_size": 99}, "batch_size"),
    ({"loss": "hing"}, "did you mean 'hinge'"), ({"key": 3}, "key"), ({"most": "x"}, "most"),
    ({"data": 3}, "data must be a pair")])
def test_bad_input_is_named(change, error):
    with pytest.raises((ValueError, TypeError), match=error):
        fnn.replay(**small(**change))
