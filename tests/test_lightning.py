import subprocess
import sys
from types import ModuleType

import pytest

from lightning_neuro import _lightning

OTHER = next(root for root in _lightning.ROOTS if root != _lightning.ROOT)


@pytest.mark.parametrize(
    ("loaded", "wanted", "expected"),
    [
        ([], None, "pytorch_lightning"),
        (["pytorch_lightning"], None, "pytorch_lightning"),
        (["lightning.pytorch"], None, "lightning.pytorch"),
        (["lightning.pytorch", "pytorch_lightning"], None, "pytorch_lightning"),
        (["pytorch_lightning"], "lightning.pytorch", "lightning.pytorch"),
    ],
)
def test_root_is_the_one_in_use(monkeypatch, loaded, wanted, expected):
    for root in _lightning.ROOTS:
        monkeypatch.delitem(sys.modules, root, raising=False)
    for root in loaded:
        monkeypatch.setitem(sys.modules, root, ModuleType(root))
    monkeypatch.delenv(_lightning.ENVIRONMENT_VARIABLE, raising=False)
    if wanted:
        monkeypatch.setenv(_lightning.ENVIRONMENT_VARIABLE, wanted)
    assert _lightning.choose_root() == expected


def test_our_classes_derive_from_the_root_that_was_imported_first():
    code = (
        "import lightning.pytorch; from lightning_neuro import GradientActivation, _lightning;"
        "print(_lightning.ROOT, GradientActivation.__mro__[1].__module__)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, env={}, check=False
    )
    assert result.returncode == 0, result.stderr
    root, module = result.stdout.split()
    assert root == "lightning.pytorch"
    assert module.startswith("lightning.pytorch.")


def test_an_unknown_root_is_refused(monkeypatch):
    monkeypatch.setenv(_lightning.ENVIRONMENT_VARIABLE, "lightning")
    with pytest.raises(ValueError, match=r"must be one of pytorch_lightning, lightning.pytorch, got 'lightning'"):
        _lightning.choose_root()


def test_a_mix_of_the_two_gives_one_clear_error():
    module = pytest.importorskip(OTHER)
    trainer = module.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    with pytest.raises(TypeError, match=rf"Example: expected a Trainer of {_lightning.ROOT}, got one of {OTHER}\. "):
        _lightning.check_same_root("Example", trainer)


def test_the_right_trainer_and_test_doubles_are_let_through():
    trainer = _lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    _lightning.check_same_root("Example", trainer)
    _lightning.check_same_root("Example", object())
