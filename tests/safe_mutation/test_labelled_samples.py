import pytest
import torch
from torch import Generator

from lightning_neuro.safe_mutation.labelled_samples import LabelledSamples, some_samples


def test_a_minibatch_of_sequences_is_taken_behind_time() -> None:
    inputs = torch.arange(3.0)[:, None, None] + 10 * torch.arange(5.0)[None, :, None]
    drawn, targets = LabelledSamples((inputs, torch.arange(5)), 2).draw(None, 1, Generator().manual_seed(0))
    assert drawn.shape == (3, 2, 1)
    torch.testing.assert_close(drawn[0, :, 0], 10.0 * targets)


def test_a_minibatch_larger_than_the_data_is_all_of_it() -> None:
    data = (torch.arange(5.0)[:, None], torch.arange(5))
    _, targets = LabelledSamples(data, 99).draw(None, 0, Generator().manual_seed(0))
    assert targets.sort().values.tolist() == [0, 1, 2, 3, 4]


def test_some_samples_are_equally_likely() -> None:
    generator = Generator().manual_seed(1)
    drawn = torch.cat([some_samples(torch.arange(6), 0, 2, generator) for _ in range(600)])
    # Each of six is among two with probability 1/3: mean 200, standard deviation 11.5.
    assert (torch.bincount(drawn, minlength=6) - 200).abs().max() < 50


def test_an_empty_dimension_is_named() -> None:
    with pytest.raises(ValueError, match=r"inputs \(T, B, \*obs\) and targets .* got \(4,\) and \(4,\)"):
        LabelledSamples((torch.zeros(4), torch.zeros(4)), None).draw(None, 1, Generator())
