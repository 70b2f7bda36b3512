"""Docstrings of this package are Markdown in Google's sections; Sphinx wants reStructuredText in the same sections.

Code in backticks becomes a literal, an indented block outside of sections a literal block (formulas), a table of
pipes a table; what reStructuredText would take for markup is escaped. Doctests stay as they are.
"""

import re
from typing import Any

from sphinx.application import Sphinx

SECTION = re.compile(r"(Args|Arguments|Attributes|Example|Examples|Note|Raises|Returns|Yields|Warns|References):$")
ITEM = re.compile(r"\s*([*-]|\d+\.) ")
CODE = re.compile(r"(`+)(.+?)\1")
SPECIAL = re.compile(r"([\\*|])|(?<=\w)(_+)(?!\w)")
COLON = "\ue000"  # for one that napoleon must not take for the end of a type


def inline(text: str) -> str:
    r"""Return a line with its code as literals and the rest escaped.

    >>> inline("`a_` times |g| of A1_")
    '``a_`` times \\|g\\| of A1\\_'
    """
    pieces, end = [], 0
    for match in CODE.finditer(text):
        pieces += [_escaped(text[end : match.start()]), f"``{match[2].strip()}``"]
        end = match.end()
        if text[end : end + 1].isalnum():
            pieces.append("\\ ")  # a literal must not touch a letter
    return "".join([*pieces, _escaped(text[end:])])


def _escaped(text: str) -> str:
    marker = ITEM.match(text)
    head = marker[0] if marker else ""
    # Of emphasis only the strong one is in use.
    kept = text[len(head) :].replace("**", "\0")
    escaped = SPECIAL.sub(lambda found: f"\\{found[0]}", kept)
    balanced = "**" if escaped.count("\0") % 2 == 0 else r"\*\*"
    return head + escaped.replace("\0", balanced)


def convert(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText with Google's sections."""
    result: list[str] = []
    in_section = in_returns = in_block = in_list = in_doctest = False
    table: list[str] = []
    for line in [*lines, ""]:
        if table and not line.lstrip().startswith("|"):
            result += _table(table)
            table = []
        indented = line.startswith(" ")
        if not line.strip():
            in_doctest = False
            result.append("")
            continue
        if line.lstrip().startswith(">>>") or in_doctest:
            if not in_doctest and result and result[-1].strip():
                result.append("")
            in_doctest = True
            result.append(line)
            continue
        if not indented:
            in_block, in_section = False, bool(SECTION.match(line))
            in_list = bool(ITEM.match(line)) or (in_list and bool(result) and bool(result[-1].strip()))
        if in_section and not indented:
            in_returns = line in ("Returns:", "Yields:")
            result.append(line)
        elif in_section:
            result.append(inline(line).replace(":", COLON) if in_returns else inline(line))
        elif line.lstrip().startswith("|") and line.rstrip().endswith("|") and line.count("|") > 2:
            table.append(line.strip())
        elif indented and not in_list:
            if not in_block:
                result += [*([""] if result and result[-1].strip() else []), "::", ""]
                in_block = True
            result.append(line)
        else:
            result.append(inline(line))
    return result[:-1]


def _table(rows: list[str]) -> list[str]:
    head, _, *body = ([cell.strip() for cell in row[1:-1].split("|")] for row in rows)
    text = ["", ".. list-table::", "   :header-rows: 1", ""]
    for row in [head, *body]:
        for index, cell in enumerate(row):
            text.append(f"   {'* -' if index == 0 else '  -'} {inline(cell)}")
    return [*text, ""]


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if (getattr(obj, "__module__", None) or name).startswith("lightning_neuro"):
        lines[:] = convert(lines)
        if what in ("attribute", "property"):
            lines[0] = lines[0].replace(":", COLON)


def _restore(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(COLON, ":") for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """Convert before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    app.connect("autodoc-process-docstring", _restore, priority=600)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
