from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import settings

from lightning_neuro._lightning import Trainer

settings.register_profile("package", max_examples=40, deadline=None, derandomize=True)
settings.load_profile("package")


@pytest.fixture(autouse=True)
def _same_start() -> None:
    """One thread, because sums differ in their last bits from one number of threads to another."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def make_trainer(tmp_path) -> Callable[..., Trainer]:
    def make(**options: Any) -> Trainer:
        quiet = {
            "accelerator": "cpu",
            "devices": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "default_root_dir": tmp_path,
            "max_epochs": 1,
        }
        return Trainer(**(quiet | options))

    return make
