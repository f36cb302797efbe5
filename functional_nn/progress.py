"""Progress reports for long computations: a bar on a terminal, plain lines in a file or pipe."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from functional_nn import checks
from functional_nn.console import print
from functional_nn.writing import printable

BESIDE_TEXT = 44  # columns of a bar, its rate, its time and the gaps: what stands before the text


@contextlib.contextmanager
def progress(total: int, description: str = "", *, enabled: bool = True,
             stream: TextIO | None = None) -> Iterator[Callable[..., None]]:
    """A context manager that reports progress; its value is the function `advance`.

    Call `advance(text="", steps=1)` after every piece of work, or with the number of pieces done
    since the last call. On a terminal, a bar shows the rate, the remaining time and `text`. If the
    terminal is too narrow for them, the whole `text` stands below the bar. Elsewhere, whole lines
    are printed: after the first and the last piece, and whenever a further tenth of the work is
    done. The time left is told from the second piece on, since the first one
    often takes a compilation too.

    Args:
        total: the number of pieces of work, at least 0.
        description: the work in a word or two, shown first.
        enabled: whether to report anything.
        stream: the text stream to write to; standard error by default.

    Raises:
        TypeError: `total` is not an integer.
        ValueError: `total` is negative.

    >>> with progress(3, "epochs", stream=sys.stdout) as advance:
    ...     for epoch in range(3):
    ...         advance(f"cost {1 / (epoch + 1):.2f}")
    epochs 1/3 (33%): cost 1.00
    epochs 2/3 (67%), ... left: cost 0.50
    epochs 3/3 (100%), took ...: cost 0.33
    """
    total = checks.integer("total", total, low=0)
    stream = sys.stderr if stream is None else stream
    if not enabled:
        yield lambda text="", steps=1: None
    elif (getattr(stream, "isatty", lambda: False)()
          and os.environ.get("TERM") not in ("dumb", "unknown")):
        with _bar(total, description, stream) as advance:
            yield advance
    else:
        with _lines(total, description, stream) as advance:
            yield advance


@contextlib.contextmanager
def _lines(total: int, description: str, stream: TextIO) -> Iterator[Callable[..., None]]:
    start, done, said, last = time.monotonic(), 0, 0, ""
    first = None  # (time, done) after the first piece, which often compiles too

    def when(ended: bool) -> str:
        """The time taken, or the time left as the pieces after the first one suggest it."""
        now = time.monotonic()
        if ended or done >= total:
            return f", took {_duration(now - start)}"
        if first is None or done <= first[1]:
            return ""
        return f", {_duration((now - first[0]) / (done - first[1]) * (total - done))} left"

    def say(ended: bool = False) -> None:
        nonlocal said
        said = done
        share = done / total if total else 1.0
        line = f"{description} {done}/{total} ({share:.0%}){when(ended)}"
        line += f": {last}" if last else ""
        print(" ".join(line.split()), file=stream, flush=True)

    def advance(text: str = "", steps: int = 1) -> None:
        nonlocal done, last, first
        before, done, last = done, done + steps, text
        first = first or (time.monotonic(), done)
        if (before == 0 or done >= total > before
                or 10 * done // max(total, 1) > 10 * before // max(total, 1)):
            say()

    yield advance
    if said < done:  # the work ended early and without an error
        say(ended=True)


@contextlib.contextmanager
def _bar(total: int, description: str, stream: TextIO) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if not speed else f"{speed:.3g}/s" if speed >= 1
                        else f"{1 / speed:.3g} s each")

    def words(key: str, ratio: int | None = None) -> TextColumn:
        return TextColumn("{task." + key + "}", markup=False,
                          table_column=Column(no_wrap=True, overflow="ellipsis", ratio=ratio))

    wide = (words("description"), BarColumn(bar_width=20), MofNCompleteColumn(), Rate(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            words("fields[text]", ratio=1))
    narrow = (words("description"), BarColumn(bar_width=None), MofNCompleteColumn(),
              TimeRemainingColumn(compact=True, elapsed_when_finished=True))

    class Whole(Progress):
        """A bar with the text behind it; from the first text that does not fit on, below it."""

        def get_renderables(self):
            [task] = self.tasks or [None]
            text = Text(task.fields["text"] if task else "")
            taken = BESIDE_TEXT + len(description) + 2 * len(str(total))
            if text.cell_len + taken > console.width:
                self.columns = narrow
            yield self.make_tasks_table(self.tasks)
            if self.columns is narrow and text:
                yield text

    console = Console(file=stream)
    with Whole(*wide, console=console, expand=True, redirect_stdout=False,
               redirect_stderr=False) as bar:
        task = bar.add_task(printable(description), total=total, text="")
        yield lambda text="", steps=1: bar.update(task, advance=steps, text=printable(text))


def _duration(seconds: float) -> str:
    """A duration in words, from its length in seconds.

    >>> [_duration(seconds) for seconds in (3.4, 75, 4000)]
    ['3 s', '1 min 15 s', '1 h 6 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (f"{whole // 60} min {whole % 60} s" if whole < 3600
            else f"{whole // 3600} h {whole % 3600 // 60} min")
