import numpy as np
import pytest
from support.polynomial_nets import answers, random_net, random_series

from lightning_neuro.spectral_rnn import GaussianAR1Score
from lightning_neuro.spectral_rnn.learning import learn
from lightning_neuro.spectral_rnn.model import LINEAR
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import SerialPasses
from lightning_neuro.spectral_rnn.series import Series
from lightning_neuro.spectral_rnn.streaming import StreamLearner

X = random_series(40, 500, memory=0.5)


@pytest.mark.parametrize("activation", ["quadratic", "linear"])
@pytest.mark.parametrize("cut", [1, 7, 250])
def test_chunks_give_what_passes_give(activation, cut):
    net = random_net(0, coeffs=LINEAR, coupling=0.5) if activation == "linear" else random_net(0)
    y = answers(net, X)
    score = GaussianAR1Score().fit(X)
    options = Options(2, activation=activation, score=score, refine=0, seed=0)
    whole = learn(SerialPasses([Series(*pair) for pair in zip(X, y, strict=True)]), options).model
    stream = StreamLearner(options)
    for one, other in zip(X, y, strict=True):
        for start in range(0, 500, cut * 50):
            stop = start + cut * 50
            stream.accumulate(one[start:stop], other[start:stop], continues=start > 0)
    found = stream.finalize().model
    for wanted, got in zip(whole.predict_all(list(X[:3])), found.predict_all(list(X[:3])), strict=True):
        # Outputs are centred by the mean of the first chunk here and by that of all there.
        assert np.square(wanted - got).mean() < 2e-3 * wanted.var()


def test_a_sample_only_is_kept():
    stream = StreamLearner(Options(2))
    net = random_net(0)
    for seed in range(3):
        x = random_series(40, 500, seed=seed)
        stream.accumulate(x, answers(net, x))
    assert sum(map(len, stream.sample)) <= 20_500


def test_a_mixed_moment_that_cannot_be_held_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"MixedMoment: outputs times inputs cubed must be at most"):
        StreamLearner(Options(2)).accumulate(rng.standard_normal((900, 200)), rng.standard_normal((900, 2)))


def test_refusals():
    with pytest.raises(ValueError, match="activation must be one of 'quadratic', 'linear', got 'cubic'"):
        StreamLearner(Options(2, activation="cubic"))
    with pytest.raises(ValueError, match="usable"):
        StreamLearner(Options(2)).finalize()


@pytest.mark.parametrize("options", [{"y_clip": 0.999}, {"order": "auto"}])
def test_what_needs_the_data_again_is_refused(options):
    with pytest.raises(ValueError, match=r"y_clip and order need the data again, .* or use fit"):
        StreamLearner(Options(2, **options))
