import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.explicit_jacobian import explicit_jacobian, for_each, slow_abs, slow_second_order, slow_sum
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.sensitivity import sm_g_abs, sm_g_so, sm_g_sum

ALL = (sm_g_sum, sm_g_abs, sm_g_so)
seeds = st.integers(0, 2**20)


class TwoWeights(nn.Module):
    """The model of the illustrative domains."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.w * torch.tensor([100.0, 0.1])


class Sequences(nn.Module):
    """A recurrent net that ends in a softmax over two outputs."""

    def __init__(self, kind: type[nn.RNNBase], layers: int = 2) -> None:
        super().__init__()
        self.recurrent = kind(1, 4, layers)
        self.readout = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.readout(self.recurrent(x)[0][-1]), -1)


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(2, 3)
        self.readout = nn.Linear(3, 2)

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.cell(x, h)
        return self.readout(h), h


class Unrolled(nn.Module):
    """`Steps` over a sequence: the last outputs, or all of them, time first."""

    def __init__(self, steps: Steps, every: bool) -> None:
        super().__init__()
        self.steps, self.every = steps, every

    def forward(self, x: Tensor) -> Tensor:
        h, outputs = None, []
        for observation in x:
            output, h = self.steps(observation, h)
            outputs.append(output)
        return torch.stack(outputs) if self.every else outputs[-1]


class _Sharp(torch.autograd.Function):
    """A square with neither a batching rule nor forward mode, as surrogate gradients are."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * gradient


class Sharp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return _Sharp.apply(x)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 2))


def conv() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))


def parents_of(policy: nn.Module, count: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    size = sum(parameter.numel() for parameter in policy.parameters() if parameter.requires_grad)
    return 0.5 * torch.randn(count, size, dtype=dtype, generator=torch.Generator().manual_seed(3))


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


KINDS: dict[str, tuple[Any, tuple[int, ...], bool]] = {
    "mlp": (mlp, (5, 3), False),
    "conv": (conv, (4, 1, 4, 4), False),
    "rnn": (lambda: Sequences(nn.RNN), (4, 5, 1), True),
    "gru": (lambda: Sequences(nn.GRU, 1), (3, 4, 1), True),
    "lstm": (lambda: Sequences(nn.LSTM, 1), (3, 4, 1), True),
}
GOLD = {
    "easy": ([[0.0, 1], [0, 1]], (0.0, 0.1), (0.0, 0.1), (0.0, 0.8), (0.0, 0.0125)),
    "medium": ([[1.0, 0], [0, 1]], (50.0, 0.05), (50.0, 0.05), (400.0, 0.4), (6.25, 0.00625)),
    "washout": ([[1.0, 1], [-1, -1]], (0.0, 0.0), (100.0, 0.1), (0.0, 0.0), (12.5, 0.0125)),
}


@pytest.mark.parametrize("domain", GOLD)
def test_the_illustrative_domains_have_their_closed_form(domain):
    patterns, sum_mean, abs_mean, sum_reference, abs_of_their_toy = GOLD[domain]
    states = torch.tensor(patterns).repeat(4, 1)
    policy, parents = BatchedPolicy(TwoWeights(), observation_ndim=1), torch.tensor([[0.3, -0.8], [-5.0, 2.0]])

    def close(found: Tensor, expected: tuple[float, float]) -> None:
        torch.testing.assert_close(found, torch.tensor([expected, expected]))

    close(sm_g_sum(policy, parents, states), sum_mean)
    close(sm_g_abs(policy, parents, states), abs_mean)
    close(sm_g_sum(policy, parents, states, reduction="reference"), sum_reference)
    close(sm_g_abs(policy, parents, states, reduction="reference"), abs_mean)
    close(sm_g_abs(policy, parents, states) / len(states), abs_of_their_toy)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_p04_p05_all_equal_a_loop_over_parents_states_and_outputs(kind, own):
    make, shape, sequences = KINDS[kind]
    policy = make().double()
    parents, direction = parents_of(policy), parents_of(policy).flip(0)
    states = torch.stack([draw(*shape, seed=seed if own else 0) for seed in range(3)])
    jacobians = [explicit_jacobian(policy, v, x, sequences=sequences) for v, x in zip(parents, states, strict=True)]
    given_states = states if own else states[0]
    close = torch.testing.assert_close
    close(sm_g_sum(policy, parents, given_states), torch.stack([slow_sum(j) for j in jacobians]))
    close(sm_g_abs(policy, parents, given_states), torch.stack([slow_abs(j) for j in jacobians]))
    expected = torch.stack([slow_second_order(j, u) for j, u in zip(jacobians, direction, strict=True)])
    close(sm_g_so(policy, parents, given_states, direction=direction), expected, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("every", [False, True])
def test_step_policies_are_differentiated_through_their_unroll(every):
    policy = Steps().double()
    batched = BatchedPolicy(policy, output_steps="all" if every else "last")
    parents, states = parents_of(policy, 2), draw(3, 4, 2)
    jacobian = [explicit_jacobian(Unrolled(policy, every), parent, states, sequences=True) for parent in parents]
    rows = [each.view(4 * (3 if every else 1), 2, -1) for each in jacobian]
    torch.testing.assert_close(sm_g_sum(batched, parents, states), torch.stack([slow_sum(j) for j in rows]))
    torch.testing.assert_close(sm_g_abs(batched, parents, states), torch.stack([slow_abs(j) for j in rows]))
    if every:  # three steps of the first sequence, one of the second
        valid = torch.zeros(3, 4, dtype=torch.bool)
        valid[:, 0], valid[0, 1] = True, True
        kept = [each.view(4, 3, 2, -1)[valid.T] for each in jacobian]
        masks = valid.flatten().expand(2, -1)
        found = sm_g_abs(batched, parents, states, valid=masks)
        torch.testing.assert_close(found, torch.stack([slow_abs(j) for j in kept]))
        found = sm_g_sum(batched, parents, states, valid=masks)
        torch.testing.assert_close(found, torch.stack([slow_sum(j) for j in kept]))


def test_a_policy_that_torch_can_neither_batch_nor_differentiate_forwards_gives_the_same():
    sharp = nn.Sequential(nn.Linear(2, 3), Sharp(), nn.Linear(3, 2)).double()
    parents, states = parents_of(sharp, 2), draw(4, 2)
    jacobians = [explicit_jacobian(sharp, parent, states) for parent in parents]
    batched = BatchedPolicy(sharp)
    with pytest.warns(UserWarning, match="1 \\(Sharp\\) cannot be batched"):
        found = sm_g_abs(batched, parents, states)
    torch.testing.assert_close(found, torch.stack([slow_abs(j) for j in jacobians]))
    torch.testing.assert_close(sm_g_sum(batched, parents, states), torch.stack([slow_sum(j) for j in jacobians]))
    expected = torch.stack([slow_second_order(j, torch.ones(j.shape[-1]).double()) for j in jacobians])
    found = sm_g_so(batched, parents, states, direction=torch.ones_like(parents))
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-6)


@settings(max_examples=8)
@given(seeds)
def test_p01_abs_is_at_least_sum_and_reference_sums(seed):
    policy = mlp().double()
    parents, states = parents_of(policy), draw(5, 3, seed=seed)
    summed, absolute = sm_g_sum(policy, parents, states), sm_g_abs(policy, parents, states)
    assert (absolute >= summed * (1 - 1e-12)).all()
    assert (absolute > 1.01 * summed).any()
    torch.testing.assert_close(sm_g_sum(policy, parents, states, reduction="reference"), 5 * summed)
    one = states[:1]
    torch.testing.assert_close(sm_g_sum(policy, parents, one), sm_g_abs(policy, parents, one))


@settings(max_examples=8)
@given(seeds)
def test_p02_the_order_of_states_does_not_matter_and_their_copies_only_to_the_reference(seed):
    policy = mlp().double()
    parents, states = parents_of(policy), draw(5, 3, seed=seed)
    for function in ALL:
        found = function(policy, parents, states)
        torch.testing.assert_close(function(policy, parents, states.flip(0)), found, atol=1e-8, rtol=1e-6)
        torch.testing.assert_close(function(policy, parents, states.repeat(2, 1)), found, atol=1e-8, rtol=1e-6)
    once, twice = (sm_g_sum(policy, parents, states.repeat(n, 1), reduction="reference") for n in (1, 2))
    torch.testing.assert_close(twice, 2 * once)


@settings(max_examples=8)
@given(st.floats(0.1, 50), seeds)
def test_p03_scaling_outputs_and_inputs_scales_sensitivities(scale, seed):
    policy = mlp().double()
    parents, states = parents_of(policy), draw(5, 3, seed=seed)
    louder = BatchedPolicy(policy, output=lambda outputs: -scale * outputs)
    for function in ALL:
        found = function(policy, parents, states)
        torch.testing.assert_close(function(louder, parents, states), scale * found, atol=1e-7, rtol=1e-6)
    linear = nn.Linear(3, 1, bias=False).double()
    by = torch.tensor([scale, 1.0, 1.0], dtype=torch.float64)
    for function in (sm_g_sum, sm_g_abs):
        found = function(linear, parents[:, :3] / by, states * by)
        torch.testing.assert_close(found, by * function(linear, parents[:, :3], states))


@settings(max_examples=8)
@given(seeds)
def test_p05_the_second_order_is_even_and_blind_to_the_length_of_the_direction(seed):
    policy = mlp().double()
    parents, states, direction = parents_of(policy), draw(5, 3), draw(*parents_of(policy).shape, seed=seed)
    found = sm_g_so(policy, parents, states, direction=direction)
    torch.testing.assert_close(sm_g_so(policy, parents, states, direction=-3 * direction), found)
    drawn = torch.randn(parents.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = sm_g_so(policy, parents, states, direction=drawn)
    torch.testing.assert_close(sm_g_so(policy, parents, states, seed=seed), expected)


def test_p07_dead_weights_have_none():
    policy = mlp()
    parents, states = parents_of(policy, dtype=torch.float32), draw(5, 3, dtype=torch.float32)
    states[:, 1] = 0
    for function in ALL:
        found = function(policy, parents, states)
        assert (found[:, 1:12:3] == 0).all()
        assert (found[:, 0] > 0).all()


def test_p17_both_rows_of_a_softmax_over_two_outputs_are_one():
    policy = Sequences(nn.RNN).double()
    parents, states = parents_of(policy), draw(4, 5, 1)
    first = BatchedPolicy(policy, output=lambda outputs: outputs[:, :1])
    for function in (sm_g_sum, sm_g_abs):
        torch.testing.assert_close(function(policy, parents, states), 2**0.5 * function(first, parents, states))


@pytest.mark.parametrize("max_bytes", [1, 3_000, 20_000])
@pytest.mark.parametrize("kind", ["mlp", "conv", "rnn"])
def test_p12_blocks_and_batching_do_not_change_the_result(kind, max_bytes):
    make, shape, sequences = KINDS[kind]
    policy = make().double()
    parents = parents_of(policy)
    states = torch.stack([draw(*shape, seed=seed) for seed in range(3)])
    loop = BatchedPolicy(policy, vectorize=False)
    valid = torch.rand(3, shape[int(sequences)], generator=torch.Generator().manual_seed(1)) < 0.7
    valid[:, 0] = True
    for function in ALL:
        for given_states, mask in ((states, valid), (states[0], None)):
            found = function(policy, parents, given_states, valid=mask)
            cut = function(policy, parents, given_states, valid=mask, max_bytes=max_bytes)
            torch.testing.assert_close(cut, found, atol=1e-8, rtol=1e-6)
            torch.testing.assert_close(function(loop, parents, given_states, valid=mask), found, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("function", ALL)
def test_only_valid_states_count_whatever_stands_in_the_others(function):
    policy = mlp().double()
    parents, states = parents_of(policy, 2), draw(2, 5, 3)
    direction = torch.ones_like(parents)
    options: dict[str, Any] = {"direction": direction} if function is sm_g_so else {}
    valid = torch.tensor([[False, True, False, True, True], [True, False, False, False, False]])
    expected = [
        function(policy, v[None], x[m], **{k: o[:1] for k, o in options.items()})
        for v, x, m in zip(parents, states, valid, strict=True)
    ]
    spoiled = torch.where(valid.unsqueeze(-1), states, torch.nan)
    found = function(policy, parents, spoiled, valid=valid, **options)
    torch.testing.assert_close(found, torch.cat(expected))
    if function is sm_g_sum:
        reference = function(policy, parents, spoiled, valid=valid, reduction="reference")
        torch.testing.assert_close(reference, found * valid.sum(1, keepdim=True))


def test_sensitivities_whose_squares_underflow_are_not_lost():
    policy = nn.Linear(1, 1, bias=False)
    states = torch.tensor([[1e-30]])
    parents = torch.ones(2, 1)
    assert sm_g_sum(policy, parents, states).flatten().tolist() == pytest.approx([1e-30] * 2)
    assert sm_g_abs(policy, parents, states).flatten().tolist() == pytest.approx([1e-30] * 2)


@pytest.mark.parametrize("function", ALL)
def test_p11_nothing_but_the_result_is_left_behind(function):
    policy = conv()
    before, mode = copy.deepcopy(policy.state_dict()), policy.training
    parents = parents_of(policy, dtype=torch.float32).requires_grad_()
    kept, noise = parents.detach().clone(), torch.get_rng_state()
    found = function(policy, parents, draw(4, 1, 4, 4, dtype=torch.float32))
    assert not found.requires_grad
    assert torch.equal(parents, kept)
    assert parents.grad is None
    assert torch.equal(torch.get_rng_state(), noise)
    assert policy.training == mode
    for name, tensor in policy.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(parameter.grad is None for parameter in policy.parameters())


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_they_work_where_gradients_are_switched_off(function, mode):
    policy = mlp()
    parents, states = parents_of(policy, dtype=torch.float32), draw(5, 3, dtype=torch.float32)
    expected = function(policy, parents, states)
    with mode():
        found = function(policy, parents + 0, states + 0)
    torch.testing.assert_close(found, expected)


def test_frozen_weights_stay_out():
    policy = mlp().double()
    policy[0].requires_grad_(False)
    parents, states = parents_of(policy), draw(5, 3)
    for function, slow in ((sm_g_sum, slow_sum), (sm_g_abs, slow_abs)):
        expected = for_each(parents, lambda parent, slow=slow: slow(explicit_jacobian(policy, parent, states)))
        torch.testing.assert_close(function(policy, parents, states), expected)


class Largest(TorchDispatchMode):
    """The bytes of the largest tensor that any operation has made."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.bytes = max(self.bytes, leaf.untyped_storage().nbytes())
        return result


class Gained(Sequences):
    """Uses a weight in another way than linear layers do."""

    def __init__(self) -> None:
        super().__init__(nn.RNN)
        self.gain = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * super().forward(x)


class Wide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.RNN(1, 40)

    def forward(self, x: Tensor) -> Tensor:
        return self.recurrent(x)[0][-1, :, :2]


@pytest.mark.parametrize(
    ("policy", "largest"),
    [(Gained(), 2 * sum(weights.numel() for weights in Gained().parameters())), (Wide(), 40 * 40)],
)
def test_no_tensor_is_larger_than_the_budget(policy, largest):
    parents, states = parents_of(policy, 20, torch.float32), draw(4, 8, 1, dtype=torch.float32)
    whole = 20 * 8 * largest * 4  # of the general route, and of the shortcut for recurrent nets
    with Largest() as free:
        sm_g_abs(policy, parents, states)
    assert free.bytes >= whole
    with Largest() as bound:
        sm_g_abs(policy, parents, states, max_bytes=whole // 4)
    assert bound.bytes <= whole // 4


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"params": torch.zeros(2, 7)}, ValueError, r"params must be \(P, 8\).*got shape \(2, 7\)"),
        ({"params": torch.zeros(8)}, ValueError, r"params must be \(P, d\)"),
        ({"params": torch.zeros(0, 8)}, ValueError, "at least one row"),
        ({"params": torch.zeros(2, 8, dtype=torch.int64)}, TypeError, "floating point"),
        ({"params": torch.tensor([[0.0] * 8, [torch.nan] * 8])}, ValueError, "infinity in parent 1"),
        ({"states": torch.zeros(3)}, ValueError, r"states must be \(B, \*obs\)"),
        ({"states": torch.zeros(0, 3)}, ValueError, "at least one state"),
        ({"states": torch.zeros(5, 4, 3)}, ValueError, "each of the 2 parents, got 5"),
        ({"states": [[0.0, 0, 0]]}, TypeError, "must be a tensor, got list"),
        ({"valid": torch.ones(2, 3, dtype=torch.bool)}, ValueError, r"\(2, 4\)"),
        ({"valid": torch.ones(2, 4)}, TypeError, "bool"),
        ({"valid": torch.tensor([[True] * 4, [False] * 4])}, ValueError, "got none for parent 1"),
        ({"reduction": "sum"}, ValueError, "reduction must be one of 'mean', 'reference'"),
        ({"max_bytes": 0}, ValueError, "max_bytes must be at least 1"),
    ],
)
@pytest.mark.parametrize("function", ALL)
def test_bad_arguments_are_named(function, arguments, error, message):
    given_arguments = {"params": torch.zeros(2, 8), "states": torch.ones(4, 3)} | arguments
    with pytest.raises(error, match=f"{function.__name__}: .*{message}"):
        function(nn.Linear(3, 2), **given_arguments)


@pytest.mark.parametrize("function", ALL)
def test_outputs_without_gradient_are_refused_with_the_cause(function):
    class Decides(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).argmax(-1, keepdim=True)

    with pytest.raises(ValueError, match=f"{function.__name__}: .*outputs of Decides.*argmax"):
        function(Decides(3, 2), torch.zeros(2, 8), torch.ones(4, 3))


@pytest.mark.parametrize("direction", [torch.zeros(2, 8), torch.full((2, 8), torch.inf), torch.ones(2, 7)])
def test_a_direction_must_fit(direction):
    with pytest.raises(ValueError, match="sm_g_so: direction must have"):
        sm_g_so(nn.Linear(3, 2), torch.zeros(2, 8), torch.ones(4, 3), direction=direction)
