import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lightning_neuro.data import DataFormatError
from lightning_neuro.data.ts_file import parse_ts

HEAD = "# remark: 1,2\n\n@problemName tiny\n@dimensions 2\n@classLabel true x y\n@data\n"
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


def written(series, label):
    channels = (",".join(repr(float(value)) for value in channel) for channel in series.T)
    return ":".join([*channels, label])


@given(
    st.lists(
        st.integers(1, 5).flatmap(lambda length: arrays(np.float32, (length, 2), elements=finite)),
        min_size=1,
        max_size=4,
    )
)
def test_reads_what_was_written(series):
    labels = [index % 2 for index in range(len(series))]
    lines = "\r\n".join(written(one, "xy"[label]) for one, label in zip(series, labels, strict=True))
    found = parse_ts((HEAD + lines + "\n\n").encode(), "f")
    assert found.labels.tolist() == labels
    assert found.class_names == ("x", "y")
    assert all(np.array_equal(one, other) for one, other in zip(found.series, series, strict=True))
    assert found.series[0].dtype == np.float32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "@data must be a line of its own, got nothing"),
        (
            "@classLabel true x y\n1,2:x",
            r"line 2 must be a remark \(#\) or a statement \(@\) ahead of @data, got 1,2:x",
        ),
        ("@dimensions 2\n@data\n1:2:x", "@classLabel must be true and names of classes, got nothing"),
        ("@classLabel false\n@data\n1:2", "@classLabel must be true and names of classes, got false"),
        ("@dimensions two\n@classLabel true x\n@data\n1:x", "@dimensions must be a number from 1, got two"),
        (HEAD, "number of series must be at least 1, got 0"),
        (HEAD + "1,2:x", "channels in line 7 must be 2, got 1"),
        (HEAD + "1,2:3,4:5,6:x", "channels in line 7 must be 2, got 3"),
        (HEAD + "1,2:3,4:x\n1,2:3:y", r"channels in line 8 must be of one length, got \[1, 2\]"),
        (HEAD + "1,2:3,4:z", "class in line 7 must be one of x y, got 'z'"),
        (HEAD + "1,2:3,4", "channels in line 7 must be 2, got 1"),
        (HEAD + "1,?:3,4:x", "values in line 7 must be numbers, got"),
        (HEAD + "1,:3,4:x", "values in line 7 must be numbers, got"),
        (HEAD + "1,NaN:3,4:x", "values in line 7 must be finite"),
    ],
)
def test_damage_is_named(text, message):
    with pytest.raises(DataFormatError, match=f"f: {message}"):
        parse_ts(text.encode(), "f")


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(DataFormatError, match="f: text must be UTF-8"):
        parse_ts(b"\x89HDF\xff", "f")
