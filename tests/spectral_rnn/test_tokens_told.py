"""What a network on tokens cannot learn is refused or told, and never ends in NaN."""

import numpy as np
import pytest

from lightning_neuro.spectral_rnn import PolynomialRNN, SpectralTokenRNN
from lightning_neuro.spectral_rnn.alarms import PoorFitWarning

TOKENS = np.random.default_rng(0).integers(4, size=(4000, 1))


def outputs():
    rows = np.random.default_rng(1).standard_normal((1, 4))
    return PolynomialRNN(rows, [[0.1]]).run(np.eye(4)[TOKENS[:, 0]]) @ [[1.0, -1.0]]


def node(units=1):
    return SpectralTokenRNN(units, n_tokens=4, seed=0)


def test_outputs_that_never_change_are_refused():
    with pytest.raises(ValueError, match="the same after all tokens"):
        node().fit(TOKENS, np.ones((4000, 2)))
    with pytest.raises(ValueError, match="the same after all tokens"):
        node().fit(TOKENS, np.zeros((4000, 2)))


def test_outputs_of_the_present_token_alone_are_refused():
    with pytest.raises(ValueError, match="without interaction"):
        node().fit(TOKENS, np.random.default_rng(2).standard_normal((4, 2))[TOKENS[:, 0]])


def test_an_offset_in_the_outputs_is_told():
    node().fit(TOKENS, outputs())  # no warning
    with pytest.warns(PoorFitWarning, match="no intercept"):
        node().fit(TOKENS, outputs() + 5)


def test_other_outputs_than_before_are_refused():
    fitted = node().fit(TOKENS, outputs())
    with pytest.raises(ValueError, match="2 columns as before, got 3"):
        fitted.fit(TOKENS, np.c_[outputs(), outputs()[:, :1]])
    other = node().accumulate(TOKENS, np.c_[outputs(), outputs()[:, :1]])
    with pytest.raises(ValueError, match="same tokens and outputs"):
        node().accumulate(TOKENS, outputs()).merge(other)
