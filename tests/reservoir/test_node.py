import copy
import pickle

import numpy as np
import pytest
import reservoirpy
from hypothesis import given
from hypothesis import strategies as st
from reservoirpy.mat_gen import bernoulli, uniform
from reservoirpy.node import Node, TrainableNode
from reservoirpy.nodes import IPReservoir, Reservoir, Ridge

from lightning_neuro.reservoir.initializers import delay_line_matrix
from lightning_neuro.reservoir.node import PermutationReservoir, SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import Gaussian, IntrinsicPlasticity, Normalize, Oja

RNG = np.random.default_rng(0)
SERIES = RNG.uniform(-1, 1, (4, 120, 2))
TARGETS = np.roll(SERIES[..., :1], 2, axis=1)
RULES = [IntrinsicPlasticity(), Oja(), Normalize()]


@given(
    seed=st.integers(0, 1000),
    lr=st.floats(0.05, 1),
    sr=st.floats(0.1, 1.5),
    scaling=st.floats(0.1, 2),
    density=st.sampled_from([0.1, 0.5, 1.0]),
    bias=st.sampled_from([0.0, 0.3, bernoulli]),
    activation=st.sampled_from(["tanh", "sigmoid", "relu"]),
)
def test_without_rules_it_is_reservoirpys_reservoir(seed, lr, sr, scaling, density, bias, activation):
    options = {
        "lr": lr,
        "sr": sr,
        "input_scaling": scaling,
        "rc_connectivity": density,
        "bias": bias,
        "activation": activation,
        "seed": seed,
    }
    ours, theirs = SelfOrganizingReservoir(30, [], **options), Reservoir(30, **options)
    np.testing.assert_allclose(ours.run(SERIES[0, :40]), theirs.run(SERIES[0, :40]), rtol=1e-12, atol=1e-12)


def test_a_leak_rate_for_each_unit_and_weights_as_matrices_work_as_there():
    w, w_in, lr = RNG.normal(0, 0.2, (15, 15)), RNG.normal(size=(15, 2)), RNG.uniform(0.1, 1, 15)
    ours = SelfOrganizingReservoir(W=w, Win=w_in, lr=lr, rules=[])
    np.testing.assert_allclose(ours.run(SERIES[0]), Reservoir(W=w, Win=w_in, lr=lr).run(SERIES[0]), atol=1e-12)
    ours.rules = (Oja(),)
    ours.memories = [{}]
    ours.adapt(SERIES)
    assert isinstance(ours.W, np.ndarray)


def test_with_gains_and_the_external_equation_it_is_reservoirpys_ip_reservoir():
    theirs = IPReservoir(30, lr=0.4, sr=0.9, mu=0.0, sigma=0.3, seed=3)
    theirs.fit(SERIES[0])
    theirs.reset()
    ours = SelfOrganizingReservoir(30, equation="external", lr=0.4, sr=0.9, W=uniform, bias=bernoulli, seed=3)
    ours.a, ours.b = theirs.a, theirs.b
    np.testing.assert_allclose(ours.run(SERIES[0]), theirs.run(SERIES[0]), atol=1e-12)


def test_intrinsic_plasticity_moves_as_reservoirpys_ip_reservoir_does():
    theirs = IPReservoir(30, lr=0.4, sr=0.9, mu=0.1, sigma=0.3, learning_rate=1e-3, seed=3)
    theirs.fit(SERIES[0])
    rule = IntrinsicPlasticity(Gaussian(0.1, 0.3), learning_rate=1e-3)
    ours = SelfOrganizingReservoir(30, [rule], equation="external", lr=0.4, sr=0.9, W=uniform, bias=bernoulli, seed=3)
    ours.adapt(SERIES[0])
    np.testing.assert_allclose(ours.a, theirs.a, atol=1e-12)
    np.testing.assert_allclose(ours.b, theirs.b, atol=1e-12)


@pytest.mark.parametrize("equation", ["internal", "external"])
def test_run_is_repeated_step_and_reset_silences(equation):
    node = SelfOrganizingReservoir(20, RULES, equation=equation, lr=0.5, seed=0)
    node.adapt(SERIES)
    whole = node.run(SERIES[0])
    previous = node.reset()
    np.testing.assert_array_equal(previous["out"], whole[-1])
    assert all(not state.any() for state in node.state.values())
    np.testing.assert_array_equal([node.step(u) for u in SERIES[0]], whole)


def test_it_is_a_plain_node():
    node = SelfOrganizingReservoir(20, RULES)
    assert isinstance(node, Node)
    assert not isinstance(node, TrainableNode)  # reservoirpy's models lose what unsupervised trainable nodes put out
    assert "SelfOrganizingReservoir(" in repr(node)


@pytest.mark.parametrize("form", ["one", "three axes", "ragged list"])
@pytest.mark.parametrize("workers", [1, 2])
def test_node_then_ridge_fits_and_runs(form, workers):
    ragged = [series[: 120 - 10 * place] for place, series in enumerate(SERIES)]
    x, y = {
        "one": (SERIES[0], TARGETS[0]),
        "three axes": (SERIES, TARGETS),
        "ragged list": (ragged, [one[: len(x)] for one, x in zip(TARGETS, ragged, strict=True)]),
    }[form]
    node = SelfOrganizingReservoir(40, RULES, seed=0, name=f"plastic-{form}-{workers}")
    node.adapt(x)
    gains, weights = node.a.copy(), node.W.toarray()
    model = node >> Ridge(ridge=1e-6)
    model.fit(x, y, warmup=10, workers=workers)
    answers = model.run(x, workers=workers)
    assert [np.shape(one) for one in answers] == [np.shape(one) for one in y]
    np.testing.assert_array_equal(node.a, gains)
    np.testing.assert_array_equal(node.W.toarray(), weights)
    error = np.mean((np.concatenate(list(answers), axis=0) - np.concatenate(list(y), axis=0)) ** 2)
    assert error < 0.2 * np.mean(np.square(TARGETS))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda node: pickle.loads(pickle.dumps(node))])
@pytest.mark.parametrize("make", [SelfOrganizingReservoir, PermutationReservoir])
def test_copies_run_and_go_on_adapting_alike(copied, make):
    node = make(20, RULES, seed=0)
    twin = copied(node)
    for one in (node, twin):
        one.adapt(SERIES)
    again = copied(node)
    for one in (node, twin, again):
        one.adapt(SERIES)
    states = node.run(SERIES[0])
    for one in (twin, again):
        np.testing.assert_array_equal(one.W.toarray(), node.W.toarray())
        np.testing.assert_array_equal(one.run(SERIES[0]), states)
        assert len(one.history) == 2


def test_adapting_leaves_the_state_and_global_random_numbers_alone():
    node = SelfOrganizingReservoir(20, RULES, seed=0)
    node.run(SERIES[0])
    state, numbers = node.state["out"].copy(), np.random.get_state()[1].copy()  # noqa: NPY002 - is what is watched
    node.adapt(SERIES)
    np.testing.assert_array_equal(node.state["out"], state)
    np.testing.assert_array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002


def test_the_dtype_of_weights_stays():
    node = SelfOrganizingReservoir(20, RULES, seed=0, dtype=np.float32)
    node.adapt(SERIES)
    assert node.W.dtype == np.float32
    assert node.run(SERIES[0]).dtype == np.float64  # as with every node of reservoirpy


def test_a_permutation_keeps_its_links_while_rules_move_their_weights():
    node = PermutationReservoir(20, [Oja()], sr=0.9, cycles=None, seed=0)
    node.initialize(SERIES[0])
    links = node.W.toarray() != 0
    node.adapt(SERIES)
    np.testing.assert_array_equal(node.W.toarray() != 0, links)
    assert abs(node.W.data - 0.9).max() > 1e-6


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SelfOrganizingReservoir(20, ["oja"]), TypeError, "rules must be rules of .*, got 'oja'"),
        (lambda: SelfOrganizingReservoir(20, equation="both"), ValueError, "equation must be one of 'internal'"),
        (lambda: SelfOrganizingReservoir(W=np.ones((3, 4))), ValueError, r"W must be square, got shape \(3, 4\)"),
        (lambda: SelfOrganizingReservoir(W=np.full((2, 2), np.nan)), ValueError, "W must be finite, got nan or inf"),
        (lambda: SelfOrganizingReservoir(3, Win=np.full((3, 1), np.inf)), ValueError, "Win must be finite"),
        (lambda: SelfOrganizingReservoir(3, bias=np.nan), ValueError, "bias must be finite"),
        (lambda: SelfOrganizingReservoir(3, Win=np.ones((4, 1))), ValueError, r"Win must be \(3, K\), got .*\(4, 1\)"),
        (lambda: SelfOrganizingReservoir(), ValueError, "units must be given where W is drawn"),
        (lambda: SelfOrganizingReservoir(0), ValueError, "units must be at least 1, got 0"),
        (lambda: SelfOrganizingReservoir(3, lr=1.5), ValueError, "lr must be at least 0 and at most 1, got 1.5"),
        (lambda: SelfOrganizingReservoir(3, lr=np.nan), ValueError, "lr must be at least 0 and at most 1, got nan"),
        (lambda: SelfOrganizingReservoir(3, lr=np.ones(2)), ValueError, r"lr must be a number or \(3,\)"),
        (lambda: SelfOrganizingReservoir(3, sr=-0.5), ValueError, "sr must be at least 0, got -0.5"),
        (lambda: SelfOrganizingReservoir(3, Oja()), TypeError, r"rules must be a list of rules, .*\[Oja\("),
        (lambda: PermutationReservoir(20, W=np.eye(20)), TypeError, "W follows from the permutation"),
        (lambda: PermutationReservoir(20, rc_connectivity=0.1), TypeError, "rc_connectivity follows from the perm"),
        (lambda: PermutationReservoir(20, cycles=21), ValueError, "cycles must be at least 1 and at most 20, got 21"),
    ],
)
def test_what_cannot_be_built_is_refused_when_built(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("options", "inputs", "message"),
    [
        ({}, np.array([[0.0, np.nan]]), r"SelfOrganizingReservoir\.adapt: inputs must be finite, got nan in column 1"),
        ({"epochs": 0}, SERIES, "epochs must be at least 1, got 0"),
        ({"washout": -1}, SERIES, "washout must be at least 0, got -1"),
        ({"washout": 120}, SERIES, "series 0 must be longer than the washout of 120 steps, got 120"),
    ],
)
def test_what_cannot_be_adapted_to_is_refused(options, inputs, message):
    with pytest.raises(ValueError, match=message):
        SelfOrganizingReservoir(20, RULES).adapt(inputs, **options)


def test_drawn_weights_without_a_loop_are_refused_instead_of_scaled_to_1e8():
    node = SelfOrganizingReservoir(25, rc_connectivity=0.02, sr=0.9, seed=1)
    with pytest.raises(ValueError, match=r"W must have a loop to be scaled to sr=0\.9, but the one drawn is nilpotent"):
        node.run(SERIES[0])
    assert not node.initialized
    with pytest.raises(ValueError, match="the one drawn is nilpotent and came back with no weight at all"):
        SelfOrganizingReservoir(3, rc_connectivity=0.01, seed=1).run(SERIES[0])
    chain = SelfOrganizingReservoir(25, W=delay_line_matrix, sr=0.9, rules=[Oja()])
    chain.adapt(SERIES)
    assert np.isfinite(chain.run(SERIES[0])).all()


def test_inputs_of_another_width_than_before_are_refused():
    node = SelfOrganizingReservoir(20, RULES)
    node.adapt(SERIES)
    with pytest.raises(ValueError, match="input_dim to 1 while it has already been set to 2"):
        node.adapt(SERIES[..., :1])


def test_softmax_is_not_element_wise():
    with pytest.raises(ValueError, match="activation must act on each unit alone, got softmax"):
        SelfOrganizingReservoir(20, [Oja()], activation="softmax").adapt(SERIES)


def test_reservoirpy_is_of_the_series_this_was_written_for():
    assert reservoirpy.__version__.startswith("0.4.")
