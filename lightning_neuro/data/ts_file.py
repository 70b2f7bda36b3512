"""Reader of the `.ts` text format of the UEA time series archive.

Lines that begin with `#` are remarks and those that begin with `@` say what the file holds. Behind `@data`, a line is a
labelled series: channels, separated by colons, of numbers, separated by commas; then a colon and the class.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightning_neuro.data.errors import bad_format


class LabelledFile(NamedTuple):
    """Series `(T_n, D)` in float32, their labels, and the names of the classes by label."""

    series: list[NDArray[np.float32]]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]


def parse_ts(content: bytes, file: str | Path) -> LabelledFile:
    r"""Series and labels held by a `.ts` file.

    Args:
        content: the whole file.
        file: its name, for error messages.

    Raises:
        DataFormatError: the file is no `.ts` file with classes, a line has too few or uneven channels, a value is
            missing or no finite number, or a class is not announced.

    >>> found = parse_ts(b"@dimensions 2\n@classLabel true a b\n@data\n1,2,3:4,5,6:b\n", "tiny.ts")
    >>> found.series[0].tolist(), found.labels.tolist(), found.class_names
    ([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]], [1], ('a', 'b'))
    """
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise bad_format(file, "text", "UTF-8", error) from error
    about, start = _header(lines, file)
    classes = about.get("classlabel", "").split()
    if len(classes) < 2 or classes[0].lower() != "true":
        raise bad_format(file, "@classLabel", "true and names of classes", about.get("classlabel", "nothing"))
    dimensions = about.get("dimensions", "1")
    if not dimensions.isdecimal() or int(dimensions) < 1:
        raise bad_format(file, "@dimensions", "a number from 1", dimensions)
    rows = [(number, line) for number, line in enumerate(lines[start:], start + 1) if line.strip()]
    if not rows:
        raise bad_format(file, "number of series", "at least 1", 0)
    parsed = [_row(line, int(dimensions), classes[1:], file, number) for number, line in rows]
    series, labels = zip(*parsed, strict=True)
    return LabelledFile(list(series), np.array(labels, dtype=np.int64), tuple(classes[1:]))


def _header(lines: list[str], file: str | Path) -> tuple[dict[str, str], int]:
    """What the lines that begin with `@` say, by name in lower case, and the place of the first series."""
    about: dict[str, str] = {}
    for place, line in enumerate(lines):
        name, _, value = line.strip().partition(" ")
        if name.lower() == "@data":
            return about, place + 1
        if name.startswith("@"):
            about[name[1:].lower()] = value.strip()
        elif name and not name.startswith("#"):
            raise bad_format(file, f"line {place + 1}", "a remark (#) or a statement (@) ahead of @data", line[:40])
    raise bad_format(file, "@data", "a line of its own", "nothing")


def _row(line: str, dimensions: int, classes: list[str], file: str | Path, number: int) -> tuple[Any, int]:
    *channels, label = (part.strip() for part in line.split(":"))
    if len(channels) != dimensions:
        raise bad_format(file, f"channels in line {number}", dimensions, len(channels))
    if label not in classes:
        raise bad_format(file, f"class in line {number}", f"one of {' '.join(classes)}", repr(label[:40]))
    try:
        values = [np.array(channel.split(","), dtype=np.float32) for channel in channels]
    except ValueError as error:
        raise bad_format(file, f"values in line {number}", "numbers", error) from error
    lengths = sorted({len(channel) for channel in values})
    if len(lengths) > 1:
        raise bad_format(file, f"channels in line {number}", "of one length", lengths)
    series = np.stack(values, axis=1)
    if not np.isfinite(series).all():
        raise bad_format(file, f"values in line {number}", "finite", "infinite or missing ones")
    return series, classes.index(label)
