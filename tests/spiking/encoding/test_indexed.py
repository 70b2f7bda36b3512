import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro.spiking.encoding import Indexed, PoissonEncoder


def test_samples_keep_their_place_whatever_the_order():
    values = torch.linspace(0, 1, 7)[:, None]
    samples = Indexed(TensorDataset(values, torch.arange(7)))
    order = DataLoader(samples, batch_size=3, shuffle=True, generator=torch.Generator().manual_seed(0))
    for inputs, targets, index in order:
        assert torch.equal(index, targets)
        assert torch.equal(inputs, values[index])
    assert samples[-1][2] == 6
    assert len(samples) == 7


def test_with_it_a_fixed_encoder_repeats_itself():
    samples = Indexed(TensorDataset(torch.full((6, 2), 0.5), torch.zeros(6)))
    encoder, seen = PoissonEncoder(20, max_rate=0.5, fixed=True), []
    for seed in (0, 1):
        order = DataLoader(samples, batch_size=6, shuffle=True, generator=torch.Generator().manual_seed(seed))
        inputs, _, index = next(iter(order))
        seen.append(encoder(inputs, index)[:, index.argsort()])
    assert torch.equal(*seen)


def test_a_sample_alone_and_what_has_no_places():
    assert Indexed([5, 6])[1] == (6, 1)
    with pytest.raises(IndexError):
        Indexed([5, 6])[2]
    with pytest.raises(TypeError, match="Indexed: dataset must have a length and samples by place, got generator"):
        Indexed(each for each in [1, 2])


def test_fixed_is_a_flag():
    with pytest.raises(TypeError, match="PoissonEncoder: fixed must be True or False, got 'no'"):
        PoissonEncoder(5, fixed="no")
    with pytest.raises(ValueError, match=r"\(inputs, targets, index\), which Indexed\(dataset\) makes"):
        PoissonEncoder(5, fixed=True)(torch.zeros(1, 2))
