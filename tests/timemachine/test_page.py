"""The page of a run: it loads nothing, and in Chromium it shows the numbers of the library."""

import json
import re

import pytest

from functional_nn.explanation.notation import Symbol, number
from functional_nn.timemachine.page import page
from tests.webpage.browser import CHROMIUM, chromium

needs_chromium = [pytest.mark.slow, pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium; Debian's package is called chromium")]


def content(html):
    return json.loads(re.search(r'id="content">(.*?)</script>', html, re.DOTALL)[1])


def test_it_loads_nothing_and_is_filled_and_escaped(replayed):
    html = replayed.to_html()
    assert not re.search(r"https?:(?!//www.w3.org/2000/svg)|<link[^>]*href=\"(?!data:)|src=|@import|fetch\(", html)
    assert "{{" not in html and "<h1>a &lt; b</h1>" in html and "<low>" not in html
    assert content(html)["labels"] == ["<low>", "high"]


def test_every_number_has_its_name_and_every_node_its_formulas(replayed):
    found, given = content(replayed.to_html()), replayed.layout
    assert len(found["names"]["passes"]) == len(given.passes)
    for letter in ("z", "a", "δ", "L", "∂a"):
        places = [i for i, symbol in enumerate(given.passes) if symbol.letter == letter]
        assert all(str(place) in found["formulas"] for place in places if given.passes[place].layer != 1), letter
    z = found["formulas"][str(given.passes.index(Symbol("z", 2, (1,))))]["parts"]
    weights = [given.weights[-1 - part] for part in z if isinstance(part, int) and part < 0]
    assert [s.index for s in weights] == [(1, 0), (1, 1), (1, 2), (1,)]


def test_a_page_without_mistakes_pictures_or_labels(replayed):
    html = page("t", [], replayed.layout, replayed.tracks[:1])
    assert content(html)["images"] is None and len(content(html)["tracks"]) == 1


@pytest.fixture(scope="module")
def opened(replayed, tmp_path_factory):
    path = replayed.write(tmp_path_factory.mktemp("page") / "replay.html")
    with chromium() as browser:
        browser.open(path)
        yield browser, path


def text(browser, selector="#panel"):
    return browser.run(f"document.querySelector({selector!r}).innerText").replace("\n", " ")


def click(browser, selector):
    browser.run(f"document.querySelector({selector!r}).dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")


@pytest.mark.parametrize("width", [pytest.param(width, marks=needs_chromium) for width in (1280, 390)])
def test_it_says_nothing_to_the_console_asks_for_nothing_and_fits(opened, width):
    browser, path = opened
    browser.size(width, 800, phone=width < 500)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints == [] and browser.requests == [f"file://{path}"]


@pytest.mark.parametrize("name", [pytest.param("", marks=needs_chromium)])
def test_the_scrubber_moves_and_every_node_shows_the_number_of_the_library(opened, replayed, name):
    browser, _ = opened
    track, places = replayed.tracks[0], {s: i for i, s in enumerate(replayed.layout.passes)}
    for step, example in ((0, 0), (6, 2), (11, 1)):
        browser.run(f"for (const [id, v] of [['step', {step}], ['example', {example}]]) {{ const at = get(id);"
                    f" at.max = 99; at.value = v; at.dispatchEvent(new Event('input')); }} refresh()")
        nodes = browser.run("[...document.querySelectorAll('.node')].map(node => node.textContent)")
        wanted = []
        for symbol in (s for s in places if s.letter == "a"):
            letters = "xzδ" if symbol.layer == 1 else "azδ"
            wanted.append("".join(
                f"{letter} {number(track.looks.passes[step, example, places[symbol._replace(letter=kind)]], 4)}"
                for letter, kind in zip(letters, "azδ", strict=True)
                if symbol.layer > 1 or kind == "a"))
        assert nodes == wanted
    browser.run("document.activeElement.blur(); state.step = 3; refresh()")
    browser.key("ArrowRight")
    assert browser.run("state.step") == 4 and "step 5 of 12" in text(browser, "#controls")


@pytest.mark.parametrize("name", [pytest.param("", marks=needs_chromium)])
def test_the_panel_follows_once_the_scrubber_rests(opened, name):
    browser, _ = opened
    before = text(browser)
    browser.run("get('step').value = 8; get('step').dispatchEvent(new Event('input')); new Promise(done => setTimeout(done, 400))")
    followed = text(browser)
    browser.run("refresh()")
    assert browser.run("state.step") == 8 and followed == text(browser) != before


@pytest.mark.parametrize("step", [pytest.param(step, marks=needs_chromium) for step in (0, 9)])
def test_what_is_clicked_is_what_is_explained(opened, replayed, step):
    browser, _ = opened
    browser.run(f"state.track = 0; state.step = {step}; state.example = 1; refresh()")
    passes = {s: replayed.tracks[0].looks.passes[step, 1, i] for i, s in enumerate(replayed.layout.passes)}
    looks = replayed.tracks[0].looks
    before = {s: looks.before[step, i] for i, s in enumerate(replayed.layout.weights)}

    def put(value):
        told = number(value, 4)
        return f"({told})" if told[0] == "−" else told

    click(browser, "[data-node='4']")  # after the three inputs, the second node of layer 2
    said = text(browser)
    assert said.startswith("Layer 2, node 2")
    terms = [number(before[Symbol("w", 2, (1, 0))], 4) + "·" + put(passes[Symbol("a", 1, (0,))])]
    terms += [put(before[Symbol("w", 2, (1, k))]) + "·" + put(passes[Symbol("a", 1, (k,))]) for k in (1, 2)]
    assert f"= {' + '.join(terms)} + {put(before[Symbol('b', 2, (1,))])} = {number(passes[Symbol('z', 2, (1,))], 4)}" in said
    weight = replayed.layout.weights.index(Symbol("w", 3, (1, 2)))
    click(browser, f".hit[data-weight='{weight}']")
    said = text(browser)
    for values in (looks.before, looks.step, looks.after, looks.gradient, looks.memory):
        assert number(values[step, weight], 4) in said
    for k in range(3):
        assert number(looks.pushes[step, weight, k], 4) in said
        assert f"training row {looks.rows[step, looks.pushers[step, weight, k]]}" in said
    assert browser.complaints == []


@pytest.mark.parametrize("name", [pytest.param("", marks=needs_chromium)])
def test_a_mistake_is_switched_on_and_its_numbers_part_from_the_right_ones(opened, name):
    browser, _ = opened
    browser.run("const pick = get('track'); pick.value = 1; pick.dispatchEvent(new Event('change')); choose({node: 4});"
                " state.step = 6; refresh()")
    said = text(browser)
    assert "without σ′" in said and "in the right run" in said
    assert "✗" in text(browser, "#verdict") and browser.complaints == []
    assert browser.run("document.querySelectorAll('#curve path[stroke-dasharray=\"7 4\"]').length") == 1
    browser.run("get('track').value = 0; get('track').dispatchEvent(new Event('change'))")
    assert "✓" in text(browser, "#verdict")


