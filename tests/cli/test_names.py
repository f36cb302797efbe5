"""The names that the command line reads from definitions are those of the library's tables."""

import pytest

from functional_nn.activations import ACTIVATIONS
from functional_nn.cli import names
from functional_nn.losses import LOSSES
from functional_nn.optimizers import OPTIMIZERS


def test_activations_are_those_that_a_hidden_layer_can_train_with():
    assert names.activations() == tuple(
        name for name, made in ACTIVATIONS.items() if made.elementwise and made.trains)


@pytest.mark.parametrize("classes", [True, False])
def test_losses_of_classes_have_an_output_of_their_own(classes):
    assert names.losses(classes) == tuple(
        name for name, made in LOSSES.items() if classes == (made.output is not None))


def test_optimisers_are_those_of_the_package():
    assert names.optimizers() == tuple(OPTIMIZERS)
