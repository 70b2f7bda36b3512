"""Deep copies and pickles of callbacks, modules and nodes work on their own, and as the original does."""

import copy
import pickle

import numpy as np
import pytest
import torch
from reservoirpy.nodes import Reservoir
from support.killed_runs import differences
from support.polynomial_nets import answers, random_net, random_series
from support.small_runs import RUNS

from lightning_neuro import SelfOrganizingReservoir, SpectralBiRNN, SpectralRNN
from lightning_neuro.reservoir import SORN, PermutationReservoir, TorchReservoir
from lightning_neuro.reservoir.guided import (
    CapacityMatch,
    EdgeOfChaos,
    HomeostaticRate,
    InformationStorageLeak,
    TransferEntropyCoupling,
)
from lightning_neuro.reservoir.rules import IntrinsicPlasticity, Normalize, Oja
from lightning_neuro.spectral_rnn import PolynomialRNN, SpectralTokenRNN

STEPS = 5
WAYS = {"deep copy": copy.deepcopy, "pickle": lambda one: pickle.loads(pickle.dumps(one))}


def end(run, folder):
    trainer = run.fit(folder, STEPS)
    states = {type(one).__name__: one.state_dict() for one in run.callbacks}
    return trainer, {"weights": run.module.state_dict(), "callbacks": states}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("way", WAYS)
def test_a_copy_of_what_has_not_run_runs_like_it(name, way, tmp_path):
    original = RUNS[name](STEPS)
    again = copy.copy(original)
    again.module, again.callbacks = WAYS[way]((original.module, original.callbacks))
    untouched = copy.deepcopy(original.module.state_dict())
    again.train = RUNS[name](STEPS).train
    _, of_copy = end(again, tmp_path)
    assert not differences(untouched, original.module.state_dict())  # it is its own
    _, of_original = end(original, tmp_path)
    assert not differences(of_original, of_copy)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("way", WAYS)
def test_callbacks_that_have_run_are_copied_with_what_they_know(name, way, tmp_path):
    run = RUNS[name](STEPS)
    end(run, tmp_path)
    for callback, copied in zip(run.callbacks, WAYS[way](run.callbacks), strict=True):
        assert type(copied) is type(callback)
        assert not differences(callback.state_dict(), copied.state_dict())


@pytest.mark.parametrize("name", RUNS)
def test_modules_that_have_run_are_copied_with_their_weights(name, tmp_path):
    run = RUNS[name](STEPS)
    end(run, tmp_path)
    run.module.trainer = None
    copied = copy.deepcopy(run.module)
    assert not differences(run.module.state_dict(), copied.state_dict())
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1)
    assert differences(run.module.state_dict(), copied.state_dict()) or not list(copied.parameters())


U = np.random.default_rng(0).uniform(-1, 1, (40, 1))
X = random_series(10, 60)
Y = answers(random_net(0), X)
TOKENS = np.eye(4)[np.random.default_rng(0).integers(0, 4, (20, 60))]
AFTER = PolynomialRNN([[0.2, 0.9, -0.5, 0.4]], [[0.1]])


def adapted(node):
    if hasattr(node, "adapt"):
        node.adapt(U)
    return node, U


def fitted(node, x=X, y=Y):
    return node.fit(x, y), x[0]


NODES = {
    "SelfOrganizingReservoir": lambda: adapted(
        SelfOrganizingReservoir(20, [IntrinsicPlasticity(), Oja(), Normalize()], seed=0)
    ),
    "PermutationReservoir": lambda: adapted(PermutationReservoir(20, seed=0)),
    "SORN": lambda: adapted(SORN(20, pool_size=2, seed=0)),
    "TorchReservoir": lambda: (TorchReservoir.from_node(Reservoir(20, input_dim=1, seed=0)), torch.as_tensor(U)[None]),
    "SpectralRNN": lambda: fitted(SpectralRNN(2, refine=1, seed=0)),
    "SpectralBiRNN": lambda: fitted(SpectralBiRNN(2, refine=1, seed=0)),
    "SpectralTokenRNN": lambda: fitted(
        SpectralTokenRNN(1, seed=0), TOKENS, [AFTER.run(one) @ [[1.0, -1.0]] for one in TOKENS]
    ),
    "PolynomialRNN": lambda: (PolynomialRNN([[0.1], [0.2]], [[0.1, 0.2], [0.3, 0.1]]), U),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("way", WAYS)
def test_nodes_are_copied_with_all_that_they_learned(name, way):
    node, inputs = NODES[name]()
    copied = WAYS[way](node)
    run = (
        (lambda one: one(inputs).detach().numpy())
        if isinstance(node, torch.nn.Module)
        else (lambda one: one.run(inputs))
    )
    np.testing.assert_array_equal(run(copied), run(node))


@pytest.mark.parametrize(
    "kind", [EdgeOfChaos, CapacityMatch, HomeostaticRate, InformationStorageLeak, TransferEntropyCoupling]
)
@pytest.mark.parametrize("way", WAYS)
def test_controllers_are_values(kind, way):
    assert WAYS[way](kind(washout=7)) == kind(washout=7) != kind(washout=8)
