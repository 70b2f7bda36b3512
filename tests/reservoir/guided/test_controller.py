import numpy as np
import pytest
from reservoirpy.nodes import IPReservoir, Reservoir, Ridge
from scipy.sparse import issparse

from lightning_neuro import TorchReservoir
from lightning_neuro.reservoir import PermutationReservoir, SelfOrganizingReservoir
from lightning_neuro.reservoir.guided import (
    CapacityMatch,
    EdgeOfChaos,
    HomeostaticRate,
    InformationStorageLeak,
    TransferEntropyCoupling,
)
from lightning_neuro.reservoir.guided.controller import Reading, follow
from lightning_neuro.reservoir.initializers import delay_line_matrix
from lightning_neuro.reservoir.rules import IntrinsicPlasticity

U = np.random.default_rng(0).uniform(-1, 1, (400, 1))
V = np.roll(U, 2)
SMALL = {"sr": [0.5, 0.9], "lr": [1.0], "input_scaling": [0.1], "max_delay": 6, "rungs": 2}
CONTROLLERS = [
    EdgeOfChaos(epochs=4),
    EdgeOfChaos(target="storage", epochs=4),
    TransferEntropyCoupling(epochs=3, max_history=6),
    InformationStorageLeak(epochs=4),
    CapacityMatch(**SMALL),
    HomeostaticRate(epochs=4),
]
everyone = pytest.mark.parametrize("controller", CONTROLLERS, ids=lambda one: type(one).__name__)


def weights(of):
    dense = [part.toarray() if issparse(part) else np.asarray(part) for part in (of.W, of.Win, of.lr)]
    return [part.copy() for part in [*dense, *of.state.values()]]


def node(kind=Reservoir, **options):
    return kind(20, sr=0.8, input_scaling=0.5, input_connectivity=1.0, seed=3, **options)


@everyone
def test_the_same_reservoir_and_series_give_the_same_report(controller):
    first, second = controller.fit(node(), U, V), controller.fit(node(), U, V)
    for name, values in first.history.values.items():
        np.testing.assert_array_equal(values, second.history[name])
    assert np.array_equal(first.reservoir.run(U), second.reservoir.run(U))


@everyone
def test_the_given_reservoir_is_left_as_it_was(controller):
    undrawn, drawn = node(), node()
    states = drawn.run(U[:50])
    before = weights(drawn)
    report = controller.fit(drawn, U, V)
    controller.fit(undrawn, U, V)
    assert not undrawn.initialized
    for part, earlier in zip(weights(drawn), before, strict=True):
        np.testing.assert_array_equal(part, earlier)
    assert report.reservoir is not drawn
    drawn.reset()
    np.testing.assert_array_equal(drawn.run(U[:50]), states)


@everyone
@pytest.mark.parametrize("is_drawn", [False, True])
def test_in_place_gives_the_best_to_the_reservoir(controller, is_drawn):
    ours = node()
    if is_drawn:
        ours.run(U[:5])
        ours.reset()
    report = controller.fit(ours, U, V, in_place=True)
    np.testing.assert_array_equal(ours.run(U), report.reservoir.run(U))


@everyone
@pytest.mark.parametrize(
    "kind",
    [
        lambda: node(IPReservoir),
        lambda: node(SelfOrganizingReservoir, rules=[IntrinsicPlasticity()]),
        lambda: PermutationReservoir(20, sr=0.8, input_scaling=0.5, input_connectivity=1.0, seed=3),
        lambda: TorchReservoir.from_node(node(), input_dim=1),
        lambda: Reservoir(W=0.2 * np.random.default_rng(1).standard_normal((20, 20)), Win=np.ones((20, 1))),
    ],
    ids=["IPReservoir", "SelfOrganizingReservoir", "PermutationReservoir", "TorchReservoir", "matrices"],
)
def test_every_kind_of_reservoir_is_guided(controller, kind):
    given = kind()
    report = controller.fit(given, U, V)
    assert type(report.reservoir) is type(given)
    assert np.isfinite(report.error)
    assert np.isfinite(report.history["error"]).all()


def test_what_comes_out_stands_in_a_model():
    report = HomeostaticRate(epochs=3).fit(node(), U)
    model = report.reservoir >> Ridge(ridge=1e-6)
    model.fit(U[:250], V[:250])
    assert np.corrcoef(model.run(U[250:])[:, 0], V[250:, 0])[0, 1] > 0.9


@everyone
def test_errors_name_the_controller_and_what_to_do(controller):
    name = type(controller).__name__
    broken = U.copy()
    broken[7] = np.nan
    with pytest.raises(ValueError, match=f"{name}.*finite, got nan in column 0 at step 7"):
        controller.fit(node(), broken, V)
    with pytest.raises(ValueError, match=f"{name}.*finite, got nan"):
        controller.fit(node(), U, broken)
    with pytest.raises(ValueError, match=f"{name}: u must hold at least .* got 120"):
        controller.fit(node(), U[:120], V[:120])
    with pytest.raises(ValueError, match=f"{name}: v must have as many steps as u, 400, got 399"):
        controller.fit(node(), U, V[1:])
    with pytest.raises(TypeError, match=f"{name}: expected reservoirpy's Reservoir"):
        controller.fit(node() >> Ridge(), U, V)
    with pytest.raises(ValueError, match=f"{name}: W must be square, got shape"):
        controller.fit(Reservoir(W=np.ones((19, 20)), Win=np.ones((20, 1))), U, V)


@pytest.mark.parametrize(
    ("controller", "words"),
    [
        (EdgeOfChaos(), "the reservoir is unstable"),
        (InformationStorageLeak(), "InformationStorageLeak: the reservoir is unstable"),
        (HomeostaticRate(), "HomeostaticRate: the reservoir is unstable"),
        (TransferEntropyCoupling(), "spectral radius about rest must be at most 1, got 8"),
        (CapacityMatch(sr=[3.0]), "the reservoir is unstable"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_unstable_reservoir_is_refused(controller, words):
    with pytest.raises(ValueError, match=words):
        controller.fit(Reservoir(W=8 * np.eye(20), Win=np.ones((20, 1)), activation="identity"), U, V)


@pytest.mark.parametrize("controller", [EdgeOfChaos(), CapacityMatch()], ids=lambda one: type(one).__name__)
def test_a_w_without_loops_is_refused(controller):
    with pytest.raises(ValueError, match=r"W must have a loop.*nilpotent"):
        controller.fit(Reservoir(20, W=delay_line_matrix, seed=0), U, V)


def test_in_place_is_for_nodes():
    with pytest.raises(TypeError, match="in_place is for nodes, got TorchReservoir"):
        HomeostaticRate().fit(TorchReservoir.from_node(node(), input_dim=1), U, in_place=True)


@pytest.mark.parametrize("controller", [TransferEntropyCoupling(), CapacityMatch()], ids=lambda one: type(one).__name__)
def test_targets_are_asked_for_where_they_are_needed(controller):
    with pytest.raises(ValueError, match="v is needed"):
        controller.fit(node(), U)


@pytest.mark.parametrize("option", [{"epochs": 0}, {"tolerance": 0.0}, {"washout": -1}])
def test_shared_options_are_checked(option):
    with pytest.raises(ValueError, match=f"EdgeOfChaos: {next(iter(option))} must be"):
        EdgeOfChaos(**option)


def test_the_loop_prefers_higher_rungs_and_ends_with_the_search():
    def two():
        yield {"x": 0}
        yield {"x": 1}
        return "search closed"

    readings = [Reading(0.1, 0.0), Reading(0.5, 0.0, rung=1)]
    trail = follow(two(), lambda parameters: readings[parameters["x"]], epochs=9, tolerance=None)
    assert (trail.stopped, trail.best, len(trail.readings)) == ("search closed", 1, 2)
