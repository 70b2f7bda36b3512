import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.polynomial_nets import random_net, random_series

from lightning_neuro.spectral_rnn.initial_state import fit_initial_state
from lightning_neuro.spectral_rnn.series import Series


@given(seed=st.integers(0, 200))
def test_the_state_that_made_the_data_is_found(seed):
    net = random_net(seed % 7, coupling=0.15)
    h0 = np.random.default_rng(seed).uniform(-1, 1, net.units)
    x = list(random_series(5, 12, seed=seed))
    series = [Series(one, y) for one, y in zip(x, net.predict_all(x, h0), strict=True)]
    found = fit_initial_state(net, series)
    # It predicts the first outputs as the truth does; an even f may leave more than one state that does.
    for one in series:
        np.testing.assert_allclose(net.predict(one.x, found)[0], one.y[0], atol=1e-3 * np.abs(one.y).max() + 1e-4)


def test_what_is_missing_is_left_out_and_nothing_gives_zero():
    net = random_net(0)
    (x,) = random_series(1, 12)
    y = net.predict(x, np.array([0.5, 0.2]))
    y[0, 0] = np.nan
    assert np.isfinite(fit_initial_state(net, [Series(x, y)])).all()
    assert fit_initial_state(net, [Series(x[:0], y[:0])]).tolist() == [0.0, 0.0]
