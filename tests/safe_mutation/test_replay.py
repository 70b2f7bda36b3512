import copy
import pickle
import random
import warnings

import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.replay import Replay
from lightning_neuro.safe_mutation.tasks import DeepPolicy, ParityPolicy


class Stepping(nn.Module):
    """A cell, a frozen layer and a buffer that is written into."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRUCell(3, 4), nn.Linear(4, 2)
        self.out.bias.requires_grad_(False)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x, h=None):
        self.seen += 1
        h = self.cell(x, h)
        return self.out(h) * self.seen, h


class Steering(nn.Module):
    """Reads a number that all individuals share, which torch.vmap can and a trace cannot."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else -self.layer(x)


class Noisy(Steering):
    def forward(self, x):
        return self.layer(x) * random.Random().random()


CONV = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(18, 2))
POLICIES = {
    "mlp": (DeepPolicy(3, 2, layers=3), (1, 3)),
    "conv": (CONV, (2, 1, 8, 8)),
    "lstm": (ParityPolicy("lstm", 5), (4, 3, 1)),
    "gru": (ParityPolicy("gru", 5), (4, 3, 1)),
}


def pair(policy, repeats=2):
    """Return a policy that is traced early, and one that never is."""
    traced, plain = BatchedPolicy(policy), BatchedPolicy(policy, replay=False)
    traced._replay = Replay(repeats=repeats)
    return traced, plain


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", POLICIES)
def test_a_replay_gives_the_numbers_of_vmap_and_of_a_loop(name, dtype, own):
    policy, shape = POLICIES[name]
    traced, plain = pair(copy.deepcopy(policy).to(dtype))
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        params = torch.randn(5, traced.size, generator=generator, dtype=dtype)
        inputs = torch.randn(*([5] if own else []), *shape, generator=generator, dtype=dtype)
        found = traced(params, inputs)
        assert torch.equal(found, plain(params, inputs))
    assert traced._replay.trusted == 1
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    for row, vector in enumerate(params):
        alone = traced.individual(vector)(inputs[row] if own else inputs)
        assert torch.allclose(found[row], alone, rtol=tolerance, atol=tolerance)


def test_states_frozen_weights_and_buffers_are_arguments_of_a_replay():
    policy = Stepping()
    traced, plain = pair(policy)
    params = torch.randn(5, traced.size)
    for step in range(8):
        if step == 6:
            policy.out.bias.data.add_(1.0)
            policy.seen.add_(2.0)
        inputs = torch.randn(5, 2, 3)
        state = None if step % 4 == 0 else state  # noqa: F821
        (found, state), (expected, other) = traced(params, inputs, state), plain(params, inputs, state)
        assert torch.equal(found, expected)
        assert torch.equal(state, other)
    assert traced._replay.trusted == 1
    assert policy.seen.item() == 2.0


@pytest.mark.parametrize("kind", [Steering, Noisy])
def test_what_depends_on_more_than_shapes_is_not_replayed(kind):
    traced, plain = pair(kind())
    params = torch.randn(5, traced.size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sign in (1, -1, 1, -1, 1):
            inputs = sign * torch.ones(2, 3)
            found = traced(params, inputs)
            if kind is Steering:
                assert torch.equal(found, plain(params, inputs))
    assert traced.vectorized
    assert traced._replay.trusted == 0


def test_other_shapes_gradients_inference_and_autocast_take_the_ordinary_way():
    traced, plain = pair(nn.Linear(3, 2))
    params = torch.randn(5, traced.size)
    for rows in (1, 2, 1, 2, 1, 2, 3):
        assert torch.equal(traced(params, torch.ones(rows, 3)), plain(params, torch.ones(rows, 3)))
    assert traced._replay.trusted == 2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = traced(params, torch.ones(1, 3))
        assert torch.equal(mixed, plain(params, torch.ones(1, 3)))
        assert mixed.dtype == plain(params, torch.ones(1, 3)).dtype
    with torch.inference_mode():
        assert torch.equal(traced(params, torch.ones(1, 3)), plain(params, torch.ones(1, 3)))
    leaf = params.clone().requires_grad_()
    assert traced.single(leaf[0], torch.ones(1, 3)).requires_grad


def test_few_traces_are_kept_and_none_goes_into_copies():
    replay = Replay(repeats=1, kept=2)
    with torch.no_grad():
        for rows in (1, 2, 3):
            for _ in range(2):
                replay(lambda given: given[0] + 1, (torch.zeros(rows),))
    assert replay.trusted == 2
    assert pickle.loads(pickle.dumps(replay)).trusted == copy.deepcopy(replay).trusted == 0


def test_nan_and_constants_of_states_are_kept_apart():
    replay = Replay(repeats=1)
    with torch.no_grad():
        for number in (2, 2, 2, 3):
            value = replay(lambda given: (given[0] * given[1], given[1]), (torch.tensor([float("nan"), 1.0]), number))
            assert value[1] == number
            assert value[0][1].item() == number
            assert value[0][0].isnan()
