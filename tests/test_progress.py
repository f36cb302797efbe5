"""A bar on a terminal, few short lines elsewhere, silence when not wanted, and a terminal left as it was found."""

import io
import re
import sys
import time

import pytest

from functional_nn.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(total, stream, steps=None, **options):
    with progress(total, "epochs", stream=stream, **options) as advance:
        for step in range(total if steps is None else steps):
            advance(f"cost {step}")
    return stream.getvalue()


def run_once(text):
    stream = io.StringIO()
    with progress(1, stream=stream) as advance:
        advance(text)
    return stream.getvalue()


@pytest.mark.parametrize("total", [1, 2, 3, 9, 10, 11, 30, 99, 1000, 12345])
def test_plain_lines_are_few_and_hold_the_first_and_the_last(total, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)  # a plain stream needs no rich
    lines = run(total, io.StringIO()).splitlines()
    assert 1 <= len(lines) <= 11
    assert lines[0].startswith(f"epochs 1/{total} (") and lines[0].endswith(": cost 0")
    assert lines[-1].startswith(f"epochs {total}/{total} (100%), took ") and lines[-1].endswith(f": cost {total - 1}")
    assert len(set(lines)) == len(lines)


def test_a_line_is_whole_in_a_file_and_stays_one_line():
    stream = io.StringIO()
    with progress(2, "a long description " * 3, stream=stream) as advance:
        advance("text " * 40)
        advance("two\nlines\n")
    first, last = stream.getvalue().splitlines()
    assert first.count("text") == 40 and last.endswith(": two lines")
    assert "cost 1 2" in run_once("cost 1\n2")


def test_there_is_no_forecast_before_the_second_piece(monkeypatch):
    """The first piece takes 100 s, as it compiles; each of the others takes one."""
    now, stream = [0.0], io.StringIO()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress(10, "epochs", stream=stream) as advance:
        for i in range(10):
            now[0] += 1 if i else 100
            advance(f"cost {i}")
    first, *others, last = stream.getvalue().splitlines()
    assert first == "epochs 1/10 (10%): cost 0" and last.endswith("took 1 min 49 s: cost 9")
    assert others == [f"epochs {i}/10 ({i}0%), {10 - i} s left: cost {i - 1}" for i in range(2, 10)]


def test_every_line_is_flushed():
    class Flushed(io.StringIO):
        flushed = 0

        def flush(self):
            self.flushed += 1

    stream = Flushed()
    assert stream.flushed == 0 < len(run(3, stream).splitlines()) == stream.flushed == 3


def test_work_that_ends_early_says_where():
    assert run(1000, io.StringIO(), steps=42).splitlines()[-1].startswith("epochs 42/1000 (4%), took ")


def test_several_steps_at_once_and_no_steps_at_all():
    stream = io.StringIO()
    with progress(100, stream=stream) as advance:
        for _ in range(4):
            advance(steps=25)
    assert [line.split(" (")[0] for line in stream.getvalue().splitlines()] == ["25/100", "50/100", "75/100", "100/100"]
    assert run(0, io.StringIO()) == ""


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_disabled_says_nothing(stream):
    assert run(5, stream(), enabled=False) == ""


def test_standard_error_is_the_default(capsys):
    with progress(1) as advance:
        advance()
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("1/1 (100%), took 0 s")


@pytest.fixture
def colours(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_terminal_gets_a_bar_with_text_that_is_not_markup(colours):
    stream = Terminal()
    with progress(3, "epochs", stream=stream) as advance:
        for _ in range(3):
            advance("[bold]cost[/] [1, 2]")
    assert "3/3" in stream.getvalue() and "[bold]cost[/] [1, 2]" in stream.getvalue() and "━" in stream.getvalue()


SCORES = "cost 0.00124  penalty 0.34  val. cost 0.00176  val. accuracy 0.978"


@pytest.mark.parametrize(("width", "lines"), [(40, 3), (60, 3), (80, 2), (140, 1)])
def test_a_narrow_terminal_hides_nothing(width, lines, colours, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with progress(100, "training", stream=stream) as advance:
        for _ in range(100):
            advance(SCORES)
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue().rpartition("\x1b[2K")[2])
    shown = [line for line in last.replace("\r", "").splitlines() if line.strip()]
    assert "100/100" in last and "…" not in last and len(shown) == lines
    assert " ".join(SCORES.split()) in " ".join(last.split())
    assert max(map(len, shown)) <= width


def test_a_terminal_without_colour_gets_none(colours, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*[34][0-9]", run(3, Terminal()))
    monkeypatch.delenv("NO_COLOR")
    assert re.search(r"\x1b\[[0-9;]*[34][0-9]", run(3, Terminal()))


def test_an_interrupt_passes_through_and_leaves_the_cursor_visible(colours):
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), progress(3, "epochs", stream=stream) as advance:
        advance()
        raise KeyboardInterrupt
    hidden, shown = stream.getvalue().rfind("\x1b[?25l"), stream.getvalue().rfind("\x1b[?25h")
    assert -1 < hidden < shown


def test_an_interrupt_passes_through_plain_lines():
    with pytest.raises(KeyboardInterrupt), progress(3, stream=io.StringIO()):
        raise KeyboardInterrupt


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in run(3, Terminal())


@pytest.mark.parametrize(("total", "error"), [(-1, ValueError), (2.5, TypeError), (None, TypeError)])
def test_a_total_that_is_no_count_is_refused(total, error):
    with pytest.raises(error, match="total must be an integer of at least 0"), progress(total):
        pass
