import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.common.checkpoint_file import CheckpointError, check_checkpoint_file, read_checkpoint

WEIGHT = torch.arange(400.0)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "run.ckpt"
    torch.save({"state_dict": {"weight": WEIGHT}, "global_step": 3}, path)
    return path


def test_a_whole_file_is_read(whole):
    content = read_checkpoint("report", whole)
    assert content["global_step"] == 3
    assert torch.equal(content["state_dict"]["weight"], WEIGHT)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_harmless(whole, place, bit):
    damaged, content = whole.with_name("flipped.ckpt"), bytearray(whole.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    damaged.write_bytes(content)
    try:
        read = read_checkpoint("report", damaged)
    except CheckpointError as error:
        assert str(error).startswith(f"report: {damaged}")  # noqa: PT017 - either way is right
    else:  # between the parts of the file there is padding
        assert read["global_step"] == 3
        assert torch.equal(read["state_dict"]["weight"], WEIGHT)


@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_short_is_refused(whole, kept):
    cut, content = whole.with_name("cut.ckpt"), whole.read_bytes()
    cut.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(CheckpointError, match="cut short, damaged or another kind of file"):
        check_checkpoint_file("report", cut)


@pytest.mark.parametrize("write", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))])
def test_foreign_objects_are_refused_and_never_executed(tmp_path, write):
    write({"state_dict": Trap(tmp_path / "executed")}, tmp_path / "foreign.ckpt")
    with pytest.raises(CheckpointError, match=r"report: .*foreign\.ckpt must"):
        read_checkpoint("report", tmp_path / "foreign.ckpt")
    assert not (tmp_path / "executed").exists()


def test_what_no_trainer_wrote_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(CheckpointError, match="must be a checkpoint of Lightning"):
        read_checkpoint("report", tmp_path / "list.ckpt")
    with pytest.raises(FileNotFoundError, match=r"report: there is no file .*none\.ckpt'\. Correct the path\."):
        read_checkpoint("report", tmp_path / "none.ckpt")
