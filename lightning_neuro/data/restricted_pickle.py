"""Reader of the pickles in which CIFAR is published, which cannot run code.

A pickle may name any function and have it called. Here the only names admitted are the few that describe an array of
numpy, and each stands for an inert recorder of ours: numpy's own code is not reached, and the array is rebuilt by hand
from its bytes. Everything else is refused before anything is called.
"""

import io
import math
import pickle
import pickletools
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from lightning_neuro.data.errors import DataFormatError, bad_format


class RecordedDtype:
    """What a pickle says about a dtype; only unsigned bytes are understood."""

    def __init__(self, code: str | bytes, *_: object) -> None:
        self.code = code.decode() if isinstance(code, bytes) else code

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and the like: they mean nothing for single bytes."""


class RecordedArray:
    """What a pickle says about an array."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def rebuild(self) -> NDArray[np.uint8]:
        """Return the array of unsigned bytes that was recorded."""
        _, shape, dtype, fortran, raw = self.state
        if not isinstance(dtype, RecordedDtype) or dtype.code != "u1":
            raise ValueError(f"only arrays of unsigned bytes are read, got {getattr(dtype, 'code', dtype)!r}")
        if not isinstance(raw, bytes) or len(raw) != math.prod(shape):
            raise ValueError(f"an array of shape {shape} does not have as many bytes as it should")
        return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C").copy()


class Latin1:
    """Stands for `_codecs.encode`, with which Python 3 writes bytes into old pickles."""

    def __new__(cls, text: str, encoding: str) -> Any:
        """Return `text` as bytes; no other codec than latin1 is let in."""
        if encoding != "latin1":
            raise ValueError(f"only latin1 text is decoded, got {encoding!r}")
        return text.encode("latin1")

    def __setstate__(self, state: object) -> NoReturn:
        raise ValueError("a codec has no state")


class NdarrayName:
    """Stands for the name `numpy.ndarray`, which is mentioned but never called."""

    def __new__(cls, *_: object) -> NoReturn:
        """Refuse to be called."""
        raise ValueError("numpy.ndarray is called directly")

    def __setstate__(self, state: object) -> NoReturn:
        raise ValueError("numpy.ndarray is altered")


ADMITTED: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): RecordedArray,
    ("numpy._core.multiarray", "_reconstruct"): RecordedArray,
    ("numpy", "ndarray"): NdarrayName,
    ("numpy", "dtype"): RecordedDtype,
    ("_codecs", "encode"): Latin1,
}


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler of dicts, lists, text, bytes, numbers and recorded arrays."""

    def find_class(self, module: str, name: str) -> type:
        """Return our stand-in for an admitted name, refuse any other."""
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not admitted") from None


def load_arrays(content: bytes, file: str | Path) -> dict[str, Any]:
    """Read a pickled dict with text keys; arrays of unsigned bytes become numpy arrays.

    Args:
        content: the pickle; of Python 2 (keys are bytes) or of Python 3 up to protocol 4.
        file: its name, for error messages.

    Returns:
        The dict, keys as `str`.

    Raises:
        DataFormatError: it is no pickle, or holds something else than plain data. Nothing has been executed.

    >>> load_arrays(pickle.dumps({b"labels": [3, 1]}), "batch")
    {'labels': [3, 1]}
    """
    try:
        _check_memo(content)
        found = RestrictedUnpickler(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(found, dict):
            raise bad_format(file, "content", "a dict", type(found).__name__)
        return {_text(key): _rebuilt(value) for key, value in found.items()}
    except DataFormatError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise bad_format(file, "pickle", "plain data: dicts, lists, text, numbers, arrays of bytes", error) from error


def _check_memo(content: bytes) -> None:
    """Refuse memory for objects that are not there: a single opcode could ask for 64 GiB."""
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in ("PUT", "LONG_BINPUT") and argument not in range(len(content)):
            raise pickle.UnpicklingError(f"it has no object number {argument}")


def _text(key: str | bytes) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


def _rebuilt(value: object) -> object:
    return value.rebuild() if isinstance(value, RecordedArray) else value
