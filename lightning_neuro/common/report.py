"""One self-contained HTML page: title, sections, text, tables and pictures.

Nothing is loaded from anywhere: the style sheet and every picture are part of the file, and there is no script. The
page follows the reader's choice of light or dark and is as readable on a telephone as on a wide screen.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Figure:
    """Pictures side by side (one below the other where the screen is narrow) above a caption.

    Args:
        pictures: SVG markup (`str`, put into the page as it is: give only markup you made yourself) or PNG `bytes`.
        caption: what the pictures show and what to notice.
        alt: the same for readers who do not see the pictures; the caption where left out.

    >>> Figure(["<svg/>"], "Loss over epochs").to_html()
    '<figure><div class="panels"><div role="img" aria-label="Loss over epochs"><svg/></div></div><figcaption>Loss over epochs</figcaption></figure>'
    """  # noqa: E501

    pictures: Sequence[str | bytes]
    caption: str
    alt: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.pictures, str | bytes):
            raise TypeError("Figure: pictures must be a list of pictures, got a single one. Write [picture].")

    def to_html(self) -> str:
        """The figure as HTML."""
        alt = escape(self.alt or self.caption)
        panels = "".join(_picture_html(picture, alt) for picture in self.pictures)
        return f'<figure><div class="panels">{panels}</div><figcaption>{escape(self.caption)}</figcaption></figure>'


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column names the row.

    Args:
        header: one title per column.
        rows: one sequence of cells per row, as long as the header; numbers come formatted, as text.
        caption: where the numbers come from: data, seeds, command.

    Raises:
        ValueError: a row is not as long as the header.

    >>> Table(["arm", "accuracy"], [["plain", "0.81"]]).to_html().count("<tr>")
    2
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def __post_init__(self) -> None:
        for index, row in enumerate(self.rows):
            if len(row) != len(self.header):
                raise ValueError(
                    f"Table: row {index} must have {len(self.header)} cells like the header, got {len(row)}: {row!r}."
                )

    def to_html(self) -> str:
        """The table as HTML."""
        head = "".join(f'<th scope="col">{escape(title)}</th>' for title in self.header)
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
            for name, *cells in self.rows
        )
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'<figure><div class="scroll">{table}</div>{caption}</figure>'


@dataclass(frozen=True)
class Section:
    """A titled part of the page, one per method: paragraphs (`str`), tables and figures in reading order.

    >>> Section("Method", ["Text with < and &."]).to_html()
    '<section><h2>Method</h2><p>Text with &lt; and &amp;.</p></section>'
    """

    title: str
    blocks: Sequence[str | Table | Figure]

    def to_html(self) -> str:
        """The section as HTML."""
        parts = [f"<p>{escape(block)}</p>" if isinstance(block, str) else block.to_html() for block in self.blocks]
        return f"<section><h2>{escape(self.title)}</h2>{''.join(parts)}</section>"


def write_report(path: str | Path, title: str, sections: Sequence[Section], *, lead: str = "") -> Path:
    """Write the page and return where it lies.

    Args:
        path: the file to write; folders on the way are made.
        title: headline of the page.
        sections: the parts, in order.
        lead: a paragraph under the headline.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_page_html(title, sections, lead), encoding="utf-8")
    return target


def _picture_html(picture: str | bytes, alt: str) -> str:
    if isinstance(picture, str):
        return f'<div role="img" aria-label="{alt}">{picture}</div>'
    if not picture.startswith(_PNG_SIGNATURE):
        raise ValueError(f"Figure: bytes must be a PNG picture, got bytes that begin with {picture[:8]!r}.")
    return f'<img alt="{alt}" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'


def _page_html(title: str, sections: Sequence[Section], lead: str) -> str:
    style = (files(__package__) / "report.css").read_text(encoding="utf-8")
    opening = f"<h1>{escape(title)}</h1>" + (f'<p class="lead">{escape(lead)}</p>' if lead else "")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n<header>{opening}</header>\n"
        + "\n".join(section.to_html() for section in sections)
        + "\n</main>\n</body>\n</html>\n"
    )
