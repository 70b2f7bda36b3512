"""Tables for the terminal: with rich where it is installed, as plain text otherwise."""

from collections.abc import Sequence

Row = Sequence[str]


def plain(title: str, header: Row, rows: Sequence[Row]) -> str:
    """Return a table as text with aligned columns.

    >>> print(plain("Synapses", ["name", "shape"], [["fc.weight", "3x4"]]))
    Synapses
    name       shape
    fc.weight  3x4
    """
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([title, *text])


def show(title: str, header: Row, rows: Sequence[Row]) -> None:
    """Write a table to the terminal."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        import sys

        sys.stdout.write(plain(title, header, rows) + "\n")
        return
    table = Table(title=title, title_justify="left")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
