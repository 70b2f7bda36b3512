import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.polynomial_nets import random_net, random_series
from torch import nn

from lightning_neuro.spectral_rnn.model import LINEAR
from lightning_neuro.spectral_rnn.plain_rnn import fits, imitate_, relu_rnn, tanh_rnn, write_linear_


def linear(seed=0, coupling=0.5):
    return random_net(seed, coeffs=LINEAR, coupling=coupling)


def outputs(rnn, readout, x):
    return readout(rnn(torch.as_tensor(x))[0]).detach().numpy()


@given(seed=st.integers(0, 200))
def test_relu_of_twice_the_size_is_exact(seed):
    net, x = linear(seed), random_series(2, 40, seed=seed)
    wanted = np.stack(net.predict_all(list(x)))
    np.testing.assert_allclose(outputs(*relu_rnn(net), x), wanted, atol=7e-14 * np.abs(wanted).max() + 1e-14)


@pytest.mark.parametrize(("epsilon", "low", "high"), [(1e-1, 1e-3, 0.5), (1e-2, 1e-6, 2e-2), (1e-3, 1e-8, 2e-4)])
def test_tanh_comes_near_with_small_states(epsilon, low, high):
    net, x = linear(1), random_series(2, 200)
    wanted = np.stack(net.predict_all(list(x)))
    missed = np.linalg.norm(outputs(*tanh_rnn(net, epsilon), x) - wanted) / np.linalg.norm(wanted - net.offset)
    assert low < missed < high


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
def test_neurons_beyond_are_cut_off_and_may_come_in(nonlinearity):
    net, x = linear(2), random_series(2, 30)
    rnn = nn.RNN(6, 9, nonlinearity=nonlinearity, batch_first=True).double()
    readout = nn.Linear(9, 3).double()
    kept = rnn.weight_ih_l0.detach()[-1].clone()
    weights = [id(parameter) for parameter in rnn.parameters()]
    write_linear_(rnn, readout, net, epsilon=1e-3)
    wanted = np.stack(net.predict_all(list(x)))
    np.testing.assert_allclose(outputs(rnn, readout, x), wanted, atol=1e-3 * np.abs(wanted).max())
    assert [id(parameter) for parameter in rnn.parameters()] == weights
    torch.testing.assert_close(rnn.weight_ih_l0.detach()[-1], kept)
    readout(rnn(torch.as_tensor(x))[0]).square().mean().backward()
    assert readout.weight.grad[:, -1].abs().max() > 0


def test_an_imitation_of_a_quadratic_network_is_near_it_and_no_more():
    net, x = random_net(3), torch.as_tensor(random_series(100, 20)).float()
    rnn, readout = nn.RNN(6, 32, batch_first=True), nn.Linear(32, 3)
    before = torch.get_rng_state()
    missed = imitate_(rnn, readout, net, x, steps=200)
    assert 1e-4 < missed < 0.5
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in rnn.parameters())


def test_room():
    assert fits(nn.RNN(1, 9)) == 9
    assert fits(nn.RNN(1, 9, nonlinearity="relu")) == 4


@pytest.mark.parametrize(
    ("rnn", "readout", "net", "message"),
    [
        (nn.RNN(6, 4), nn.Linear(4, 3), random_net(0), "nn.RNN holds a linear network exactly, and no other"),
        (nn.RNN(6, 4, 2), nn.Linear(4, 3), linear(), "expected nn.RNN with one layer"),
        (nn.RNN(5, 4), nn.Linear(4, 3), linear(), "expected widths of input and output"),
        (nn.RNN(6, 3, nonlinearity="relu"), nn.Linear(3, 3), linear(), "has room for 1 linear ones, got 2"),
    ],
)
def test_what_does_not_fit_is_refused(rnn, readout, net, message):
    with pytest.raises(ValueError, match=message):
        write_linear_(rnn, readout, net)
