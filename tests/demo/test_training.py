import logging

import pytest
import torch

from lightning_neuro._lightning import ROOT
from lightning_neuro.demo.training import one_thread, quiet_lightning


def test_one_thread_is_given_back_also_after_an_error():
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(ZeroDivisionError), one_thread():
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == 2


def test_quiet_gives_the_logger_back():
    logger = logging.getLogger(f"{ROOT}.utilities.rank_zero")
    level = logger.level
    with quiet_lightning():
        assert not logger.isEnabledFor(logging.INFO)
    assert logger.level == level
