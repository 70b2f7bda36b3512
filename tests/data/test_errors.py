import pickle
from pathlib import Path

from lightning_neuro.data.errors import DataFormatError, DataNotFoundError, bad_format, not_found


def test_not_found_says_what_where_and_how():
    error = not_found(
        "IdxImageData",
        "MNIST",
        expected=["a", "b"],
        tried={Path("here"): ["a", "b"], Path("there"): ["b"]},
        obtain="ask",
        instead="DigitsData",
    )
    assert isinstance(error, DataNotFoundError)
    assert isinstance(error, FileNotFoundError)
    assert str(error).splitlines() == [
        "IdxImageData: MNIST was not found.",
        "  expected files: a, b",
        "  looked in: here, there (lacks b)",
        "  to obtain it: ask",
        "  without it: DigitsData",
    ]


def test_bad_format_names_file_field_expected_and_found():
    error = bad_format("file.gz", "type code", 8, 13)
    assert isinstance(error, DataFormatError)
    assert isinstance(error, ValueError)
    assert str(error).startswith("file.gz: type code must be 8, got 13.")


def test_errors_survive_the_way_back_from_a_worker_process():
    error = not_found("A", "B", expected=["c"], tried={Path("d"): ["c"]}, obtain="e", instead="f")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is DataNotFoundError
    assert str(copy) == str(error)
