import hashlib
import warnings

import pytest

from lightning_neuro.data import DataNotFoundError
from lightning_neuro.data.published import PublishedFiles, digest, warn_unless_published

FILES = PublishedFiles(title="Tiny", names=("a", "b"), subfolders=("T", "tiny"), obtain="Ask.", instead="Digits")


def place(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"content")


@pytest.mark.parametrize("subfolder", ["T", "tiny", "."])
def test_finds_the_folder_that_holds_all(tmp_path, subfolder):
    place(tmp_path / "T", "a")
    place(tmp_path / subfolder, "a", "b")
    assert FILES.folder("Owner", tmp_path) == tmp_path / subfolder


def test_the_environment_names_the_root(tmp_path, monkeypatch):
    place(tmp_path, "a", "b")
    monkeypatch.setenv("LIGHTNING_NEURO_DATA", str(tmp_path))
    assert FILES.folder("Owner", None) == tmp_path


def test_every_place_tried_is_named(tmp_path):
    place(tmp_path / "tiny", "b")
    with pytest.raises(DataNotFoundError) as caught:
        FILES.folder("Owner", tmp_path)
    assert str(caught.value).splitlines() == [
        "Owner: Tiny was not found.",
        "  expected files: a, b",
        f"  looked in: {tmp_path / 'T'}, {tmp_path / 'tiny'} (lacks a), {tmp_path}",
        "  to obtain it: Ask.",
        "  without it: Digits",
    ]


def test_a_difference_is_warned_of_and_equality_is_not():
    with pytest.warns(UserWarning, match="Owner: number should be 3 or 4 as published, got 5"):
        warn_unless_published("Owner", "number", [3, 4], 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_unless_published("Owner", "number", [3, 4], 4)


def test_digest_is_of_the_content(tmp_path):
    place(tmp_path, "a")
    assert digest(tmp_path / "a", "md5") == hashlib.md5(b"content").hexdigest()
