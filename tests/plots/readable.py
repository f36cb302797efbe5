"""What a picture says: its words, which of them cannot be read, and the entries of its legend."""

import itertools

import matplotlib
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def words(figure):
    """Every text that is drawn, with the box it takes in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    ticks = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        shown = axis.axes.get_visible() and axis.get_visible()
        ticks |= {label for tick in axis.get_major_ticks() + axis.get_minor_ticks()
                  for label in (tick.label1, tick.label2)
                  if not (shown and low <= tick.get_loc() <= high)}
    for axes in figure.axes:
        if not axes.get_visible():
            ticks |= set(axes.findobj(Text))
    return [(text.get_text(), text.get_window_extent(renderer)) for text in figure.findobj(Text)
            if text.get_text().strip() and text.get_visible() and text not in ticks]


def unreadable(figure):
    """The words that lie on others or outside the picture."""
    boxes, found = words(figure), []
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        if min(a.x1, b.x1) - max(a.x0, b.x0) >= 1 and min(a.y1, b.y1) - max(a.y0, b.y0) >= 1:
            found.append(f"{one!r} and {other!r} overlap")
    for text, box in boxes:
        outside = box.x1 > figure.bbox.x1 + 1 or box.y1 > figure.bbox.y1 + 1
        if min(box.x0, box.y0) < -1 or outside:
            found.append(f"{text!r} is cut off")
    return found


def assert_readable(draw):
    """All words of the picture that `draw` returns can be read, and no global state is touched."""
    before = dict(matplotlib.rcParams)
    assert unreadable(draw()) == []
    assert dict(matplotlib.rcParams) == before


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]
