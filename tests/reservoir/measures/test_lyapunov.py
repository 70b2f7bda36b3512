import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reservoirpy.activationsfunc import identity
from reservoirpy.nodes import Input, IPReservoir, Reservoir, Ridge

from lightning_neuro.reservoir.initializers import delay_line_matrix
from lightning_neuro.reservoir.measures.lyapunov import lyapunov_exponent, lyapunov_spectrum
from lightning_neuro.reservoir.measures.maps import FunctionMap, ReservoirMap
from lightning_neuro.reservoir.torch import TorchReservoir

U = np.random.default_rng(0).uniform(-1, 1, (1500, 1))
LOGISTIC = FunctionMap(lambda x: 4 * x * (1 - x), 1, lambda x: 4 - 8 * x)
# Slopes of two exactly would end in zero after 53 doublings.
TENT = FunctionMap(lambda x: 1.999999 * np.minimum(x, 1 - x), 1, lambda x: np.where(x < 0.5, 1.999999, -1.999999))
HENON = FunctionMap(
    lambda x: np.array([1 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]]),
    2,
    lambda x: np.array([[-2.8 * x[0], 1.0], [0.3, 0.0]]),
)


def linear(weights):
    return ReservoirMap(weights, 0.1 * np.ones((len(weights), 1)), function=identity)


def random_weights(seed, size, radius=None):
    weights = np.random.default_rng(seed).standard_normal((size, size))
    return weights if radius is None else weights * radius / abs(np.linalg.eigvals(weights)).max()


@pytest.mark.parametrize(("method", "tolerance"), [("jacobian", 5e-3), ("perturbation", 5e-3)])
def test_gold_logistic_and_tent_maps_double(method, tolerance):
    for system in (LOGISTIC, TENT):
        found = lyapunov_exponent(system, np.zeros(4000), method=method, start=[0.3], washout=100)
        assert float(found) == pytest.approx(np.log(2), abs=tolerance)
        assert float(found.to("bits")) == pytest.approx(1, abs=2 * tolerance)


def test_gold_henon():
    found = lyapunov_spectrum(HENON, np.zeros(5000), washout=100)
    np.testing.assert_allclose(found.value, [0.4202, -1.6242], atol=0.015)
    assert found.value.sum() == pytest.approx(np.log(0.3), abs=1e-9)
    assert found.details["kaplan_yorke"] == pytest.approx(1 + found.value[0] / -found.value[1])
    assert found.details["entropy_bound"] == found.value[0]


@pytest.mark.parametrize("method", ["jacobian", "perturbation"])
def test_gold_linear_reservoirs_have_the_log_of_the_spectral_radius(method):
    # An eigenvalue of largest size that is real, so that no rotation blurs a finite series.
    weights = np.diag(np.linspace(0.1, 0.9, 20)) + np.triu(random_weights(1, 20), 1) * 0.02
    found = lyapunov_exponent(linear(weights), U, washout=300, method=method)
    assert float(found) == pytest.approx(np.log(0.9), abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), size=st.integers(2, 8))
def test_the_sum_of_a_linear_spectrum_is_the_log_of_the_determinant(seed, size):
    weights = random_weights(seed, size, 0.9)
    found = lyapunov_spectrum(linear(weights), U[:40])
    assert found.value.sum() == pytest.approx(np.linalg.slogdet(weights)[1], rel=1e-6, abs=1e-6)
    assert (np.diff(found.value) <= 0).all()


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), factor=st.floats(0.2, 1.0))
def test_scaling_a_linear_reservoir_adds_the_log_of_the_scale(seed, factor):
    weights = random_weights(seed, 6, 0.9)
    before, after = (lyapunov_spectrum(linear(scale * weights), U[:60]).value for scale in (1.0, factor))
    np.testing.assert_allclose(after, before + np.log(factor), atol=1e-8)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), leak=st.floats(0.2, 1.0), bias=st.floats(-0.5, 0.5))
def test_a_spectrum_keeps_the_volume_and_the_norm_of_the_product_of_jacobians(seed, leak, bias):
    system = ReservoirMap(random_weights(seed, 4, 0.9), np.ones((4, 1)), bias=bias, leak=leak)
    product, volume, state = np.eye(4), 0.0, np.zeros(4)
    for u in U[:12]:
        jacobian, state = system.jacobian(state, u), system.step(state, u)
        product, volume = jacobian @ product, volume + np.linalg.slogdet(jacobian)[1]
    found = lyapunov_spectrum(system, U[:12])
    # The volume is exact after any number of steps, single exponents only in the limit.
    assert found.value.sum() == pytest.approx(volume / 12, abs=1e-6)
    assert found.value[0] <= np.log(np.linalg.norm(product, 2)) / 12 + 1e-9


@pytest.mark.parametrize("radius", [0.5, 0.9, 1.1, 2.0])
def test_jacobian_and_perturbation_agree_and_see_chaos(radius):
    system = ReservoirMap(random_weights(3, 60, radius), np.random.default_rng(1).uniform(-0.1, 0.1, (60, 1)))
    exact = lyapunov_exponent(system, U, washout=200)
    near = lyapunov_exponent(system, U, washout=200, method="perturbation")
    # In chaos the two runs part company, and only their averages agree.
    assert float(near) == pytest.approx(float(exact), abs=1e-4 if radius < 1 else 0.02)
    assert (float(exact) > 0) == (radius == 2.0) or radius == 1.1
    assert float(exact) <= 1e-9 + np.log(radius) or radius > 1


def test_the_spectrum_begins_with_the_exponent_and_can_be_taken_by_perturbation():
    system = ReservoirMap(random_weights(3, 30, 0.9), np.ones((30, 1)))
    spectrum = lyapunov_spectrum(system, U[:800], washout=100, exponents=5)
    assert spectrum.value[0] == pytest.approx(float(lyapunov_exponent(system, U[:800], washout=100)), abs=5e-3)
    by_pairs = lyapunov_spectrum(system, U[:800], washout=100, exponents=5, method="perturbation")
    np.testing.assert_allclose(by_pairs.value, spectrum.value, atol=1e-5)
    assert spectrum.details["kaplan_yorke"] == 0
    ((line,),) = [spectrum.plot().lines]
    np.testing.assert_array_equal(line.get_ydata(), spectrum.value)


def test_leak_at_rest_enters_as_its_equation_says():
    weights = np.diag([0.9, 0.5, -0.3])
    system = ReservoirMap(weights, np.ones((3, 1)), leak=0.25)
    found = lyapunov_spectrum(system, np.zeros(200))
    np.testing.assert_allclose(found.value, np.log(0.75 + 0.25 * np.array([0.9, 0.5, -0.3])), atol=0.02)


@pytest.mark.parametrize("lr", [1.0, 0.4])
def test_a_node_and_a_torch_module_are_one(lr):
    node = Reservoir(25, sr=0.9, lr=lr, bias=0.1, seed=0)
    node.initialize(U)
    found = float(lyapunov_exponent(node, U[:300], washout=50))
    assert float(lyapunov_exponent(TorchReservoir.from_node(node), U[:300], washout=50)) == pytest.approx(found)
    ip = IPReservoir(25, sr=0.9, lr=lr, seed=0, activation="tanh")
    exact = lyapunov_exponent(ip, U[:300], washout=50)
    near = lyapunov_exponent(ip, U[:300], washout=50, method="perturbation")
    assert float(near) == pytest.approx(float(exact), abs=1e-5)


@pytest.mark.parametrize("method", ["jacobian", "perturbation"])
def test_a_nilpotent_reservoir_has_minus_infinity(method):
    line = ReservoirMap(delay_line_matrix(6, 6, sr=3.0), np.ones((6, 1)))
    found = lyapunov_exponent(line, U[:30], method=method)
    assert float(found) == -np.inf
    assert np.isfinite(found.curve[:4]).all()
    assert found.curve[-1] == -np.inf
    assert found.to_dict()["value"] == "-inf"
    spectrum = lyapunov_spectrum(line, U[:30], method=method)
    assert (spectrum.value == -np.inf).all()
    assert spectrum.details == {"kaplan_yorke": 0.0, "entropy_bound": 0.0}


def test_only_the_direction_that_is_cut_has_minus_infinity():
    weights = np.diag([0.9, 0.5, 0.0])
    weights[2, 0] = 0.3
    np.testing.assert_allclose(lyapunov_spectrum(linear(weights), U[:400]).value[:2], np.log([0.9, 0.5]), atol=0.01)
    assert lyapunov_spectrum(linear(weights), U[:400]).value[2] == -np.inf
    deaf = linear(np.zeros((3, 3)))
    assert (lyapunov_spectrum(deaf, U[:5]).value == -np.inf).all()


def test_each_unit_can_be_perturbed_on_its_own():
    weights = random_weights(5, 12, 0.9)
    weights[:, 0] = 0  # nobody listens to the first unit
    found = lyapunov_exponent(ReservoirMap(weights, np.ones((12, 1))), U[:400], per_unit=True)
    assert found.details["per_unit"].shape == (12,)
    assert found.details["per_unit"][0] == -np.inf
    assert float(found) == pytest.approx(found.details["per_unit"][1:].mean())


def test_the_error_shrinks_with_the_series_and_covers_the_truth():
    found = lyapunov_exponent(LOGISTIC, np.zeros(5000), start=[0.3])
    assert abs(float(found) - np.log(2)) < 5 * found.details["standard_error"] + 1e-3
    assert len(found.curve) == 5000
    assert found.curve[-1] == pytest.approx(float(found))


def step(z):
    return np.where(z >= 0, 1.0, 0.0)


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_gold_flips_spread_to_as_many_units_as_listen(copies):
    # Every unit repeats another: with `copies` rows for each listened-to unit the mean damage is the mean number of
    # rows that listen to a random unit, which is 1; adding silent partners changes nothing.
    size = 12
    wiring = np.zeros((size, size))
    for unit in range(size):
        wiring[unit, (unit // copies * copies + 1) % size] = 1
    system = ReservoirMap(2 * wiring, np.zeros((size, 1)), bias=-1.0, function=step)
    start = np.random.default_rng(0).integers(0, 2, size).astype(float)
    found = lyapunov_exponent(system, np.zeros(4000), start=start, method="flip")
    assert float(found) == pytest.approx(0, abs=4 * np.sqrt(copies / 4000))


def test_gold_exclusive_or_of_two_doubles_damage_by_flips():
    rng = np.random.default_rng(0)
    first, second = rng.permutation(16), rng.permutation(16)
    while (first == second).any():
        second = rng.permutation(16)
    system = FunctionMap(lambda x: (x[first] + x[second]) % 2, 16)
    found = lyapunov_exponent(system, np.zeros(200), start=rng.integers(0, 2, 16))
    assert found.params["method"] == "flip"
    assert float(found) == pytest.approx(np.log(2), abs=1e-12)
    deaf = FunctionMap(lambda x: np.zeros(16), 16)
    assert float(lyapunov_exponent(deaf, np.zeros(20))) == -np.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: lyapunov_exponent(linear(np.eye(2)), U[:10], washout=10),
            "longer than the washout of 10 steps, got 10",
        ),
        (lambda: lyapunov_exponent(linear(np.eye(2)), [0.0, np.nan]), "inputs must be finite"),
        (lambda: lyapunov_exponent(linear(3 * np.eye(2)), U), "the reservoir is unstable"),
        (lambda: lyapunov_exponent(linear(1e200 * np.eye(2)), np.zeros(5)), "the reservoir is unstable"),
        (lambda: lyapunov_exponent(linear(np.eye(2)), U, method="slope"), "method must be one of"),
        (lambda: lyapunov_exponent(linear(np.eye(2)), U, start=[1.0]), "start must be 2 finite numbers"),
        (lambda: lyapunov_exponent(linear(np.eye(2)), U, method="flip"), "needs states of two values"),
        (lambda: lyapunov_exponent(FunctionMap(np.cos, 1), U, method="jacobian"), "needs an f with a known slope"),
        (lambda: lyapunov_spectrum(linear(np.eye(2)), U, exponents=3), "exponents must be"),
        (lambda: lyapunov_spectrum(FunctionMap(np.zeros_like, 2), U[:20]), "differ by little"),
        (lambda: lyapunov_exponent(linear(np.eye(2)), U, distance=0.0), "distance must be greater than 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_states_have_no_dynamics():
    with pytest.raises(TypeError, match="Recorded states have no dynamics"):
        lyapunov_exponent(np.zeros((10, 3)), np.zeros(10))


def test_of_a_model_its_reservoir_is_measured():
    u = np.random.default_rng(0).uniform(-1, 1, (200, 1))
    alone = lyapunov_exponent(Reservoir(10, sr=0.9, seed=0), u)
    for model in (Reservoir(10, sr=0.9, seed=0) >> Ridge(), Input() >> Reservoir(10, sr=0.9, seed=0) >> Ridge()):
        assert float(lyapunov_exponent(model, u)) == float(alone)


def test_a_model_whose_reservoir_is_not_alone_with_the_inputs_is_refused():
    deep = Reservoir(5, seed=0) >> Reservoir(5, seed=1)
    for model in (deep, Ridge() >> Reservoir(5, seed=0)):
        with pytest.raises(TypeError, match="one reservoir that inputs reach directly"):
            lyapunov_exponent(model, np.zeros(10))
