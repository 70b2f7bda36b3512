import pickle

import numpy as np
import pytest
import reservoirpy
from reservoirpy.nodes import Input, Reservoir, Ridge
from support.polynomial_nets import answers, random_net, random_series

from lightning_neuro.spectral_rnn import GaussianAR1Score, IIDGaussianScore, SpectralRNN
from lightning_neuro.spectral_rnn.alarms import DroppedSequencesWarning
from lightning_neuro.spectral_rnn.model import LINEAR
from lightning_neuro.spectral_rnn.symmetry import relative_errors

NET = random_net(0)
X = random_series(100, 100)
Y = answers(NET, X)


@pytest.fixture(scope="module")
def fitted():
    return SpectralRNN(2, seed=0).fit(X, Y)


def test_it_finds_the_network_and_tells_how_sure_it_is(fitted):
    assert max(relative_errors(fitted.model_, NET).values()) < 1e-3
    assert (fitted.A1_.shape, fitted.U_.shape, fitted.A2_.shape) == ((2, 6), (2, 2), (2, 3))
    np.testing.assert_allclose(fitted.intercept_, NET.offset, atol=1e-2)
    assert fitted.converged_
    assert fitted.n_samples_ == 10_000
    assert fitted.n_dropped_ == 0
    assert fitted.singular_values_[1] > 10 * fitted.singular_values_[2]
    assert fitted.diagnostics_.errors[-1] < fitted.diagnostics_.errors[0]


def test_run_equals_steps_and_the_model(fitted):
    x = random_series(1, 300, seed=1)[0]
    fitted.reset()
    whole = fitted.run(x)
    fitted.reset()
    np.testing.assert_allclose([fitted.step(one) for one in x], whole, atol=1e-12)
    np.testing.assert_allclose(whole, fitted.model_.predict(x), atol=1e-12)
    np.testing.assert_allclose(fitted.state["out"], whole[-1])


def test_any_form_of_the_data_gives_the_same(fitted):
    as_list = SpectralRNN(2, seed=0).fit(list(X), list(Y))
    ragged = SpectralRNN(2, seed=0).fit([*X[:-1], X[-1][:50], X[-1][50:]], [*Y[:-1], Y[-1][:50], Y[-1][50:]])
    np.testing.assert_allclose(as_list.A1_, fitted.A1_, atol=1e-12)
    np.testing.assert_allclose(ragged.A1_, fitted.A1_, atol=1e-3)
    outputs = fitted.run([X[0], X[1][:10]])
    assert [len(y) for y in outputs] == [100, 10]


def test_p02_workers_change_nothing(fitted):
    two = SpectralRNN(2, seed=0).fit(X, Y, workers=2)
    for name in ("A1_", "U_", "A2_", "intercept_"):
        np.testing.assert_allclose(getattr(two, name), getattr(fitted, name), atol=1e-9)


def test_the_warmup_is_not_learned_from_but_stays_as_lag():
    wrong = Y.copy()
    wrong[:, :5] += 100.0
    node = SpectralRNN(2, seed=0).fit(X, wrong, warmup=5)
    assert max(relative_errors(node.model_, NET).values()) < 1e-2
    assert node.n_samples_ == 9_500


def test_missing_targets_and_gaps_are_never_joined():
    y, x = Y.copy(), X.copy()
    y[:, ::7] = np.nan
    x[:, 50] = np.nan
    node = SpectralRNN(2, seed=0).fit(x, y)
    assert max(relative_errors(node.model_, NET).values()) < 1e-2


def test_p13_the_seed_decides_and_global_random_state_stays(fitted):
    before = np.random.get_state()[1].copy()  # noqa: NPY002  what is asked is the global one
    again = SpectralRNN(2, seed=0).fit(X, Y)
    np.testing.assert_array_equal(again.A1_, fitted.A1_)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_a_refit_forgets(fitted):
    other = random_net(5)
    node = SpectralRNN(2, seed=0).fit(X, answers(other, X))
    node.run(X[0])
    node.fit(X, Y)
    np.testing.assert_allclose(node.A1_, fitted.A1_, atol=1e-12)
    assert not node.state["hidden"].any()


def test_p14_it_pickles_and_reservoirpy_saves_it(fitted, tmp_path):
    fitted.reset()
    copy = pickle.loads(pickle.dumps(fitted))
    reservoirpy.save(fitted, tmp_path / "node")
    saved = reservoirpy.load(next(tmp_path.iterdir()))
    wanted = fitted.run(X[0])
    for one in (copy, saved):
        np.testing.assert_array_equal(one.run(X[0]), wanted)
    assert repr(fitted).startswith("SpectralRNN(")


def test_it_is_a_node_of_models(fitted):
    model = Input() >> SpectralRNN(2, seed=0)
    model.fit(X, Y)
    np.testing.assert_allclose(model.run(X[0]), fitted.model_.predict(X[0]), atol=1e-8)
    recurrence = fitted.to_node()
    readout = recurrence >> fitted.readout()
    np.testing.assert_allclose(readout.run(X[0]), fitted.model_.predict(X[0]), atol=1e-9)
    beside = Input() >> [fitted.to_node(), Reservoir(10, seed=0)] >> Ridge(ridge=1e-6)
    assert np.isfinite(beside.fit(X[0], Y[0]).run(X[1])).all()


def test_upstream_of_a_trainable_node_reservoirpy_would_train_it_without_outputs(fitted):
    with pytest.raises(RuntimeError, match=r"fit it first and put to_node\(\) in its place"):
        (SpectralRNN(2, name="spectral") >> Ridge(name="ridge")).fit(X[0], {"ridge": Y[0]})


def test_the_state_before_the_first_step_is_fitted_on_request():
    net = random_net(3, coupling=0.15)
    h0 = np.array([1.5, -0.5])
    y = np.stack(net.predict_all(list(X), h0))
    node = SpectralRNN(2, seed=0, fit_initial_state=True).fit(X, y)
    np.testing.assert_allclose(np.stack(net.predict_all([X[0]], h0))[0, 0], node.run(X[0])[0], atol=0.05)
    node.reset()
    np.testing.assert_array_equal(node.state["hidden"], node.h0_)
    assert np.abs(node.h0_).max() > 0.3


def test_linear_and_automatic_units():
    net = random_net(0, coeffs=LINEAR, coupling=0.7)
    node = SpectralRNN("auto", activation="linear", seed=0).fit(X, answers(net, X, noise=0.1))
    assert len(node.U_) == 2
    node.reset()
    missed = node.run(X[0]) - net.predict(X[0])
    assert np.square(missed).mean() < 0.05 * net.predict(X[0]).var()
    assert len(SpectralRNN("auto", seed=0).fit(X, Y).U_) == 2


def test_streams_learn_what_moments_of_the_whole_learn():
    score = GaussianAR1Score().fit(X)
    whole = SpectralRNN(2, score=score, refine=0, seed=0).fit(X, Y)
    streamed = SpectralRNN(2, score=score, seed=0)
    for x, y in zip(X, Y, strict=True):
        streamed.accumulate(x[:30], y[:30]).accumulate(x[30:], y[30:], continues=True)
    streamed.finalize()
    np.testing.assert_allclose(streamed.A1_, whole.A1_, atol=2e-2)
    np.testing.assert_allclose(streamed.U_, whole.U_, atol=2e-2)
    np.testing.assert_allclose(streamed.intercept_, whole.intercept_, atol=5e-2)
    assert np.isfinite(streamed.run(X[0])).all()


def test_parts_of_a_stream_are_merged():
    score = IIDGaussianScore().fit(X)
    whole, first, second = (SpectralRNN(2, score=score, seed=0) for _ in range(3))
    whole.accumulate(X, Y).finalize()
    first.accumulate(X[:40], Y[:40])
    second.accumulate(X[40:], Y[40:])
    merged = first.merge(second).finalize()
    np.testing.assert_allclose(merged.A1_, whole.A1_, atol=1e-2)
    apart = [SpectralRNN(2, seed=0).accumulate(X[part], Y[part]) for part in (slice(0, 40), slice(40, 100))]
    with pytest.raises(ValueError, match="merge expected parts with one score"):
        apart[0].merge(apart[1])


def test_exploded_series_are_counted_and_nothing_nan_comes_out():
    y = Y.copy()
    y[3, 20:] = np.inf
    with pytest.warns(DroppedSequencesWarning, match="1 of 100 series"):
        node = SpectralRNN(2, seed=0).fit(X, y)
    assert node.n_dropped_ == 1
    assert max(relative_errors(node.model_, NET).values()) < 1e-3
    with pytest.raises(FloatingPointError, match="exploded"):
        node.run(np.full((100, 6), 1e4))
    node.max_abs_state = 1e5
    node.reset()
    assert np.isfinite(node.run(np.full((100, 6), 1e4))).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SpectralRNN(0), ValueError, "units must be at least 1"),
        (lambda: SpectralRNN(2, activation="tanh"), ValueError, "activation must be one of"),
        (lambda: SpectralRNN(2, max_abs_state=-1.0), ValueError, "max_abs_state must be greater than 0"),
        (lambda: SpectralRNN(2, fit_initial_state=1), TypeError, "fit_initial_state must be True or False"),
        (lambda: SpectralRNN(2).run(X[0]), RuntimeError, r"expected fit\(x, y\) before run"),
        (lambda: SpectralRNN(2).to_node(), RuntimeError, r"expected fit\(x, y\)"),
        (lambda: SpectralRNN(2).finalize(), RuntimeError, "got no data"),
        (lambda: SpectralRNN(2).fit(X[0]), ValueError, "fit needs outputs"),
        (lambda: SpectralRNN(2).fit(X, Y[:, :50]), ValueError, r"y\[0\] must have 100 steps"),
        (lambda: SpectralRNN(2).fit(X, Y, warmup=-1), ValueError, "warmup must be at least 0"),
        (lambda: SpectralRNN(2).fit(X[0][:1], Y[0][:1]), ValueError, "usable"),
        (lambda: SpectralRNN(2).fit(X[..., :1], Y), ValueError, "units|inputs"),
        (lambda: SpectralRNN(2).fit(X, Y[..., :1]), ValueError, "output"),
        (lambda: SpectralRNN(2).fit(np.full_like(X, np.nan), Y), ValueError, "usable"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_refit_of_another_width_is_refused(fitted):
    with pytest.raises(ValueError, match="x must have 6 columns as at the first fit, got 5"):
        fitted.fit(X[..., :5], Y)


def test_constant_columns_are_refused_or_learned_past():
    x = X.copy()
    x[..., 2] = 1.0
    with pytest.raises(ValueError, match=r"constant|singular|column"):
        SpectralRNN(2, seed=0).fit(x, Y)
