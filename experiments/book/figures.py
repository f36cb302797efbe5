"""The published figures: what each was made with, how it is replayed, and what must hold.

Each is a record with the name of its file in the folder fig/ of the book's repository. The curves
have one name in the published file and in the replay, so `gates` can compare them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.book.gates import Gate, in_band, in_range, within
from experiments.book.replay import Images, Training, norms, script

__all__ = ["FIGURES", "Figure", "Panel"]

Curves = Mapping[str, np.ndarray]
POINTS = " points"


class Panel(NamedTuple):
    """Curves that share their axes.

    Attributes:
      ylabel: the label of the axis, with the unit.
      curves: the names of the curves.
      apart: the curves whose difference, ours − published, is drawn below.
      yscale: "linear" or "log".
    """

    ylabel: str
    curves: tuple[str, ...]
    apart: tuple[str, ...] = ()
    yscale: str = "linear"


class Figure(NamedTuple):
    """A published figure.

    Attributes:
      made_with: what it was made with, in words.
      replay: (images, epochs or None for all, seeds) -> our curves, (runs, epochs) each.
      read: what the published file holds -> the published curves, (epochs,) each.
      panels: what is drawn.
      gates: what must hold.
      cheap: whether it is replayed with --quick.
      remark: why ours may differ from it, beyond what holds for all; "" for nothing.
      x: the places of the points; None for the epochs.
      xlabel: what they are.
    """

    made_with: str
    replay: Callable[[Images, int | None, int], Curves]
    read: Callable[[Any], Curves]
    panels: tuple[Panel, ...]
    gates: tuple[Gate, ...]
    cheap: bool = True
    remark: str = ""
    x: tuple[int, ...] | None = None
    xlabel: str = "epoch"


def _both(ylabel: str, curves: tuple[str, ...]) -> Panel:
    """A panel of curves that are all compared point by point."""
    return Panel(ylabel, curves, apart=curves)


def _one_run(rows: int, penalty: float, epochs: int, gates: tuple[Gate, ...], cheap: bool):
    """A figure of overfitting.py: one training with large first weights, judged on the test."""
    training = Training("", 0.5, penalty, epochs, (False, True), rows)
    watched = ("test cost", "test accuracy", "training cost", "training accuracy")
    factors = (1.0, 100 / 10_000, 1.0, 100 / rows)

    def read(lists):
        return {name: factor * np.array(values)
                for name, factor, values in zip(watched, factors, lists, strict=True)}

    def replay(images, epochs, seeds):
        found = script([training], watched, images, epochs)[""]
        return {name: values[None] for name, values in found.items()}

    return Figure(
        f"784-30-10 on the first {rows:,} training images, weights from N(0, 1), η = 0.5, "
        f"λ = {penalty:g}, {epochs} epochs", replay, read,
        (_both("cost (cross-entropy)", ("training cost", "test cost")),
         _both("accuracy (%)", ("training accuracy", "test accuracy"))), gates, cheap,
        remark="With η = 0.5 and large weights a difference of one grey level in a pixel grows to "
               "0.01 of the cost, and to tenths of a point, as soon as many steps are taken; the "
               "curves go on side by side.")


def _weights(hidden: int, cheap: bool):
    """A figure of weight_initialization.py: the same training from small and from large weights."""
    names = ("N(0, 1/n)", "N(0, 1)")
    trainings = [Training(name, 0.1, 5.0, 30, (large,), hidden=hidden)
                 for name, large in zip(names, (False, True), strict=True)]
    keys = ("default_weight_initialization", "large_weight_initialization")
    return Figure(
        f"784-{hidden}-10 on 50,000 training images, η = 0.1 (which only the book says), λ = 5, "
        "30 epochs, from weights of N(0, 1/n) and then of N(0, 1)",
        _labelled(trainings, "validation accuracy"),
        lambda held: {name: np.array(held[key][1]) / 100
                      for name, key in zip(names, keys, strict=True)},
        (_both("validation accuracy (%)", names),),
        tuple(within(name, 0.1, POINTS) for name in names), cheap)


def _labelled(trainings: Sequence[Training], watched: str) -> Callable:
    """The replay of a script whose trainings are a curve each."""
    def replay(images, epochs, seeds):
        found = script(trainings, [watched], images, epochs)
        return {name: values[watched][None] for name, values in found.items()}

    return replay


def _rates():
    """The figure of multiple_eta.py: three learning rates, one after another."""
    names = ("η = 0.025", "η = 0.25", "η = 2.5")
    trainings = [Training(name, rate, 5.0, 30, (False,))
                 for name, rate in zip(names, (0.025, 0.25, 2.5), strict=True)]
    return Figure(
        "784-30-10 on 50,000 training images, weights from N(0, 1/n), λ = 5, 30 epochs with each "
        "of three learning rates", _labelled(trainings, "training cost"),
        lambda held: {name: np.array(lists[2]) for name, lists in zip(names, held, strict=True)},
        (Panel("training cost with penalty", names, apart=names[:2]),),
        (within(names[0], 1e-3), within(names[1], 1e-3), in_range(names[2])), cheap=False,
        remark="With η = 2.5 the steps are so large that a difference in the last digit grows to "
               "the size of the cost within an epoch: only its range can be held to.")


def _sizes():
    """The figure of more_data.py: the last accuracy by the number of training images."""
    sizes = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
    name = "validation accuracy"
    trainings = [Training(f"{size:,} images", 0.5, 1e-4 * size, 1_500_000 // size,
                          (False, True) if size == 100 else (True,), size) for size in sizes]

    def replay(images, epochs, seeds):
        found = script(trainings, [name], images, epochs, every=False)
        return {name: np.array([[values[name][-1] for values in found.values()]])}

    return Figure(
        "784-30-10 on the first 100 to 50,000 training images, weights from N(0, 1), η = 0.5, "
        "λ = n / 10,000, as many epochs as show 1,500,000 images", replay,
        lambda held: {name: np.array(held)},
        (_both("validation accuracy (%)", (name,)),), (within(name, 0.3, POINTS),), cheap=False,
        remark="With 50,000 images ours is 0.31 points above. With η = 0.5 one epoch decides more "
               "than that: in regularized_full, the same training, the published accuracy moves by "
               "0.55 points from epoch to epoch, on average over the last ten.",
        x=sizes, xlabel="training images (log scale)")


def _norms(hidden_layers: int, low: float, high: float):
    """A figure of generate_gradient.py: how large the error of each hidden layer is."""
    names = tuple(f"hidden layer {number + 1}" for number in range(hidden_layers))
    return Figure(
        f"784-{'30-' * hidden_layers}10 on the first 1,000 training images, weights from "
        "N(0, 1/n), batch gradient descent with η = 0.1, λ = 5, 500 epochs; no seed was set",
        lambda images, epochs, seeds: dict(zip(
            names, norms(hidden_layers, images, epochs or 500, seeds), strict=True)),
        lambda held: dict(zip(names, np.array(held).T, strict=True)),
        (Panel("‖mean δ‖ (log scale)", names, yscale="log"),),
        (in_band(names[0], names[-1], low, high),),
        remark="Its numbers were drawn without a seed, so it is one draw among ours. The band of "
               "the gate holds 95 % of 200 draws of another program.")


EARLY, END = within("training cost", 1e-3, first=5), within("test accuracy", 0.3, POINTS, last=1)

FIGURES = {
    "overfitting": _one_run(1000, 0.0, 400, (EARLY,), cheap=True),
    "regularized": _one_run(1000, 0.1, 400, (EARLY,), cheap=True),
    "overfitting_full": _one_run(50_000, 0.0, 30, (END,), cheap=False),
    "regularized_full": _one_run(50_000, 5.0, 30, (END,), cheap=False),
    "weight_initialization_30": _weights(30, cheap=True),
    "weight_initialization_100": _weights(100, cheap=False),
    "multiple_eta": _rates(),
    "more_data": _sizes(),
    "norms_during_training_2_layers": _norms(2, 3.7, 6.9),
    "norms_during_training_3_layers": _norms(3, 17, 38),
    "norms_during_training_4_layers": _norms(4, 80, 202),
}
"""Every figure that is replayed, by the name of its file."""
