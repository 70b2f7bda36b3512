"""Reader of the IDX format of MNIST and its relatives, plain or gzipped.

An IDX file is: two zero bytes, a type code, the number of dimensions, each dimension as a big-endian unsigned 32-bit
integer, then the values. Only unsigned bytes (code 8) occur in image sets, and only they are read.
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_neuro.data.errors import bad_format

UNSIGNED_BYTE = 8
GZIP_START = b"\x1f\x8b"


def read_bytes(path: Path) -> bytes:
    """Content of a file, decompressed if it is gzipped (told by its first bytes, not by its name).

    Raises:
        DataFormatError: the gzip stream is damaged or ends early.
    """
    content = path.read_bytes()
    if not content.startswith(GZIP_START):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise bad_format(path, "gzip stream", "complete and intact", error) from error


def parse_idx(content: bytes, file: str | Path, *, ndim: int) -> NDArray[np.uint8]:
    """Array of unsigned bytes held by an IDX file.

    Args:
        content: the whole decompressed file.
        file: its name, for error messages.
        ndim: number of dimensions it must have: 3 for images `(N, H, W)`, 1 for labels `(N,)`.

    Returns:
        A writable array.

    Raises:
        DataFormatError: magic number, type code, dimensions or length are wrong.

    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), "labels", ndim=1)
    array([7, 8, 9], dtype=uint8)
    """
    start = 4 + 4 * ndim
    if len(content) < start:
        raise bad_format(file, "header", f"{start} bytes", f"a file of {len(content)}")
    if content[:2] != b"\0\0":
        raise bad_format(file, "magic number", "two zero bytes, type code, dimensions", content[:4].hex(" "))
    if content[2] != UNSIGNED_BYTE:
        raise bad_format(file, "type code", f"{UNSIGNED_BYTE} (unsigned byte)", content[2])
    if content[3] != ndim:
        raise bad_format(file, "number of dimensions", ndim, content[3])
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    expected = int(np.prod(shape, dtype=object))
    if len(content) - start != expected:
        raise bad_format(file, "number of values", f"{expected} for shape {tuple(shape)}", len(content) - start)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
