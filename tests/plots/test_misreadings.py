"""The confusion matrix: every count, colours for errors alone, and the examples misread."""

import numpy as np
import pytest

from functional_nn import plots
from tests.plots.readable import assert_readable

DIGITS = [str(digit) for digit in range(10)]
CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
           "Bag", "Ankle boot"]
RIGHT = np.diag(np.arange(30, 40))
MISREAD = {"misread_true": np.arange(30) % 10, "misread_predicted": (np.arange(30) + 1) % 10}
WRONG = RIGHT + 3 * np.eye(10, k=1, dtype=int) + 3 * np.eye(10, k=-9, dtype=int)
IMAGES = np.random.default_rng(0).random((30, 64))
PICTURES = {
    "all right": lambda: plots.confusion(RIGHT, DIGITS, np.zeros((0, 64))),
    "no examples": lambda: plots.confusion(0 * RIGHT, DIGITS),
    "thirty misread": lambda: plots.confusion(WRONG, DIGITS, IMAGES, **MISREAD),
    "long class names": lambda: plots.confusion(1000 * WRONG, CLOTHES, IMAGES, **MISREAD),
    "many classes": lambda: plots.confusion(
        np.eye(47, dtype=int), [f"class {index}" for index in range(47)]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_all_words_can_be_read_and_no_global_state_is_touched(name):
    assert_readable(PICTURES[name])


def test_confusion_shows_every_count_and_the_worst_mistake():
    axes = plots.confusion(WRONG, DIGITS).axes[0]
    assert sorted(int(text.get_text()) for text in axes.texts) == sorted(WRONG[WRONG > 0])
    assert axes.get_title() == "345 of 375 right (92%);\nmost often 0 read as 1 (3)"


def test_confusion_colours_errors_on_their_own_scale():
    matrix = np.array([[1000, 1], [2, 1000]])
    shown = plots.confusion(matrix, "ab").axes[0].images[0].get_array()
    redder = shown[..., 0] - shown[..., 2]
    assert redder[1, 0] > 0.4 > 0 > redder[0, 0]  # orange, and blue
    assert shown[0, 1].sum() > shown[1, 0].sum()  # one error is paler than two


def test_at_most_twenty_misread_digits_are_drawn_each_with_its_reading():
    figure = plots.confusion(WRONG, DIGITS, IMAGES, **MISREAD)
    titles = [axes.get_title() for axes in figure.axes[1:] if axes.get_visible()]
    assert titles == [f"{index % 10} read as {(index + 1) % 10}" for index in range(20)]
    assert figure.subfigs[1].get_suptitle() == "20 of the 30 misread"


@pytest.mark.parametrize(
    "images", [None, np.zeros((0, 64)), np.zeros((30, 4)), np.zeros((30, 13))])
def test_what_is_no_picture_is_left_out(images):
    assert len(plots.confusion(WRONG, DIGITS, images, **MISREAD).axes) == 1


def test_confusion_refuses_shapes_that_do_not_fit():
    says = r"matrix must be of shape \(3, 3\) for 3 class_names, got \(10, 10\)"
    with pytest.raises(ValueError, match=says):
        plots.confusion(RIGHT, "abc")
    with pytest.raises(ValueError, match="one length, got 30, 0 and 0"):
        plots.confusion(WRONG, DIGITS, IMAGES)
