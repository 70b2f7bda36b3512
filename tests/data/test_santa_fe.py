import hashlib
from importlib.resources import files

import numpy as np
import pytest
import torch

from lightning_neuro.data import SantaFeData
from lightning_neuro.data.santa_fe import LENGTH, TRAIN, VAL, scaled


def test_it_is_the_recording():
    content = (files("reservoirpy.datasets") / "santafe_laser.npy").read_bytes()
    assert hashlib.sha256(content).hexdigest() == "8c07281200935596f8e28bc94e1bb25e9964ab7d7f63c5e27ac87b810ac3b33a"
    values = scaled()
    assert len(values) == LENGTH
    assert values[:TRAIN].std() == pytest.approx(1.0)


def test_windows_are_those_of_a_loop_and_parts_do_not_meet():
    data = SantaFeData(lags=4, horizon=2, steps=10)
    data.setup()
    values = scaled()
    for name, start in (("train", 0), ("val", TRAIN), ("test", TRAIN + VAL)):
        x, y = data.parts[name]
        for series, step in ((0, 0), (3, 7)):
            now = start + series * 10 + step + 4
            np.testing.assert_allclose(x[series, step], values[now - 4 : now][::-1], rtol=1e-6)
            np.testing.assert_allclose(y[series, step], values[now : now + 2], rtol=1e-6)
    last = TRAIN + len(data.parts["val"][0]) * 10 + 5
    assert last <= TRAIN + VAL


def test_the_order_of_training_is_that_of_the_seed():
    orders = []
    for seed in (0, 0, 1):
        data = SantaFeData(seed=seed)
        data.setup()
        orders.append(torch.cat([x[:, 0, 0] for x, _ in data.train_dataloader()]))
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


@pytest.mark.parametrize("options", [{"lags": 0}, {"horizon": 0}, {"steps": 2000}, {"batch_size": 0}, {"seed": -1}])
def test_refusals(options):
    with pytest.raises(ValueError, match=f"SantaFeData: {next(iter(options))} must be"):
        SantaFeData(**options)
