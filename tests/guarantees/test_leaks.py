"""Over 200 steps nothing grows: tensors and their bytes, objects, hooks; and the global random states stay in place."""

import gc
import random

import numpy as np
import pytest
import torch
from reservoirpy.nodes import Reservoir
from support.polynomial_nets import answers, random_net, random_series
from support.small_runs import RUNS
from torch import nn

from lightning_neuro import SelfOrganizingReservoir, SpectralBiRNN, SpectralRNN
from lightning_neuro._lightning import Callback
from lightning_neuro.reservoir import SORN, PermutationReservoir, TorchReservoir
from lightning_neuro.reservoir.rules import IntrinsicPlasticity, Normalize, Oja
from lightning_neuro.spectral_rnn import PolynomialRNN, SpectralTokenRNN

STEPS = 200  # between the two looks
FIRST = {"SafeMutation": 130}  # calls that have come a hundred times are replayed, and what they replay is held then
HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
# What grows because it is a log: an entry of some values for each epoch of seven steps.
LOGS = {"GradientRewiring": 1500, "DeepRewiring": 1500, "MeasureCallback": 400}
OBJECTS = 150


def hooks(module, optimizers=()):
    """Return how many there are on modules, parameters and optimizers."""
    count = sum(len(getattr(part, name)) for part in module.modules() for name in HOOKS)
    count += sum(len(p._backward_hooks or ()) for p in module.parameters())
    count += sum(len(p._post_accumulate_grad_hooks or ()) for p in module.parameters())
    names = [name for name in vars(torch.optim.Optimizer(nn.Linear(1, 1).parameters(), {})) if name.endswith("hooks")]
    return count + sum(len(getattr(optimizer, name, ())) for optimizer in optimizers for name in names)


def living():
    """Return the numbers of tensors and of all objects that the collector knows, and the bytes of the tensors."""
    gc.collect()
    objects = gc.get_objects()
    tensors = [one for one in objects if issubclass(type(one), torch.Tensor)]
    return len(tensors), len(objects), sum(one.nbytes for one in tensors)


class Look(Callback):
    """Looks twice."""

    def __init__(self, first):
        self.first, self.seen = first, []

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.global_step in (self.first, self.first + STEPS):
            self.seen.append((*living(), hooks(pl_module, trainer.optimizers)))


def random_states():
    state = np.random.get_state()  # noqa: NPY002  # the global one is what is asked about
    return torch.get_rng_state().tolist(), random.getstate(), (state[0], state[1].tolist(), *state[2:])


@pytest.mark.parametrize("name", RUNS)
def test_nothing_grows_over_two_hundred_steps(name, tmp_path):
    first = FIRST.get(name, 30)
    steps = first + STEPS + 1
    run, look = RUNS[name](steps), Look(first)
    before = hooks(run.module)
    run.fit(tmp_path, steps, callbacks=[look], enable_checkpointing=False)
    (tensors, objects, held, hooked), (later_tensors, later_objects, later_held, later_hooked) = look.seen
    assert later_tensors <= tensors
    assert later_objects - objects < OBJECTS + LOGS.get(name, 0)
    assert later_held <= held
    assert later_hooked == hooked
    assert hooks(run.module) == before


@pytest.mark.parametrize("name", RUNS)
def test_the_global_random_states_stay(name, tmp_path):
    run = RUNS[name](12)
    before = random_states()
    run.fit(tmp_path, 12)
    assert random_states() == before


def organised():
    return SelfOrganizingReservoir(20, [IntrinsicPlasticity(), Oja(), Normalize()], input_dim=1, seed=0)


def spectral(kind):
    x = random_series(10, 60)
    y = answers(random_net(0), x)
    node = kind(2, refine=1, n_restarts=1, seed=0)

    def step():
        node.fit(x, y)
        node.run(x[0])

    return step


def reservoir_of(node, width=1):
    u = np.random.default_rng(0).uniform(-1, 1, (5, width))

    def step():
        if hasattr(node, "adapt"):
            node.adapt(u)
            node.history = None  # a log of what all calls did
        node.run(u)

    return step


def in_torch():
    reservoir = TorchReservoir.from_node(Reservoir(20, input_dim=1, seed=0))
    u = torch.ones(2, 5, 1, dtype=torch.float64)
    return lambda: reservoir(u)


def tokens():
    generator = np.random.default_rng(0)
    x = generator.integers(4, size=(400, 1))
    y = PolynomialRNN(generator.standard_normal((1, 4)), [[0.1]]).run(np.eye(4)[x[:, 0]]) @ [[1.0, -1.0]]
    node = SpectralTokenRNN(1, n_tokens=4, n_restarts=1, seed=0)

    def step():
        node.fit(x, y)
        node.run(x[:10])

    return step


NODES = {
    "SelfOrganizingReservoir": lambda: reservoir_of(organised()),
    "PermutationReservoir": lambda: reservoir_of(PermutationReservoir(20, input_dim=1, seed=0)),
    "SORN": lambda: reservoir_of(SORN(20, pool_size=2, input_dim=1, seed=0)),
    "TorchReservoir": in_torch,
    "SpectralRNN": lambda: spectral(SpectralRNN),
    "SpectralBiRNN": lambda: spectral(SpectralBiRNN),
    "SpectralTokenRNN": tokens,
    "PolynomialRNN": lambda: reservoir_of(PolynomialRNN([[0.5]], [[0.1]])),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NODES)
def test_nodes_hold_on_to_nothing(name):
    before, step = random_states(), NODES[name]()
    often = 4 if name.startswith("Spectral") else 200
    for _ in range(2):
        step()
    tensors, objects, held = living()
    for _ in range(often):
        step()
    later_tensors, later_objects, later_held = living()
    assert later_tensors <= tensors
    assert later_objects - objects < OBJECTS
    assert later_held <= held
    assert random_states() == before


def test_a_leak_is_seen(tmp_path):
    class Leak(Callback):
        def __init__(self):
            self.kept = []

        def on_train_batch_end(self, trainer, pl_module, *_):
            self.kept.append(torch.zeros(300))
            next(pl_module.children()).register_forward_hook(lambda *_: None)

    run, look = RUNS["GradientActivation"](STEPS + 31), Look(30)
    run.callbacks.append(Leak())
    run.fit(tmp_path, STEPS + 31, callbacks=[look], enable_checkpointing=False)
    first, last = look.seen
    assert last[0] - first[0] >= 200
    assert last[3] - first[3] == 200
