import pytest
import torch
from torch import Tensor, nn

from lightning_neuro.safe_mutation.jacobian import Block, magnitude
from lightning_neuro.safe_mutation.linear_shortcut import LinearLayer, linear_layers, linear_magnitude
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.samples import Samples


class Residual(nn.Module):
    """A skip connection, an in-place activation, a functional one, a frozen layer, and a layer without effect."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.frozen = nn.Linear(3, 4), nn.Linear(4, 4)
        self.inner, self.unused, self.last = nn.Linear(4, 4, bias=False), nn.Linear(4, 4), nn.Linear(4, 2)
        self.frozen.requires_grad_(False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.frozen(self.first(x)))
        with torch.no_grad():
            self.unused(h)
        return self.last(h + self.relu(self.inner(h)))


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.tanh(self.layer(x)))


class Decayed(nn.Linear):
    """Uses its weight a second time where no module shows it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.weight.norm()


class Folded(nn.Linear):
    """Calls its layer with two rows for each state."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(-1, 3)).reshape(len(x), -1)


class Overwritten(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        self.weight.mul_(2)
        return super().forward(x)


class Transposed(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight.t(), self.bias)


def genomes(policy: nn.Module, count: int = 3) -> tuple[BatchedPolicy, Tensor]:
    batched = BatchedPolicy(policy, observation_ndim=1)
    return batched, torch.randn(count, batched.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def states_of(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("outputs", [slice(0, 2), slice(1, 2)])
def test_the_shortcut_equals_the_general_route(own, outputs):
    policy, params = genomes(Residual().double())
    states = states_of(3, 5, 3) if own else states_of(5, 3)
    weights = torch.rand(3, 1, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    layers = linear_layers(policy, params, Samples(states, own, 0))
    assert layers is not None
    block = Block(params, states, 0 if own else None, weights)
    found = linear_magnitude(policy, block, outputs, layers)
    torch.testing.assert_close(found, magnitude(policy, block, outputs))
    assert (found > 0).any()


def test_layers_are_found_where_they_lie_in_the_genome():
    policy, params = genomes(Residual().double())
    found = linear_layers(policy, params, Samples(states_of(5, 3), False, 0))
    assert found is not None
    assert [layer.weight for layer in found] == [0, 32, 16, 52]
    assert [layer.bias for layer in found] == [12, 48, None, 60]
    assert found[0] == LinearLayer(call=0, inputs=3, outputs=4, weight=0, bias=12)
    assert found[-1].spans() == [(52, 60), (60, 62)]


@pytest.mark.parametrize(
    ("policy", "shape"),
    [
        (Reused(), (5, 3)),
        (Decayed(3, 2), (5, 3)),
        (Folded(3, 2), (5, 6)),
        (Overwritten(3, 2), (5, 3)),
        (Transposed(3, 3), (5, 3)),
        (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), (5, 3)),
        (nn.Sequential(nn.Linear(3, 4), nn.PReLU()), (5, 3)),
    ],
)
def test_whatever_uses_weights_in_another_way_takes_the_general_route(policy, shape):
    batched, params = genomes(policy.double())
    assert linear_layers(batched, params, Samples(states_of(*shape), False, 0)) is None


def test_frozen_layers_of_any_kind_do_no_harm():
    normed = nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 2)).double()
    normed[0].requires_grad_(False)
    batched, params = genomes(normed)
    assert linear_layers(batched, params, Samples(states_of(5, 3), False, 0)) is not None


def test_loops_and_sequences_take_the_general_route():
    samples = Samples(states_of(5, 3), False, 0)
    policy = nn.Linear(3, 2).double()
    params = torch.zeros(1, 8, dtype=torch.float64)
    assert linear_layers(BatchedPolicy(policy, vectorize=False), params, samples) is None
    sequences = BatchedPolicy(policy, recurrence="sequence", observation_ndim=1)
    assert linear_layers(sequences, params, Samples(states_of(4, 5, 3), False, 1)) is None
