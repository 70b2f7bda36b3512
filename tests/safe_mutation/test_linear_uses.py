import pytest
import torch
from torch import Tensor, nn

from lightning_neuro.safe_mutation.linear_uses import LinearMap, Place, Use, linear_net
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.samples import Samples


class Scattered(nn.Module):
    """A frozen layer between two others, a layer without effect, and no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.frozen = nn.Linear(3, 4), nn.Linear(4, 4)
        self.unused, self.last = nn.Linear(4, 4), nn.Linear(4, 2, bias=False)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.frozen(self.first(x)))
        with torch.no_grad():
            self.unused(h)
        return self.last(h)


class Decayed(nn.Linear):
    """Uses its weight a second time where no module shows it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.weight.norm()


class Folded(nn.Linear):
    """Calls its layer with two rows for each state, in one dimension."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(-1, 3)).reshape(len(x), -1)


class Overwritten(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        self.weight.mul_(2)
        return super().forward(x)


class Transposed(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight.t(), self.bias)


class Sliced(nn.Linear):
    """Uses a part of its weight once more, as another weight."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + nn.functional.linear(x, self.weight[:1])


class Started(nn.Module):
    """Learns where its recurrent layer starts."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.start = nn.GRU(3, 3), nn.Parameter(torch.zeros(1, 1, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.gru(x, self.start.expand(1, x.shape[1], 3))[0][-1]


class Turned(nn.Module):
    """Takes states for steps: its layer runs over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x.transpose(0, 1))[0][:, -1]


class Last(nn.Module):
    def __init__(self, recurrent: nn.RNNBase) -> None:
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x: Tensor) -> Tensor:
        return self.recurrent(x)[0][-1]


def found(policy: nn.Module, *shape: int, **options: object) -> object:
    batched = BatchedPolicy(policy, observation_ndim=1, **options)
    params = torch.randn(3, batched.size, generator=torch.Generator().manual_seed(0))
    states = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    return linear_net(batched, params, Samples(states, False, len(shape) - 2))


def test_weights_are_found_where_they_lie_in_the_genome():
    net = found(Scattered(), 5, 3)
    maps = (LinearMap(0, 4), LinearMap(2, 4), LinearMap(3, 2))
    uses = {
        Place(0, 4, 3): (Use(0, 0),),
        Place(12, 4, None): (Use(0, None),),
        Place(16, 4, 4): (Use(1, 0),),
        Place(32, 4, None): (Use(1, None),),
        Place(36, 2, 4): (Use(2, 0),),
    }
    assert (net.maps, net.uses) == (maps, uses)
    assert net.product_size == 0


def test_a_joint_cell_has_one_map_and_one_with_gates_apart_has_two():
    lstm, gru = found(Last(nn.LSTM(3, 2)), 4, 5, 3), found(Last(nn.GRU(3, 2)), 4, 5, 3)
    assert lstm.maps == (LinearMap(0, 8, (4,), 1, units_first=True),)
    assert list(lstm.uses.values()) == [(Use(0, 0),), (Use(0, None),), (Use(0, 1),), (Use(0, None),)]
    assert gru.maps == (LinearMap(0, 6, (4,), 1, units_first=True),) * 2
    assert list(gru.uses.values()) == [(Use(0, 0),), (Use(0, None),), (Use(1, 0),), (Use(1, None),)]
    assert gru.product_size == 18


def test_shapes_and_rows_of_a_map():
    layer, cell = LinearMap(0, 2, (4, 6), 1), LinearMap(0, 2, (4,), 1, units_first=True)
    assert layer.shape(5) == (4, 5, 6, 2)
    assert cell.shape(5) == (2, 4, 5)
    sums = torch.arange(3 * 4 * 5 * 6 * 2).view(3, 4, 5, 6, 2)
    assert torch.equal(layer.rows(sums)[1, 3, 2 * 6 + 4], sums[1, 2, 3, 4])
    sums = torch.arange(3 * 2 * 4 * 5).view(3, 2, 4, 5)
    assert torch.equal(cell.rows(sums)[1, 3, 2], sums[1, :, 2, 3])


@pytest.mark.parametrize(
    ("policy", "shape"),
    [
        (Decayed(3, 2), (5, 3)),
        (Folded(3, 2), (5, 6)),
        (Overwritten(3, 2), (5, 3)),
        (Transposed(3, 3), (5, 3)),
        (Sliced(3, 2), (5, 3)),
        (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), (5, 3)),
        (nn.Sequential(nn.Linear(3, 4), nn.PReLU()), (5, 3)),
        (Started(), (4, 5, 3)),
        (Turned(), (4, 5, 3)),
        (Turned(), (1, 1, 3)),
        (Last(nn.LSTM(3, 4, proj_size=2)), (4, 5, 3)),
    ],
)
def test_whatever_uses_weights_in_another_way_is_refused(policy, shape):
    assert found(policy, *shape) is None


def test_frozen_layers_of_any_kind_do_no_harm():
    normed = nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 2))
    normed[0].requires_grad_(False)
    assert found(normed, 5, 3) is not None


def test_loops_are_refused():
    assert found(nn.Linear(3, 2), 5, 3, vectorize=False) is None
