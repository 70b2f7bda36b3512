"""The two ways in which files on disk can disappoint, and the messages that say what to do about it."""

from collections.abc import Mapping, Sequence
from pathlib import Path


class DataNotFoundError(FileNotFoundError):
    """A data set is not where it was looked for."""


class DataFormatError(ValueError):
    """A file is there but is not what its name promises."""


def not_found(
    owner: str,
    title: str,
    *,
    expected: Sequence[str],
    tried: Mapping[Path, Sequence[str]],
    obtain: str,
    instead: str,
) -> DataNotFoundError:
    """Build the error for a missing data set.

    Args:
        owner: class of ours that looked for it; opens the message.
        title: the data set's usual name.
        expected: names of the files that make it up.
        tried: every folder looked into, in order, with the names that it lacks.
        obtain: how to get the files.
        instead: the nearest data that needs no files.

    >>> error = not_found("Cifar10Data", "CIFAR-10", expected=["a", "b"], tried={Path("data"): ["b"]},
    ...     obtain="Fetch it.", instead="DigitsData")
    >>> print(error)
    Cifar10Data: CIFAR-10 was not found.
      expected files: a, b
      looked in: data (lacks b)
      to obtain it: Fetch it.
      without it: DigitsData
    """
    places = [
        f"{folder} (lacks {', '.join(lacking)})" if len(lacking) < len(expected) else str(folder)
        for folder, lacking in tried.items()
    ]
    lines = [
        f"{owner}: {title} was not found.",
        f"expected files: {', '.join(expected)}",
        f"looked in: {', '.join(places)}",
        f"to obtain it: {obtain}",
        f"without it: {instead}",
    ]
    return DataNotFoundError("\n  ".join(lines))


def bad_format(file: str | Path, field: str, expected: object, got: object) -> DataFormatError:
    """Build the error for a damaged or foreign file.

    Args:
        file: the offending file.
        field: which part of it is wrong.
        expected: what the format demands there.
        got: what stands there.

    >>> print(bad_format("labels.gz", "magic number", 2049, 2051))
    labels.gz: magic number must be 2049, got 2051. Replace the file by an intact copy.
    """
    return DataFormatError(f"{file}: {field} must be {expected}, got {got}. Replace the file by an intact copy.")
