"""What leaves a node or goes into it whole: its first state, a score of one's own, and finite inputs."""

import pickle

import numpy as np
import pytest
import torch
from support.polynomial_nets import answers, random_net, random_series
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro import SpectralRNN
from lightning_neuro.spectral_rnn import LogDensityScore, PolynomialRNN, SpectralRNNModule


def gaussian(x):
    return -x.square().sum() / 2


def shrunk(x):
    return x * 0.75


def test_the_fitted_first_state_goes_along_to_the_node_and_its_readout():
    x = random_series(40, 60)
    node = SpectralRNN(2, refine=2, fit_initial_state=True, seed=0).fit(x, answers(random_net(0), x))
    assert np.abs(node.h0_).max() > 0
    alone = node.to_node()
    for _ in range(2):
        node.reset(), alone.reset()
        np.testing.assert_allclose(node.readout().run(alone.run(x[0])), node.run(x[0]), atol=1e-12)


def test_a_first_state_of_the_wrong_size_is_refused():
    with pytest.raises(ValueError, match=r"h0 must be \(1,\), got shape \(2,\)"):
        PolynomialRNN([[1.0]], [[0.1]], h0=[0.0, 0.0])


@pytest.mark.parametrize("score", [LogDensityScore(gaussian), LogDensityScore.from_denoiser(shrunk, std=0.5)])
def test_scores_by_differentiation_pickle(score):
    x = random_series(1, 20)[0]
    (one,), steps = score.local(x)
    (other,), other_steps = pickle.loads(pickle.dumps(score)).local(x)
    np.testing.assert_array_equal(one.end, other.end)
    np.testing.assert_array_equal(steps, other_steps)


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
@pytest.mark.parametrize("padded", [False, True])
def test_inputs_with_nan_are_refused_before_they_spoil_weights(make_trainer, padded):
    x, y = torch.randn(4, 12, 3), torch.randn(4, 12, 1)
    x[3, 10] = torch.nan
    lengths = (torch.full((4,), 9),) if padded else ()
    module = SpectralRNNModule(nn.RNN(3, 1, batch_first=True))
    before = [parameter.clone() for parameter in module.model.parameters()]
    trainer, loader = make_trainer(max_epochs=1), DataLoader(TensorDataset(x, y, *lengths), batch_size=4)
    if padded:  # beyond its end a series may hold anything
        x[3, 10] = 7.0
        trainer.fit(module, loader)
        return
    with pytest.raises(ValueError, match="x must be finite, got NaN or infinity at step 10 of series 3"):
        trainer.fit(module, loader)
    assert all(torch.equal(a, b) for a, b in zip(before, module.model.parameters(), strict=True))
