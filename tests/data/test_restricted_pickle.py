import builtins
import codecs
import contextlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.data import DataFormatError
from lightning_neuro.data.restricted_pickle import load_arrays

BATCH = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2]}


class Calls:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(5))
def test_reads_what_python_3_wrote(protocol):
    found = load_arrays(pickle.dumps(BATCH, protocol), "batch")
    np.testing.assert_array_equal(found["data"], BATCH["data"])
    assert found["labels"] == [1, 2]


def test_reads_what_python_2_wrote():
    # {'data': array of shape (2, 3), 'labels': [1, 2]} with byte strings and numpy's old module name.
    content = (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02K\x03\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89U\x06\x00\x01\x02\xfd\xfe\xfftbU\x06labels](K\x01K\x02eu."
    )
    found = load_arrays(content, "batch")
    assert found["data"].tolist() == [[0, 1, 2], [253, 254, 255]]
    assert found["data"].dtype == np.uint8
    assert found["labels"] == [1, 2]


def test_column_order_is_kept():
    found = load_arrays(pickle.dumps({"data": np.asfortranarray(BATCH["data"])}, 2), "batch")
    np.testing.assert_array_equal(found["data"], BATCH["data"])


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "gadget",
    [
        pytest.param(lambda proof: Calls(os.system, f"touch {proof}"), id="os.system"),
        pytest.param(lambda proof: Calls(builtins.eval, f"open({str(proof)!r}, 'w')"), id="eval"),
        pytest.param(lambda proof: Calls(builtins.exec, f"open({str(proof)!r}, 'w')"), id="exec"),
        pytest.param(lambda proof: Calls(builtins.getattr, proof, "touch"), id="getattr"),
        pytest.param(lambda proof: Calls(np.save, str(proof), 0), id="numpy.save"),
        pytest.param(lambda proof: Calls(np.load, str(proof)), id="numpy.load"),
        pytest.param(lambda proof: Calls(np.ndarray, (2, 2)), id="ndarray called"),
        pytest.param(lambda proof: Calls(codecs.encode, "text", "rot13"), id="codec"),
        pytest.param(lambda proof: Calls(Path, str(proof)), id="Path"),
    ],
)
def test_nothing_is_executed(tmp_path, gadget, protocol):
    proof = tmp_path / "executed"
    gadget_file = pickle.dumps({"data": gadget(proof)}, protocol)
    with pytest.raises(DataFormatError, match=r"^batch: pickle must be plain data"):
        load_arrays(gadget_file, "batch")
    assert not proof.exists()


def test_the_gadgets_would_work_on_an_open_door(tmp_path):
    proof = tmp_path / "executed"
    pickle.loads(pickle.dumps(Calls(os.system, f"touch {proof}")))
    assert proof.exists()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", id="dotted name"),
        pytest.param(b"cnumpy\nndarray\n(S'x'\nS'y'\nd}b.", id="state of ndarray"),
        pytest.param(b"c_codecs\nencode\n}(S'__defaults__'\nNdb.", id="state of encode"),
        pytest.param(b"cnumpy.core.multiarray\n_reconstruct\n}(S'rebuild'\nNdb.", id="state of a recorder"),
        pytest.param(b"\x80\x02cnumpy\nndarray\n)\x81.", id="new object"),
        pytest.param(b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", id="frame too long"),
    ],
)
def test_crafted_opcodes_are_refused(content):
    with pytest.raises(DataFormatError, match=r"^batch: "):
        load_arrays(content, "batch")


@pytest.mark.parametrize("opcode", [b"r\xff\xff\xff\xff", b"p4294967295\n"])
def test_memory_for_4_billion_objects_is_refused_before_it_is_asked_for(opcode, monkeypatch):
    # Without the check the unpickler asks for 64 GiB, and where it gets none the refusal would look much the same.
    monkeypatch.setattr("lightning_neuro.data.restricted_pickle.RestrictedUnpickler", None)
    with pytest.raises(DataFormatError, match=r"^batch: .* it has no object number 4294967295"):
        load_arrays(b"\x80\x02}" + opcode + b".", "batch")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), "only arrays of unsigned bytes are read, got 'f8'"),
        (np.array([None, {}], dtype=object), "only arrays of unsigned bytes are read, got 'O8'"),
    ],
)
def test_other_arrays_are_refused(array, message):
    with pytest.raises(DataFormatError, match=message):
        load_arrays(pickle.dumps({"data": array}, 2), "batch")


def test_an_array_needs_all_its_bytes():
    content = pickle.dumps({"data": np.zeros((2, 3), np.uint8)}, 4).replace(b"K\x02K\x03\x86", b"K\x63K\x03\x86")
    with pytest.raises(DataFormatError, match=r"shape \(99, 3\) does not have as many bytes"):
        load_arrays(content, "batch")


def test_only_a_dict_is_a_batch():
    with pytest.raises(DataFormatError, match="batch: content must be a dict, got list"):
        load_arrays(pickle.dumps([1, 2]), "batch")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content):
    with contextlib.suppress(DataFormatError):
        assert isinstance(load_arrays(content, "batch"), dict)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(position, value):
    content = bytearray(pickle.dumps(BATCH, 2))
    content[position % len(content)] = value
    with contextlib.suppress(DataFormatError):
        assert isinstance(load_arrays(bytes(content), "batch"), dict)
