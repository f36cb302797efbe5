"""`replay`: a run taken again and shown on a page, step by step and example by example.

>>> import functional_nn as fnn, jax, jax.numpy as jnp
>>> X = jnp.linspace(-1, 1, 8)[:, None]
>>> shown = replay(fnn.mlp((1, 2, 1), hidden="tanh"), "mse", fnn.optimizers.sgd(0.1), (X, X**2),
...                key=jax.random.key(0), epochs=2, batch_size=4)
>>> shown.tracks[0].numbers, shown.to_html()[:15]
((1, 2, 3, 4), '<!doctype html>')
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
import optax

from functional_nn import backprop, checks
from functional_nn.data import batch_size as checked_batch_size
from functional_nn.network import dtype_of
from functional_nn.objective import objective
from functional_nn.penalties import Penalty
from functional_nn.timemachine.looking import Layout
from functional_nn.timemachine.mistakes import mistake
from functional_nn.timemachine.page import page
from functional_nn.timemachine.recording import Course, Track, course_layout, record
from functional_nn.training.program import initial, keys
from functional_nn.training.sources import examples as run_examples
from functional_nn.writing import file_beside

__all__ = ["Replay", "replay"]

WRONG_EXAMPLES = 4  # so many examples of a step are recorded of a run with a mistake


@dataclasses.dataclass(frozen=True)
class Replay:
    """A recorded run, and the runs with a mistake that go with it.

    Attributes:
      title: the heading of its page.
      layout: which numbers are recorded.
      tracks: the right run, and then those with a mistake.
      about: sentences about the run.
      images: rows of the training examples -> their pictures, or None.
      labels: the names of the outputs, or nothing.
      weighted: whether the examples have weights.
    """

    title: str
    layout: Layout
    tracks: tuple[Track, ...]
    about: tuple[str, ...]
    images: Callable | None
    labels: tuple[str, ...]
    weighted: bool

    def to_html(self) -> str:
        """The page: one HTML file that loads nothing else."""
        return page(self.title, self.about, self.layout, self.tracks, self.images, self.labels,
                    self.weighted)

    def write(self, path: str | os.PathLike) -> Path:
        """Write the page to a file, and return the path; an existing file is replaced."""
        with file_beside(path) as partial:
            partial.write_text(self.to_html(), encoding="utf-8")
        return Path(path)


def replay(
    net, loss, optimizer: optax.GradientTransformation, data, *, key, epochs: int,
    batch_size: int | None = 32, params=None, validation=None,
    value_and_grad: Callable = backprop.value_and_grad, shuffle: bool = True,
    penalty: Penalty | None = None, sample_weights=None, class_weights=None, steps: int = 200,
    examples: int = 20, most: int = 10, mistakes: Sequence[str] = (),
    image_shape: tuple[int, int] | None = None, standardizer=None, labels: Sequence[str] = (),
    title: str = ""
) -> Replay:
    """Take a run again and record what happens in some of its steps.

    The first arguments are those of `fit`. They determine the run, so that `replay` makes the same
    steps with the same bits; the run itself needs to record nothing.

    Args:
      net, loss, optimizer, data, key, epochs, batch_size, params, validation, value_and_grad,
        shuffle, penalty, sample_weights, class_weights: as for `fit`. If the run ended before its
        last epoch, `epochs` is the number of those that it finished.
      steps: how many steps are recorded, spread evenly over the run.
      examples: how many examples of each step are recorded: those with the largest gradients.
      most: how many nodes of a layer are recorded: those with the largest part in the result.
      mistakes: causes of `functional_nn.timemachine.MISTAKES`; for each, a further run is made
        with that mistake in its backward pass.
      image_shape: (height, width) if the examples are pictures.
      standardizer: the `fnn.data.Standardizer` that has scaled the pictures, or None.
      labels: the names of the outputs, such as the classes.
      title: the heading; the network and its loss if not given.

    Returns a `Replay`. Raises a TypeError or ValueError that names the wrong argument.
    """
    for name, count in (("epochs", epochs), ("steps", steps), ("most", most)):
        checks.integer(name, count)
    checks.integer("examples", examples, high=250)
    for cause in mistakes:
        mistake(cause)
    problem = objective(net, loss)
    init_key, run_key, split_key = keys(checks.typed_key("key", key))
    source, _ = run_examples(
        data, validation, sample_weights, class_weights, split_key,
        regression=problem.loss.targets == "values" and net.output.name == "linear")
    start = initial(net, source.dtype)(init_key) if params is None else jax.tree.map(
        lambda leaf: checks.floating("params", leaf), params)
    problem.check(start, *source.some(256))
    course = Course(problem, optimizer, value_and_grad, penalty, source.on_device(),
                    checked_batch_size(batch_size, len(source)), shuffle, epochs, start, run_key)
    given = course_layout(course, most)
    tracks = tuple(record(course, given, steps, WRONG_EXAMPLES if cause else examples, cause)
                   for cause in ("", *mistakes))
    pictures = None if image_shape is None else _pictures(source, image_shape, standardizer)
    return Replay(title or f"{net!r} with {problem.loss!r}", given, tracks,
                  tuple(_about(course, given, tracks[0])), pictures, tuple(labels), course.weighted)


def _pictures(source, shape: tuple[int, int], standardizer) -> Callable:
    """The function rows -> pictures of the training examples."""
    X = source.examples[0]

    def of_rows(rows: np.ndarray) -> np.ndarray:
        pixels = np.asarray(X[rows], np.float64)
        if standardizer is not None:
            pixels = pixels * standardizer.deviation + standardizer.mean
        return pixels.reshape(-1, *shape)

    return of_rows


def _about(course: Course, given: Layout, track: Track) -> list[str]:
    """What is shown of the run and what is left out."""
    plan, total = given.plan, course.epochs * course.steps_an_epoch
    count, kept = len(track.numbers), track.looks.passes.shape[1]
    told = [f"{'All' if count == total else f'{count:,} of the'} {total:,} steps are shown"
            + f", evenly spaced, of {course.epochs} epochs." * (count < total)
            + "." * (count == total)]
    if kept < course.batch_size:
        told.append(f"Of the {course.batch_size} examples of a step, the {kept} with the largest "
                    "gradients are shown; sums are over all of them.")
    cut = [f"{len(plan.shown[l - 1])} of {plan.sizes[l - 1]:,} nodes of layer {l}"
           for l in range(1, plan.last + 1) if plan.cut(l)]
    if cut:
        told.append(f"Shown are {', '.join(cut)}, those with the largest part in the result at the "
                    "start; formulas hold the sum of the others as one number.")
    told.append("At every step shown, the gradient is compared with that of jax.grad, in float64. "
                "The debugger, which also names a fault and its layer, has looked at the first and "
                "the last of them only, as it takes a second or more each time.")
    told.append(f"Every number is that of the run, in {dtype_of(course.start, None)}, with four "
                "digits.")
    return told
