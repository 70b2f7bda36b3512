import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lightning_neuro.data import DataFormatError
from lightning_neuro.data.idx import parse_idx, read_bytes

GOOD = struct.pack(">BBBBII", 0, 0, 8, 2, 2, 3) + bytes(range(6))


def test_known_numbers():
    assert parse_idx(GOOD, "file", ndim=2).tolist() == [[0, 1, 2], [3, 4, 5]]


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)))
def test_reads_what_struct_wrote(array):
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + bytes(array.flatten().tolist())
    found = parse_idx(content, "file", ndim=array.ndim)
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "header must be 12 bytes, got a file of 0", id="empty"),
        pytest.param(GOOD[:11], "header must be 12 bytes, got a file of 11", id="half a header"),
        pytest.param(b"\1" + GOOD[1:], "magic number must be .* got 01 00 08 02", id="magic"),
        pytest.param(GOOD[:2] + b"\x0d" + GOOD[3:], r"type code must be 8 \(unsigned byte\), got 13", id="floats"),
        pytest.param(GOOD[:3] + b"\3" + GOOD[4:], "number of dimensions must be 2, got 3", id="dimensions"),
        pytest.param(GOOD[:-1], r"number of values must be 6 for shape \(2, 3\), got 5", id="too short"),
        pytest.param(GOOD + b"\0", r"number of values must be 6 for shape \(2, 3\), got 7", id="too long"),
        pytest.param(
            struct.pack(">HBBII", 0, 8, 2, 2**32 - 1, 2**32 - 1),
            "number of values must be 18446744065119617025",
            id="huge",
        ),
    ],
)
def test_damage_is_named(content, message):
    with pytest.raises(DataFormatError, match=f"^my-file: {message}"):
        parse_idx(content, "my-file", ndim=2)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(content):
    try:
        found = parse_idx(content, "file", ndim=1)
    except DataFormatError:
        return
    assert len(content) == 8 + found.size


def test_plain_and_gzipped_files_read_alike(tmp_path):
    plain, packed, misnamed = tmp_path / "a", tmp_path / "b.gz", tmp_path / "c.gz"
    plain.write_bytes(GOOD)
    packed.write_bytes(gzip.compress(GOOD))
    misnamed.write_bytes(GOOD)
    assert read_bytes(plain) == read_bytes(packed) == read_bytes(misnamed) == GOOD


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda packed: packed[:-9], id="ends early"),
        pytest.param(lambda packed: packed[:12] + b"\xff" + packed[13:], id="deflate stream"),
        pytest.param(lambda packed: packed[:-8] + b"\0\0\0\0" + packed[-4:], id="checksum"),
        pytest.param(lambda packed: packed[:2] + b"\7" + packed[3:], id="method"),
        pytest.param(lambda packed: packed[:5], id="header"),
    ],
)
def test_broken_gzip_is_named(tmp_path, damage):
    file = tmp_path / "images.gz"
    file.write_bytes(damage(gzip.compress(GOOD * 50)))
    with pytest.raises(DataFormatError, match=r"images\.gz: gzip stream must be complete and intact, got "):
        read_bytes(file)
