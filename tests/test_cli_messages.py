import argparse

import pytest

from lightning_neuro._lightning import MisconfigurationException
from lightning_neuro.cli_messages import UsageError, one_line, parser_complaint
from lightning_neuro.common import checks
from lightning_neuro.data import DigitsData, ImageDataModule


def caught(function, *args, **options):
    with pytest.raises(Exception) as info:  # noqa: PT011 - whichever the function raises is the subject
        function(*args, **options)
    return info.value


def test_a_check_of_ours_is_told_even_inside_another_error():
    ours = caught(checks.number, "GradientActivation", "beta", -1.0, above=0)
    wrapped = RuntimeError("outer")
    wrapped.__cause__ = ours
    assert one_line(ours) == one_line(wrapped) == "GradientActivation: beta must be greater than 0, got -1.0."


@pytest.mark.parametrize("error", [RuntimeError("x"), ValueError("raised nowhere"), FileNotFoundError("data.csv")])
def test_other_errors_keep_their_traceback(error):
    assert one_line(error) is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UsageError("two\n lines"), "two lines"),
        (MisconfigurationException("Cannot go\n  together."), "Cannot go together."),
        (RuntimeError("SaveConfigCallback expected a\nb"), "SaveConfigCallback expected a b"),
        (argparse.ArgumentError(None, "Unrecognized arguments: --x"), "Unrecognized arguments: --x."),
    ],
)
def test_refusals_become_one_line(error, told):
    assert one_line(error) == told


@pytest.mark.parametrize("ending", ["", ". Aborting training."])
def test_a_missing_checkpoint_is_told_by_its_option(ending):
    told = one_line(FileNotFoundError(f"Checkpoint file not found: runs/a. b.ckpt{ending}"))
    assert told == "--ckpt_path: there is no file 'runs/a. b.ckpt'. Correct the path, or leave it out to start afresh."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('Parser key "trainer":\n  Unexpected thing?', "--trainer: Unexpected thing?"),
        ("Parser key \"a\":\n  - Expected a <class 'float'>. Got value: x", "--a: expected float, got x."),
        ("Problem\n  DigitsData: seed must be at least 0, got -1.", "DigitsData: seed must be at least 0, got -1."),
    ],
)
def test_complaints_of_the_parser_are_shortened(text, told):
    assert parser_complaint(text) == told


def test_the_class_that_was_perhaps_meant_is_named():
    assert issubclass(DigitsData, ImageDataModule)  # known by being imported
    complaint = 'Parser key "data":\n  - expected dot import path string: {}'
    assert parser_complaint(complaint.format("Digits")) == (
        "--data: no class is called 'Digits'. Did you mean DigitsData?"
    )
    assert parser_complaint(complaint.format("Qqqq")).endswith("Give a class's name, or its dotted path.")
