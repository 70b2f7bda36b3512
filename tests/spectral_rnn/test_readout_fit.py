import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.polynomial_nets import answers, random_net, random_series

from lightning_neuro.spectral_rnn import SpectralRNN
from lightning_neuro.spectral_rnn.alarms import SpectralWarning
from lightning_neuro.spectral_rnn.passes import ParallelPasses, SerialPasses
from lightning_neuro.spectral_rnn.readout_fit import refit_readout
from lightning_neuro.spectral_rnn.series import Series


@given(seed=st.integers(0, 100))
def test_it_is_least_squares_on_the_states(seed):
    net, x = random_net(seed), random_series(4, 50, seed=seed)
    y = answers(net, x, noise=1.0, seed=seed)
    y[0, :10] = np.nan
    series = [Series(*pair) for pair in zip(x, y, strict=True)]
    found = refit_readout(SerialPasses(series), net)
    states = np.concatenate(net.states(list(x)))
    kept = np.isfinite(y.reshape(-1, 3)).all(axis=1)
    design = np.hstack([states, np.ones((len(states), 1))])[kept]
    wanted = np.linalg.lstsq(design, y.reshape(-1, 3)[kept], rcond=None)[0]
    np.testing.assert_allclose(np.vstack([found.output_weights, found.offset]), wanted, atol=1e-6)
    shared = refit_readout(ParallelPasses(series, 2), net)
    np.testing.assert_allclose(shared.output_weights, found.output_weights, atol=1e-8)


def test_weights_count_and_nothing_to_learn_from_gives_zero():
    net, (x,) = random_net(0), random_series(1, 50)
    y = net.predict(x)
    y[25:] += 100.0
    weighted = refit_readout(SerialPasses([Series(x, y, np.repeat([1.0, 0.0], 25))]), net)
    np.testing.assert_allclose(weighted.output_weights, net.output_weights, atol=1e-8)
    assert not refit_readout(SerialPasses([Series(x[:0], y[:0])]), net).output_weights.any()


def test_a_linear_network_never_predicts_worse_than_the_mean():
    # A sine remembers two steps, which no score here knows: the moments alone are far off.
    time = np.arange(3000)
    x = (np.sin(0.3 * time) + 0.01 * np.random.default_rng(0).standard_normal(3000))[:, None]
    with pytest.warns(SpectralWarning):
        node = SpectralRNN(2, activation="linear", seed=0).fit(x[:-1], x[1:])
    assert node.diagnostics_.errors[-1] <= min(1.0, node.diagnostics_.errors[0])
