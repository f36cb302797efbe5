"""Every page is one file with one shell: it says what it is, escapes its title, and may ask for nothing."""

import json
import re

import pytest

from functional_nn.webpage import document, is_one


def test_the_shell_forbids_every_request_and_scripts_where_there_are_none():
    still, moving = document("report", "t", "<p>b</p>"), document("replay", "t", "<p>b</p>", scripts=["go();", "on();"])
    for page in (still, moving):
        assert "default-src 'none'" in page and "prefers-color-scheme: dark" in page and "width=device-width" in page
        assert "<p>b</p>" in page and "{{" not in page and not re.search(r"https?:|src=[^']|@import", page)
    assert "script-src" not in still and "<script" not in still
    assert "script-src 'unsafe-inline'" in moving and "<script>\ngo();\non();\n</script>" in moving


@pytest.mark.parametrize("title", ["a < b & \"c\"", "bell \x07 and \u202e turned", "</title><script>"])
def test_the_title_is_escaped(title):
    page = document("report", title, "")
    assert page.count("<title>") == page.count("</title>") == 1
    assert "<script" not in page and "\x07" not in page and "\u202e" not in page


def test_content_for_the_scripts_can_close_no_element_and_is_read_as_it_was():
    content = {"text": "</script><b>", "numbers": [1, 2.5, None]}
    page = document("replay", "t", "{{style}}", content={"content": content, "data": "AAAA"})
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.S)[1]
    assert json.loads(found) == content and 'type="application/octet-stream" id="data">AAAA<' in page
    assert "{{style}}" in page  # what a page brings is not filled in


def test_a_page_is_known_by_its_kind():
    page = document("report", "t", "b" * 5000 + '<meta name="generator" content="functional_nn replay">')
    assert is_one(page, "report") and not is_one(page, "replay") and not is_one("<html>report</html>", "report")
