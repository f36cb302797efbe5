"""A page is one file: nothing is fetched, all text is escaped, every picture decodes and is said in words."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread

from functional_nn import plots
from functional_nn.report import Card, Section, Table, cell, page, write

FIGURE = plots.functions({"square": (np.linspace(-1, 1, 9), np.linspace(-1, 1, 9) ** 2, 2 * np.linspace(-1, 1, 9))})
TABLE = Table(("way", "accuracy", "± one", "mixed"),
              [("adam", 0.97123, "96.4 %", 1), ("<sgd>", None, "0.3 ± 0.1", "yes")],
              caption="Four ways", note="Note & bene.")
SECTIONS = [Section("Words", "One.\n\nTwo\nlines."), Section("Table", table=TABLE),
            Section("Picture", figure=FIGURE, figure_alt='A "square"'),
            Section("Bytes", figure=plots.png(FIGURE), figure_alt="alt", figure_caption="The caption")]


class Tags(HTMLParser):
    """The tags of a page with their attributes; all that is opened must be closed."""

    def __init__(self, html):
        super().__init__()
        self.found, self.open = [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def attributes(self, tag):
        return [attrs for found, attrs in self.found if found == tag]


def test_a_page_refers_to_nothing_outside_itself():
    html = page("Title", SECTIONS, lead="Lead", facts=[("runs", 4)])
    assert not re.search(r"https?:|//\w|<script|@import", re.sub(r"base64,[\w+/=]+", "", html))
    for _, attrs in Tags(html).found:
        assert all((attrs.get(key) or "data:").startswith(("data:", "#section-")) for key in ("src", "href"))
    assert "default-src 'none'" in html and "prefers-color-scheme: dark" in html and "width=device-width" in html


def test_pictures_decode_and_are_said_in_words():
    images = Tags(page("Title", SECTIONS)).attributes("img")
    assert [image["alt"] for image in images] == ['A "square"', "alt"]
    for image in images:
        content = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"), validate=True)
        assert imread(io.BytesIO(content)).ndim == 3


def test_text_is_escaped_everywhere():
    evil = "<b onclick='x'>&"
    html = page(evil, [Section(evil, evil, Table((evil,), [(evil,)], evil, evil), FIGURE, evil, evil)] * 4, lead=evil,
                facts=[(evil, evil)])
    assert "<b" not in re.sub(r"<body>", "", html) and html.count("&lt;b onclick=") > 30
    Tags(html)


def test_numbers_are_set_to_the_right_and_words_to_the_left():
    html = page("Title", SECTIONS)
    cells = re.findall(r"<td( class=\"number\")?>(.*?)</td>", html)
    assert [(bool(right), text) for right, text in cells] == [
        (False, "adam"), (True, "0.9712"), (True, "96.4 %"), (False, "1"),
        (False, "&lt;sgd&gt;"), (True, "–"), (True, "0.3 ± 0.1"), (False, "yes")]
    assert [attrs.get("class") for attrs in Tags(html).attributes("th")] == [None, "number", "number", None]


def test_contents_are_listed_once_there_are_many_sections():
    html = page("Title", SECTIONS)
    targets = [attrs["href"][1:] for attrs in Tags(html).attributes("a")]
    assert targets == [attrs["id"] for attrs in Tags(html).attributes("section")] and len(targets) == 4
    assert not Tags(page("Title", SECTIONS[:3])).attributes("a")


def test_paragraphs_are_parted_by_blank_lines():
    html = page("Title", SECTIONS[:1], lead="Lead")
    assert re.findall(r"<p>(.*?)</p>", html, re.S) == ["Lead", "One.", "Two\nlines."]


def test_an_empty_page_and_an_empty_table_are_whole():
    Tags(page("Title", []))
    Tags(page("Title", [Section("None", table=Table(("a", "b"), []))]))


@pytest.mark.parametrize(("value", "text"), [
    (np.float32(0.5), "0.5"), (np.int64(12), "12"), (np.bool_(True), "yes"), (float("nan"), "nan"), (1e-17, "1e-17"),
    (-3, "-3"), (None, "–"), ("0.50", "0.50"), ((1, 2), "(1, 2)"), (np.array(2.0), "2")])
def test_cells(value, text):
    assert cell(value) == text


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"rows\[1\] must have 2 cells, one per column \(a, b\), got 1"):
        Table(("a", "b"), [(1, 2), (3,)])
    with pytest.raises(ValueError, match="'Picture' needs figure_alt"):
        Section("Picture", figure=FIGURE)
    with pytest.raises(ValueError, match="must be a Figure or the bytes of a PNG"):
        Section("Picture", figure=b"GIF89a", figure_alt="alt")


def test_write_is_whole_or_absent(tmp_path):
    html = page("Größe ≤ 1", SECTIONS)
    path = write(tmp_path / "report.html", html)
    assert path.read_text(encoding="utf-8") == html
    with pytest.raises(UnicodeEncodeError):
        write(path, "half\ud800")
    assert path.read_text(encoding="utf-8") == html and [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_cards_link_to_their_pages_and_show_their_picture():
    cards = [Card("One & two", "one/report.html", "It <works>.", plots.png(FIGURE)), Card("Three", text="failed")]
    html = page("Title", [Section("Gallery", cards=cards)])
    tags = Tags(html)
    assert [attrs["href"] for attrs in tags.attributes("a")] == ["one/report.html"]
    assert len(tags.attributes("article")) == 2 and len(tags.attributes("img")) == 1
    assert "One &amp; two" in html and "It &lt;works&gt;." in html and "failed" in html
