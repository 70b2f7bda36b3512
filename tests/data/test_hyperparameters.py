"""Every data module is made again from its checkpoint, with the options it had."""

from importlib import import_module
from pathlib import Path

import pytest
import torch

from lightning_neuro import data
from lightning_neuro._lightning import ROOT

FOLDER = Path("somewhere")
VERSION = import_module(ROOT.partition(".")[0]).__version__
SHARED = {"batch_size": 5, "val_size": 9, "seed": 4, "num_workers": 1, "pin_memory": True, "limit": 3}
MODULES = {
    "DigitsData": {},
    "IdxImageData": {"dataset": "mnist", "root": FOLDER, "flatten": True},
    "Cifar10Data": {"root": FOLDER, "normalize": False},
    "JapaneseVowelsData": {"root": FOLDER, "num_steps": 5, "verify": True},
    "NMNISTData": {"root": FOLDER, "flatten": False},
    "NTidigitsData": {"root": FOLDER, "duration": 1.0},
    "SHDData": {"root": FOLDER},
    "TI46Data": {"root": FOLDER, "cache_dir": FOLDER},
    "SpokenLettersData": {"root": FOLDER, "takes": 3},
}


@pytest.mark.parametrize("name", MODULES)
def test_a_checkpoint_makes_the_module_again(tmp_path, name):
    kind, options = getattr(data, name), SHARED | MODULES[name]
    module, file = kind(**options), tmp_path / "a.ckpt"
    checkpoint = {"pytorch-lightning_version": VERSION, kind.CHECKPOINT_HYPER_PARAMS_KEY: dict(module.hparams)}
    torch.save(checkpoint, file)
    again = kind.load_from_checkpoint(file, weights_only=True)
    assert again.hparams == module.hparams
    given = {key: str(value) if value is FOLDER else value for key, value in options.items()}
    assert {key: again.hparams[key] for key in given} == given
    assert {key: getattr(again, key) for key in SHARED} == SHARED
