import base64
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.common.plotting import curves, histograms, to_svg
from lightning_neuro.common.report import Figure, Section, Table, write_report

VOID = {"meta", "link", "img", "br"}
PNG = b"\x89PNG\r\n\x1a\n" + b"not a whole picture"


class Outline(HTMLParser):
    """Follows the tags of a page: which stand open, what text was read, what would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.loaded: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "data"}]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture
def page(tmp_path):
    pictures = [
        to_svg(curves({"plain": [[0.5, 0.7], [0.6, 0.8]], "activated": [[0.4, 0.6]]}, title="Accuracy")),
        to_svg(histograms({"before": [0.0, 1.0], "after": [0.0, 0.1]}, title="Gradients")),
    ]
    section = Section("A method", ["Words.", Table(["arm", "value"], [["plain", "1"]], "Why."), Figure(pictures, "A")])
    path = write_report(tmp_path / "new" / "folder" / "index.html", "A title", [section], lead="In short.")
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_holds_everything(page):
    words = outline(page).text
    for expected in ("A title", "In short.", "A method", "Words.", "plain", "Why.", "Accuracy", "Gradients"):
        assert expected in words, expected


def test_page_loads_nothing_and_has_no_script(page):
    parsed = outline(page)
    assert all(target.startswith(("#", "data:")) for target in parsed.loaded), parsed.loaded
    assert "script" not in parsed.seen
    assert not re.search(r"url\(\s*['\"]?(?!#)", page)
    assert "@import" not in page


def test_page_reads_on_a_telephone_and_in_the_dark(page):
    assert "width=device-width" in page
    assert "prefers-color-scheme: dark" in page
    assert "var(--series-0, #0072b2)" in page


def test_pictures_share_no_clip_names(page):
    names = re.findall(r'<clipPath id="([^"]+)"', page)
    assert len(names) == len(set(names)) == 2


def test_same_content_gives_the_same_page(tmp_path):
    def once(name):
        picture = to_svg(curves({"plain": [[0.5, 0.7]]}, title="Loss"))
        return write_report(tmp_path / name, "t", [Section("s", [Figure([picture], "c")])]).read_bytes()

    assert once("first.html") == once("second.html")


@given(words=st.text(st.sampled_from("<>&\"'/=!b; é"), min_size=1))
def test_every_text_is_escaped(words):
    section = Section(words, [words, Table([words], [[words]], words), Figure([PNG], words, words)])
    read = outline(section.to_html()).text
    assert "".join(read) == words * 6  # title, text, header, cell, caption, caption


def test_markup_in_text_stays_text():
    html = Section("<b>", ['<script src="http://example.org">']).to_html()
    assert "<script" not in html
    assert "&lt;b&gt;" in html


def test_png_is_embedded():
    html = Figure([PNG], 'say "cheese"').to_html()
    encoded = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    assert encoded
    assert base64.b64decode(encoded[1]) == PNG
    assert 'alt="say &quot;cheese&quot;"' in html


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match=r"Table: row 1 must have 2 cells like the header, got 1: \['b'\]\."):
        Table(["x", "y"], [["a", "1"], ["b"]])
    with pytest.raises(ValueError, match=r"Figure: bytes must be a PNG picture, got bytes that begin with b'GIF'\."):
        Figure([b"GIF"], "caption").to_html()
    with pytest.raises(TypeError, match=r"Write \[picture\]"):
        Figure("<svg/>", "caption")
