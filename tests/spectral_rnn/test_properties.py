"""Properties of spectral learning through its nodes: what breaks is told (p11), and no NaN comes out (p12).

The other properties stand, by number, beside what they are about: `pytest -k p03`.
"""

import subprocess
import sys
import warnings
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.polynomial_nets import answers, random_net, random_series

from lightning_neuro.spectral_rnn import SpectralBiRNN, SpectralRNN, SpectralTokenRNN, alarms
from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel
from lightning_neuro.spectral_rnn.model import CUBIC, QUADRATIC
from lightning_neuro.spectral_rnn.score_diagnostics import ScoreMismatchWarning
from lightning_neuro.spectral_rnn.symmetry import relative_errors

NET = random_net(0)
X = random_series(100, 100)
Y = answers(NET, X)
SPEAKERS = {"spectral learning", "IIDGaussianScore", "GaussianAR1Score", "diagnose_score", "recover_input_weights"}
FITTED = ("A1_", "U_", "A2_", "intercept_", "singular_values_")


def told(node, x, y):
    """Fit, and return the kinds of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        node.fit(x, y)
    return {warning.category for warning in caught}


def odd(net, x):
    """Outputs of a network like `net` with tanh for activation."""
    hidden, outputs = np.zeros((len(x), net.units)), []
    for step in range(x.shape[1]):
        hidden = np.tanh(x[:, step] @ net.input_weights.T + hidden @ net.recurrent_weights.T)
        outputs.append(hidden @ net.output_weights)
    return np.stack(outputs, axis=1)


@pytest.mark.slow
def test_p07_ten_times_the_data_reduce_the_error_by_the_root_of_ten():
    ratios = []
    for seed in range(5):
        net, x = random_net(seed, 10, 3, 4), random_series(1000, 100, 10, seed)
        y = answers(net, x)
        few, many = (
            relative_errors(SpectralRNN(3, score="iid", refine=0, seed=0).fit(x[:n], y[:n]).model_, net)["A1"]
            for n in (100, 1000)
        )
        ratios.append(few / many)
    assert 2.5 < median(ratios) < 4


def test_p09_a_fitted_transition_of_uncorrelated_inputs_changes_little():
    iid, ar1 = (SpectralRNN(2, score=score, refine=0, seed=0).fit(X, Y) for score in ("iid", "ar1"))
    assert max(relative_errors(ar1.model_, iid.model_).values()) < 0.1


def test_p11_one_output_is_refused():
    with pytest.raises(ValueError, match="one output gives one matrix"):
        SpectralRNN(2, seed=0).fit(X, Y[..., :1])


def test_p11_fewer_outputs_than_neurons_are_allowed_but_not_by_the_fourth_order():
    net = random_net(2, 6, 3, 2)
    y = answers(net, X)
    node = SpectralRNN(3, seed=0)
    assert told(node, X, y) == set()
    assert max(relative_errors(node.model_, net).values()) < 1e-2
    with pytest.raises(ValueError, match="at least as many outputs as neurons, got 2 for 3"):
        SpectralRNN(3, u_method="s4", seed=0).fit(X, y)


def test_p11_parallel_output_weights_are_told():
    strong = NET.output_weights[0]
    node = SpectralRNN(2, refine=0, seed=0)
    net = replace(NET, output_weights=np.stack([strong, 1.5 * strong]))
    assert alarms.ParallelOutputsWarning in told(node, X, answers(net, X))
    assert "parallel output weights" in node.diagnostics_.table()


def test_p11_nearly_parallel_input_weights_have_their_recurrence_refused():
    rows = NET.input_weights.copy()
    rows[1] = rows[0] + 0.05 * rows[1]
    node = SpectralRNN(2, refine=0, seed=0)
    assert alarms.WeakComponentWarning in told(node, X, answers(replace(NET, input_weights=rows), X))
    assert node.diagnostics_.recurrent_refused
    assert not node.U_.any()


def test_p11_fewer_inputs_than_neurons_are_refused():
    with pytest.raises(ValueError, match="7 neurons need at least as many inputs, got 6"):
        SpectralRNN(7, seed=0).fit(X, Y)


def test_p11_an_odd_network_is_told_and_seen_by_the_third_order():
    y = odd(NET, X)
    assert alarms.VanishingMomentWarning in told(SpectralRNN(2, refine=0, seed=0), X, y)
    third = SpectralRNN(2, activation="cubic", refine=0, seed=0)
    told(third, X, y)
    cosines = np.abs(third.A1_ @ NET.input_weights.T).max(axis=1)
    assert cosines.min() > 0.97


def test_p11_an_even_network_is_not_seen_by_the_third_order():
    node = SpectralRNN(2, activation="cubic", refine=0, seed=0)
    assert alarms.WeakComponentWarning in told(node, X, Y)
    assert not node.U_.any()


def test_p11_exploded_series_are_dropped_counted_and_told():
    y = Y.copy()
    y[3, 20:], y[4, 10], y[5, 30] = np.inf, 1e200, -1e51
    node = SpectralRNN(2, seed=0)
    assert told(node, X, y) == {alarms.DroppedSequencesWarning}
    assert (node.n_dropped_, node.n_samples_) == (3, 9_700)
    assert max(relative_errors(node.model_, NET).values()) < 1e-3


def test_p11_an_exploded_series_does_not_stop_the_split_into_directions():
    onward, back = (random_net(seed, 6, 2, 5, offset=False, coupling=0.15) for seed in (0, 100))
    x = random_series(100, 100)
    y = np.stack(BidirectionalModel(onward, back).predict_all(list(x)))
    y[7, 50] = np.inf
    node = SpectralBiRNN(2, seed=0)
    assert alarms.DroppedSequencesWarning in told(node, x, y)
    assert node.n_dropped_ == 1
    assert np.abs(node.A1_ @ onward.input_weights.T).max(axis=1).min() > 0.99


def test_p11_heavy_tails_are_told():
    x = np.random.default_rng(0).laplace(size=X.shape)
    y = np.stack(NET.predict_all(list(x)))
    assert ScoreMismatchWarning in told(SpectralRNN(2, refine=0, seed=0), x, y)


def test_p11_an_odd_network_is_fallen_through_to_on_request():
    node = SpectralRNN(2, order="auto", refine=0, seed=0)
    assert alarms.VanishingMomentWarning in told(node, X, odd(NET, X))
    assert node.model_.coeffs == CUBIC
    assert np.abs(node.A1_ @ NET.input_weights.T).max(axis=1).min() > 0.97
    even = SpectralRNN(2, order="auto", seed=0)
    assert told(even, X, Y) == set()
    assert even.model_.coeffs == QUADRATIC


@pytest.mark.parametrize("size", [1e12, -1e4])
def test_p11_a_single_outlier_is_told_and_cut(size):
    y = Y.copy()
    y[3, 20, 1] = size
    assert alarms.OutlierWarning in told(SpectralRNN(2, seed=0), X, y)
    node = SpectralRNN(2, y_clip=0.999, seed=0)
    assert told(node, X, y) == set()
    assert max(relative_errors(node.model_, NET).values()) < 1e-2


def test_p11_clipping_costs_refinement_little_where_nothing_is_wrong():
    node = SpectralRNN(2, y_clip=0.999, seed=0)
    assert told(node, X, Y) == set()
    assert max(relative_errors(node.model_, NET).values()) < 1e-3


def test_p11_an_outlier_among_the_inputs_is_told():
    x = X.copy()
    x[5, 50, 2] = 1e9
    assert alarms.OutlierWarning in told(SpectralRNN(2, refine=0, seed=0), x, Y)


def test_p11_an_unknown_number_of_neurons_is_found_by_the_gap():
    node = SpectralRNN("auto", seed=0).fit(X, Y)
    assert len(node.U_) == 2
    assert node.diagnostics_.table().startswith("singular values                3.45 1.52 | 0.1")


FAULTS = {
    "missing output": lambda x, y, row, step, column, rng: y.__setitem__((row, slice(step, None)), np.nan),
    "gap": lambda x, y, row, step, column, rng: x.__setitem__((slice(None), slice(step, None, 5)), np.nan),
    "infinite": lambda x, y, row, step, column, rng: y.__setitem__((row, step, column), np.inf),
    "huge": lambda x, y, row, step, column, rng: y.__setitem__((row, step), 10.0 ** rng.integers(3, 300)),
    "huge input": lambda x, y, row, step, column, rng: x.__setitem__((row, step, column), 10.0 ** rng.integers(3, 300)),
    "constant input": lambda x, y, row, step, column, rng: x.__setitem__((..., column), 3.0),
    "constant output": lambda x, y, row, step, column, rng: y.__setitem__((..., column), -2.0),
    "no output": lambda x, y, row, step, column, rng: y.__setitem__(..., 0.0),
    "tiny output": lambda x, y, row, step, column, rng: y.__imul__(1e-200),
    "twin inputs": lambda x, y, row, step, column, rng: x.__setitem__((..., column), x[..., 5]),
    "twin outputs": lambda x, y, row, step, column, rng: y.__setitem__((..., 0), y[..., 1]),
    "noise": lambda x, y, row, step, column, rng: y.__setitem__(..., rng.standard_normal(y.shape)),
}


def spoilt(kind, rng):
    """Return data with one fault, perhaps too few."""
    steps = int(rng.choice([9, 14, 40, 100]))
    x, y = X[:4, :steps].copy(), Y[:4, :steps].copy()
    row, step, column = rng.integers(4), rng.integers(steps), rng.integers(3)
    FAULTS[kind](x, y, row, step, column, rng)
    return x, y


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(FAULTS)), st.sampled_from(["quadratic", "linear", "cubic"]), st.integers(0, 10_000))
def test_p12_spoilt_data_are_refused_or_give_finite_numbers(kind, activation, seed):
    x, y = spoilt(kind, np.random.default_rng(seed))
    node = SpectralRNN(2, activation=activation, refine=2, max_abs_state=1e6, n_restarts=1, seed=0)
    try:
        told(node, x, y)
    except ValueError as refusal:
        if str(refusal).split(":")[0] in SPEAKERS:
            return
        raise
    for name in FITTED:
        assert np.isfinite(getattr(node, name)).all(), name
    assert np.isfinite(node.run(X[0])).all()
    assert "nan" not in node.diagnostics_.table()


@pytest.mark.parametrize("node", [SpectralRNN(2, seed=0), SpectralBiRNN(1, seed=0)])
def test_p12_wrong_widths_and_inputs_with_nan_are_refused_in_a_run(node):
    told(node, X, Y)
    with pytest.raises(ValueError, match=r"dimension|columns|shape"):
        node.run(X[0][:, :5])
    with pytest.raises(ValueError, match=r"x must hold finite numbers, got .* at step 7"):
        node.run(np.where(np.arange(100)[:, None] == 7, np.nan, X[0]))


@pytest.mark.parametrize("make", [lambda: SpectralBiRNN(1, seed=3), lambda: SpectralTokenRNN(1, n_tokens=5, seed=3)])
def test_p13_the_seed_decides_for_every_node(make):
    before = np.random.get_state()[1].copy()  # noqa: NPY002  what is asked is the global one
    tokens = np.random.default_rng(0).integers(5, size=(2_000, 1))
    x = tokens if isinstance(make(), SpectralTokenRNN) else X
    y = answers(random_net(1, 5, 1, 3, offset=False), np.eye(5)[tokens.T])[0] if x is tokens else Y
    first, second = (make().fit(x, y) for _ in range(2))
    np.testing.assert_array_equal(first.A1_, second.A1_)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.slow
def test_p14_learning_needs_no_sklearn():
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import numpy as np; from lightning_neuro.spectral_rnn.node import SpectralRNN\n"
        "x = np.random.default_rng(0).standard_normal((500, 3)); y = (x[:, :2] ** 2)\n"
        "print(SpectralRNN(2, seed=0).fit(x, y).A1_.shape)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2, 3)"
