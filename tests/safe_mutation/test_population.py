import copy
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import jacrev

from lightning_neuro.safe_mutation.population import BatchedPolicy

GENOMES, STATES, STEPS = 5, 4, 3


class Step(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.out = cell, nn.Linear(6, 2)

    def forward(self, x: Tensor, h=None):
        h = self.cell(x, h)
        return self.out(h[0] if isinstance(h, tuple) else h), h


class Sequence(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.out = layer, nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(x)[0][-1])


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"first": nn.Linear(3, 3), "second": nn.Linear(3, 3)})
        self.layers["second"].weight = self.layers["first"].weight
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(3)), nn.Parameter(torch.tensor(2.0))])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers["second"](self.layers["first"](x).tanh() * self.scales[0]) * self.scales[1]


class Counting(nn.Linear):
    """Counts its calls in a buffer, and adds the count."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x) + self.calls


class Branch(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.sum() > 0 else -x)


def conv() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2))


ONCE = {
    "mlp": (mlp, (3,)),
    "conv": (conv, (2, 4, 4)),
    "tied": (Tied, (3,)),
    "norm": (lambda: nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.LayerNorm(6)).eval(), (3,)),
}
SEQUENCES = {
    "rnn": lambda: Sequence(nn.RNN(3, 6)),
    "lstm": lambda: Sequence(nn.LSTM(3, 6, num_layers=2)),
    "gru": lambda: Sequence(nn.GRU(3, 3, bidirectional=True)),
}
CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def population(make, **options):
    module = make().double()
    policy = BatchedPolicy(module, **options)
    noise = torch.randn(GENOMES, policy.size, dtype=torch.float64)
    return policy, policy.genome.vector(module) + 0.5 * noise


def each(policy, params, inputs, own):
    modules = [policy.individual(vector) for vector in params]
    return torch.stack([module(inputs[row] if own else inputs) for row, module in enumerate(modules)]).detach()


@pytest.mark.parametrize("vectorize", [True, False])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("name", [*ONCE, *SEQUENCES])
def test_a_population_equals_a_loop_over_modules(name, own, vectorize):
    make, shape = ONCE[name] if name in ONCE else (SEQUENCES[name], (3,))
    policy, params = population(make, vectorize=vectorize)
    time = (STEPS,) if name in SEQUENCES else ()
    inputs = torch.randn(*((GENOMES,) if own else ()), *time, STATES, *shape, dtype=torch.float64)
    expected = each(policy, params, inputs, own)
    assert policy.has_own_states(inputs) is own
    for given_params in (params, policy.prepare(params)):
        torch.testing.assert_close(policy(given_params, inputs), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(policy.outputs(params, inputs), expected, rtol=1e-10, atol=1e-12)
    one = policy.single(params[2], inputs[2] if own else inputs)
    torch.testing.assert_close(one, expected[2], rtol=1e-10, atol=1e-12)
    assert policy.vectorized is vectorize


@pytest.mark.parametrize("vectorize", [True, False])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_step_policies_equal_a_loop_over_modules_and_steps(cell, own, vectorize):
    policy, params = population(lambda: Step(CELLS[cell](3, 6)), vectorize=vectorize)
    states = torch.randn(*((GENOMES,) if own else ()), STEPS, STATES, 3, dtype=torch.float64)
    time = 1 if own else 0
    expected, state, steps = [], None, []
    for row, vector in enumerate(params):
        module, h, outputs = policy.individual(vector), None, []
        for x in (states[row] if own else states).unbind():
            y, h = module(x, h)
            outputs.append(y.detach())
        expected.append(torch.stack(outputs))
    for now in range(STEPS):
        output, state = policy(params, states.select(time, now), state)
        steps.append(output)
    torch.testing.assert_close(torch.stack(steps, 1), torch.stack(expected), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(policy.outputs(params, states), torch.stack(expected)[:, -1], rtol=1e-10, atol=1e-12)
    every = BatchedPolicy(policy.module, vectorize=vectorize, output_steps="all").outputs(params, states)
    torch.testing.assert_close(every, torch.stack(expected).flatten(1, 2), rtol=1e-10, atol=1e-12)


@given(genomes=st.integers(1, 6), states=st.integers(1, 6), seed=st.integers(0, 99))
def test_permuting_genomes_or_states_permutes_outputs(genomes, states, seed):
    generator = torch.Generator().manual_seed(seed)
    policy = BatchedPolicy(mlp())
    params = torch.randn(genomes, policy.size, generator=generator)
    inputs = torch.randn(states, 3, generator=generator)
    rows, columns = torch.randperm(genomes, generator=generator), torch.randperm(states, generator=generator)
    expected = policy(params, inputs)[rows][:, columns]
    torch.testing.assert_close(policy(params[rows], inputs[columns]), expected)


def test_the_output_transform_is_seen_by_sensitivities_and_not_by_rollouts():
    policy, params = population(mlp)
    inputs = torch.randn(STATES, 3, dtype=torch.float64)
    soft = policy.with_output(lambda outputs: outputs.softmax(-1))
    torch.testing.assert_close(soft.outputs(params, inputs), policy.outputs(params, inputs).softmax(-1))
    torch.testing.assert_close(soft.single(params[0], inputs).sum(-1), torch.ones(STATES, dtype=torch.float64))
    assert torch.equal(soft(params, inputs), policy(params, inputs))
    scalar = policy.with_output(lambda outputs: outputs[:, 0])
    assert scalar.outputs(params, inputs).shape == (GENOMES, STATES, 1)


def test_trailing_dimensions_are_flattened_for_sensitivities_only():
    policy, params = population(lambda: nn.Sequential(nn.Linear(3, 6), nn.Unflatten(1, (2, 3))))
    inputs = torch.randn(STATES, 3, dtype=torch.float64)
    assert policy(params, inputs).shape == (GENOMES, STATES, 2, 3)
    assert torch.equal(policy.outputs(params, inputs), policy(params, inputs).flatten(2))


def test_single_has_the_jacobian_of_the_module_with_grad_mode_off_outside():
    policy, params = population(SEQUENCES["lstm"])
    inputs = torch.randn(STEPS, STATES, 3, dtype=torch.float64)
    with torch.no_grad():
        got = policy.map(lambda vector: jacrev(policy.single)(vector, inputs), params, chunk_size=2)
    assert policy.vectorized
    module = policy.individual(params[3])
    rows = [torch.autograd.grad(y, list(module.parameters()), retain_graph=True) for y in module(inputs).flatten()]
    expected = torch.stack([torch.cat([part.reshape(-1) for part in row]) for row in rows])
    torch.testing.assert_close(got[3].flatten(0, 1), expected, rtol=1e-9, atol=1e-12)


def test_frozen_weights_and_buffers_are_shared_and_read_from_the_policy_at_each_call():
    module = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Linear(6, 2)).eval()
    module[0].requires_grad_(False)
    policy = BatchedPolicy(module)
    assert policy.size == 12 + 14
    params, inputs = torch.randn(GENOMES, policy.size), torch.randn(STATES, 3)
    with torch.no_grad():
        module[0].weight.mul_(2)
        module[1].running_mean.add_(1)
    torch.testing.assert_close(policy(params, inputs), each(policy, params, inputs, own=False))
    module.double()
    params, inputs = params.double(), inputs.double()
    torch.testing.assert_close(policy(params, inputs), each(policy, params, inputs, own=False))


@pytest.mark.parametrize("vectorize", [True, False])
def test_nothing_of_the_policy_changes_and_calls_do_not_see_one_another(vectorize):
    module = Counting()
    before, mode = copy.deepcopy(module.state_dict()), module.training
    policy = BatchedPolicy(module, vectorize=vectorize)
    params, inputs, random = torch.randn(GENOMES, policy.size), torch.randn(STATES, 3), torch.get_rng_state()
    first = policy(params, inputs)
    assert torch.equal(policy(params, inputs), first)
    torch.testing.assert_close(first[0], nn.functional.linear(inputs, params[0, :6].view(2, 3), params[0, 6:]) + 1)
    policy.individual(params[0])
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert module.training is mode
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not first.requires_grad
    assert torch.equal(torch.get_rng_state(), random)


def test_a_fallback_gives_the_same_and_is_remembered_by_relatives():
    policy, params = population(lambda: nn.Sequential(nn.Linear(3, 3), Branch(3, 2)))
    inputs = torch.randn(STATES, 3, dtype=torch.float64)
    with pytest.warns(UserWarning, match=r"1 \(Branch\) cannot be batched") as caught:
        outputs = policy(params, inputs)
    assert caught[0].filename == __file__
    torch.testing.assert_close(outputs, each(policy, params, inputs, own=False))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        relative = policy.with_output(torch.tanh)
        assert not relative.vectorized
        torch.testing.assert_close(relative.outputs(params, inputs), outputs.tanh())


def test_a_batched_policy_stays_as_it_is():
    policy = BatchedPolicy(mlp())
    assert BatchedPolicy.of(policy) is policy
    assert isinstance(BatchedPolicy.of(mlp()), BatchedPolicy)


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        (torch.zeros(5, 31), ValueError, r"params must be \(P, 38\).*Sequential, got shape \(5, 31\)"),
        (torch.zeros(38), ValueError, r"must be \(P, 38\).*got shape \(38,\)"),
        (torch.zeros(0, 38), ValueError, r"got shape \(0, 38\)"),
        (torch.zeros(5, 38, dtype=torch.float64), TypeError, r"torch.float32.*got torch.float64.*params.to\("),
        ([[0.0] * 38], TypeError, "params must be a tensor .*got list"),
    ],
)
def test_params_of_another_kind_are_refused(params, error, words):
    policy = BatchedPolicy(mlp())
    with pytest.raises(error, match=words):
        policy.prepare(params)


def test_states_of_another_form_are_refused():
    policy = BatchedPolicy(mlp())
    params = torch.randn(GENOMES, policy.size)
    with pytest.raises(ValueError, match=r"expected observations \(B, \*obs\) or \(P, B, \*obs\).*got shape \(3,\)"):
        policy(params, torch.zeros(3))
    with pytest.raises(ValueError, match=r"one batch of observations for each of 5 genomes, got shape \(4, 2, 3\)"):
        policy.outputs(params, torch.zeros(4, 2, 3))
    with pytest.raises(ValueError, match=r"one genome takes states without P, got shape \(4, 2, 3\)"):
        policy.single(params[0], torch.zeros(4, 2, 3))
    step = BatchedPolicy(Step(nn.GRUCell(3, 6)))
    with pytest.raises(ValueError, match=r"expected states \(T, B, \*obs\) or \(P, T, B, \*obs\)"):
        step.outputs(torch.randn(GENOMES, step.size), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="at least one step"):
        step.outputs(torch.randn(GENOMES, step.size), torch.zeros(0, 2, 3))


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (lambda: nn.BatchNorm1d(3), {"observation_ndim": 1}, r"Call policy.eval\(\) first"),
        (SEQUENCES["rnn"], {"output_steps": "all"}, "output_steps='all' needs a policy that is called step by step"),
        (mlp, {"output_steps": "first"}, "output_steps must be one of 'last', 'all', got 'first'"),
        (mlp, {"vectorize": 2}, "vectorize must be True, False or 'auto', got 2"),
        (mlp, {"recurrence": "maybe"}, "recurrence must be one of"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_made(make, options, words):
    with pytest.raises(ValueError, match=words):
        BatchedPolicy(make(), **options)
