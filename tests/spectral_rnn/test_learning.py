import pickle
import warnings
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
import torch

from lightning_neuro.spectral_rnn import alarms
from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel
from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score
from lightning_neuro.spectral_rnn.learning import learn, learn_bidirectional
from lightning_neuro.spectral_rnn.model import CUBIC, LINEAR, QUADRATIC, PolynomialModel
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import ParallelPasses, SerialPasses
from lightning_neuro.spectral_rnn.series import Series
from lightning_neuro.spectral_rnn.symmetry import canonicalize, relative_errors

LENGTH = 100


def random_model(seed, inputs=6, units=2, outputs=3, coeffs=QUADRATIC, coupling=0.12):
    rng = np.random.default_rng(seed)
    a, u, c = (rng.standard_normal(shape) for shape in ((units, inputs), (units, units), (units, outputs)))
    a, u = (each / np.linalg.norm(each, axis=1)[:, None] for each in (a, u))
    return PolynomialModel(a, coupling * u, c, coeffs, offset=rng.standard_normal(outputs))


def data(model, n, seed=0, noise=0.0, memory=0.0, inputs=6):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n // LENGTH, LENGTH, inputs))
    for step in range(1, LENGTH):
        x[:, step] = memory * x[:, step - 1] + np.sqrt(1 - memory**2) * x[:, step]
    outputs = model.predict_all(list(x))
    return [Series(one, y + noise * rng.standard_normal(y.shape)) for one, y in zip(x, outputs, strict=True)]


def errors(found, model):
    return relative_errors(found, replace(model, offset=found.offset))


def test_p08_refinement_without_noise_is_exact():
    model = random_model(0)
    found = learn(SerialPasses(data(model, 10_000)), Options(2, seed=0))
    assert max(errors(found.model, model).values()) < 1e-3
    np.testing.assert_allclose(found.model.offset, model.offset, atol=1e-2)
    assert found.converged
    assert found.diagnostics.errors[-1] < 1e-6 < found.diagnostics.errors[0]
    assert max(errors(found.by_moments, model).values()) > 1e-2


def test_p07_the_error_of_moments_falls_with_the_root_of_the_data():
    ratios = []
    for seed in range(5):
        model = random_model(seed)
        few, many = (
            errors(learn(SerialPasses(data(model, n, seed)), Options(2, refine=0, score="iid", seed=0)).model, model)
            for n in (4_000, 40_000)
        )
        ratios.append(few["A1"] / many["A1"])
    assert 2 < median(ratios) < 5


def test_correlated_inputs_and_noise_are_coped_with_and_refinement_pays():
    model = random_model(1)
    source = SerialPasses(data(model, 40_000, noise=0.5, memory=0.5))
    found = learn(source, Options("auto", seed=0))
    assert isinstance(found.score, GaussianAR1Score)
    assert found.model.units == 2
    before, after = errors(found.by_moments, model), errors(found.model, model)
    assert after["U"] < 0.1
    assert before["A1"] > 3 * after["A1"]


def test_the_fourth_order_route_finds_recurrent_weights_less_well():
    model = random_model(0)
    source = SerialPasses(data(model, 40_000))
    mixed, found = (learn(source, Options(2, u_method=way, refine=0, seed=0)).model for way in ("mixed", "s4"))
    assert errors(mixed, model)["U"] < errors(found, model)["U"] < 0.7
    wide = random_model(2, outputs=2, units=3)
    with pytest.raises(ValueError, match="at least as many outputs as neurons, got 2 for 3"):
        learn(SerialPasses(data(wide, 20_000)), Options(3, u_method="s4", seed=0))


def test_p05_a_constant_added_to_the_outputs_changes_the_offset_only():
    source = data(random_model(3), 5_000)
    moved = [Series(one.x, one.y + 100.0) for one in source]
    first, second = (learn(SerialPasses(each), Options(2, refine=0, seed=0)).model for each in (source, moved))
    for name in ("input_weights", "recurrent_weights", "output_weights"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=1e-9)
    np.testing.assert_allclose(second.offset - first.offset, 100.0)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_cubic_network_is_learned_with_its_recurrence(outputs):
    model = random_model(4, 4, 2, outputs, CUBIC, coupling=0.03)
    found = learn(SerialPasses(data(model, 20_000, inputs=4)), Options(2, activation="cubic", seed=0))
    assert errors(found.model, model)["A1"] < 1e-2
    assert errors(found.model, model)["U"] < 0.2


def test_a_linear_network_predicts_and_its_order_is_found():
    model = random_model(5, 6, 3, 2, LINEAR)
    u = 0.8 * np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    model = replace(model, recurrent_weights=u)
    found = learn(SerialPasses(data(model, 20_000)), Options("auto", activation="linear"))
    assert found.model.units == 3
    fresh = data(model, 1000, seed=9)[0]
    assert np.var(found.model.predict(fresh.x) - fresh.y) < 0.01 * np.var(fresh.y)


def two_way(n, reverse=False):
    model = BidirectionalModel(random_model(6, 8, 2, 5), random_model(7, 8, 2, 5))
    source = data(model, n, inputs=8)
    return model, [Series(one.x[::-1], one.y[::-1]) for one in source] if reverse else source


def test_both_directions_are_learned_and_swap_when_time_is_reversed():
    model, source = two_way(20_000)
    found = learn_bidirectional(SerialPasses(source), Options(4, score="iid", seed=0)).model
    back = learn_bidirectional(SerialPasses(two_way(20_000, reverse=True)[1]), Options(4, score="iid", seed=0)).model
    for one, other in (
        (found.forward, model.forward),
        (found.backward, model.backward),
        (back.forward, model.backward),
    ):
        assert max(errors(one, other).values()) < 1e-2


def test_workers_share_the_passes_and_change_nothing():
    source = data(random_model(0), 4_000, noise=0.2)
    options = Options(2, refine=2, score="ar1", seed=0)
    one, two = learn(SerialPasses(source), options), learn(ParallelPasses(source, 2), options)
    np.testing.assert_allclose(one.model.recurrent_weights, two.model.recurrent_weights, atol=1e-9)
    np.testing.assert_allclose(one.diagnostics.errors, two.diagnostics.errors)


def test_gaps_missing_outputs_and_weights_do_no_harm():
    model = random_model(0)
    source = []
    for place, one in enumerate(data(model, 10_000)):
        x, y, weights = one.x.copy(), one.y.copy(), np.ones(LENGTH)
        x[50 + place % 7] = np.nan
        y[20], y[30], weights[30] = np.nan, 1e6, 0
        source.append(Series(x, y, weights))
    found = learn(SerialPasses(source), Options(2, seed=0))
    assert max(errors(found.model, model).values()) < 0.1
    for name in ("input_weights", "recurrent_weights", "output_weights", "offset"):
        assert np.isfinite(getattr(found.model, name)).all()


def test_same_seed_same_result_and_global_random_state_untouched():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    source = SerialPasses(data(random_model(0), 2_000))
    found = [learn(source, Options(2, refine=2, seed=3)).model for _ in range(2)]
    np.testing.assert_array_equal(found[0].recurrent_weights, found[1].recurrent_weights)
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


def test_results_are_canonical_and_pickle():
    found = learn(SerialPasses(data(random_model(0), 2_000)), Options(2, refine=2, seed=0))
    same = canonicalize(found.model)
    np.testing.assert_allclose(same.recurrent_weights, found.model.recurrent_weights)
    restored = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(restored.model.input_weights, found.model.input_weights)


def test_series_with_infinite_numbers_are_dropped_counted_and_told():
    source = data(random_model(0), 5_000)
    source[3].y[50:] = np.inf
    with pytest.warns(alarms.DroppedSequencesWarning, match="1 of 50 series"):
        found = learn(SerialPasses(source), Options(2, refine=0, seed=0))
    assert (found.diagnostics.n_dropped, found.diagnostics.n_series) == (1, 50)


def told(source, options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = learn(SerialPasses(source), options)
    return found, {warning.category for warning in caught}


def test_too_many_units_are_told_and_their_recurrence_refused():
    found, warned = told(data(random_model(0), 2_000, noise=0.5), Options(4, refine=0, seed=0))
    assert alarms.WeakComponentWarning in warned
    assert found.diagnostics.recurrent_refused
    assert not found.model.recurrent_weights.any()


def test_nearly_parallel_input_weights_have_their_recurrence_refused():
    model = random_model(0)
    rows = model.input_weights.copy()
    rows[1] = rows[0] + 0.05 * rows[1]
    found, warned = told(data(replace(model, input_weights=rows), 5_000), Options(2, refine=0, seed=0))
    assert alarms.WeakComponentWarning in warned
    assert found.diagnostics.conditions["moment"] > 10


def test_parallel_output_weights_are_told():
    model = random_model(0)
    weights = np.stack([model.output_weights[0], 1.5 * model.output_weights[0]])
    source = data(replace(model, output_weights=weights), 20_000)
    assert alarms.ParallelOutputsWarning in told(source, Options(2, refine=0, seed=0))[1]


def test_an_odd_network_under_a_quadratic_eye_is_told():
    source = data(random_model(0, coeffs=LINEAR), 3_000, noise=0.3)
    assert alarms.VanishingMomentWarning in told(source, Options(2, refine=0, seed=0))[1]


def test_a_score_that_does_not_fit_is_told():
    rng = np.random.default_rng(0)
    model = random_model(0)
    x = list(rng.laplace(size=(100, LENGTH, 6)))
    source = [Series(one, y) for one, y in zip(x, model.predict_all(x), strict=True) if np.isfinite(y).all()]
    found, warned = told(source, Options(2, refine=0, score="iid", seed=0))
    assert "ScoreMismatchWarning" in {kind.__name__ for kind in warned}
    assert max(map(abs, found.diagnostics.score_z.values())) > 6


def test_refinement_of_noise_never_diverges_and_gives_finite_weights():
    for seed in range(3):
        model = random_model(seed, 8, 4, 3)
        source = data(model, 500, seed, noise=3.0, memory=0.6, inputs=8)
        found, _ = told(source, Options(4, seed=0))
        assert found.diagnostics.errors == sorted(found.diagnostics.errors, reverse=True)
        assert np.isfinite(found.model.recurrent_weights).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "units must be at least 1, got 0"),
        ({"units": 2, "activation": "tanh"}, "activation must be one of 'quadratic', 'linear', 'cubic', got 'tanh'"),
        ({"units": 2, "u_method": "s5"}, "u_method must be one of 'mixed', 's4', got 's5'"),
        ({"units": 2, "refine": -1}, "refine must be at least 0"),
        ({"units": 2, "recurrent_limit": 0}, "recurrent_limit must be greater than 0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


def test_data_that_do_not_suffice_are_refused():
    source = data(random_model(0), 1_000)
    thin = [Series(one.x, one.y[:, :1]) for one in source]
    flat = [Series(np.where(np.arange(6) == 2, 1.0, one.x), one.y) for one in source]
    cases = [
        (thin, 2, "one output gives one matrix"),
        (source, 7, "7 neurons need at least as many inputs, got 6"),
        (flat, 2, r"constant ones at \[2\]"),
        (source[:0], 2, "got 0 series"),
        ([source[0].part(0, 9)], 2, "must have more than 12 pairs"),
    ]
    for series, units, message in cases:
        with pytest.raises(ValueError, match=message):
            learn(SerialPasses(series), Options(units, seed=0))
    with pytest.raises(ValueError, match="both directions: activation must be one of 'quadratic'"):
        learn_bidirectional(SerialPasses(source), Options(2, activation="linear"))
