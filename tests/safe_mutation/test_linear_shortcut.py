import pytest
import torch
from torch import Tensor, nn

from lightning_neuro.safe_mutation.jacobian import Block, magnitude
from lightning_neuro.safe_mutation.linear_shortcut import linear_magnitude
from lightning_neuro.safe_mutation.linear_uses import linear_net
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
    """Its layer is used twice, the second time where nothing of it reaches the outputs but by the first."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.layer(x))
        return self.layer(h)[:, :2] + 0 * self.layer(h.detach())[:, :2].detach()


class Recurrent(nn.Module):
    """An encoder over all steps, recurrent layers, a readout over all steps, of which the last counts."""

    def __init__(self, kind: type[nn.RNNBase], **options: object) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 4)
        self.recurrent = kind(4, 4, **options)
        self.readout = nn.Linear(8 if options.get("bidirectional") else 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.recurrent(self.encoder(x).sin())[0])[-1]


class Stepped(nn.Module):
    """Cells in steps, the first layer frozen in part."""

    def __init__(self, kind: type[nn.RNNCellBase]) -> None:
        super().__init__()
        self.cell, self.readout = kind(3, 4), nn.Linear(4, 2)
        self.cell.weight_hh.requires_grad_(False)

    def forward(self, x: Tensor, h: object = None) -> tuple[Tensor, object]:
        h = self.cell(x, h)
        return self.readout(h[0] if isinstance(h, tuple) else h), h


STATES, SEQUENCES = (5, 3), (4, 5, 3)
FORMS = [{}, {"num_layers": 2}, {"bias": False}, {"bidirectional": True, "num_layers": 2}]
NETS = [
    (Residual, STATES),
    (Reused, STATES),
    (lambda: nn.Sequential(nn.Linear(3, 3), nn.Unflatten(1, (3, 1)), nn.Linear(1, 2), nn.Flatten()), STATES),
    *[(lambda form=form: Recurrent(nn.RNN, **form), SEQUENCES) for form in FORMS],
    *[(lambda form=form: Recurrent(nn.GRU, **form), SEQUENCES) for form in FORMS],
    *[(lambda form=form: Recurrent(nn.LSTM, **form), SEQUENCES) for form in FORMS],
    (lambda: Recurrent(nn.RNN, nonlinearity="relu"), SEQUENCES),
    (lambda: Recurrent(nn.GRU), (1, 5, 3)),
    *[(lambda kind=kind: Stepped(kind), SEQUENCES) for kind in (nn.RNNCell, nn.GRUCell, nn.LSTMCell)],
]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("make", "shape"), NETS)
def test_the_shortcut_equals_the_general_route(make, shape, own):
    draw = torch.Generator().manual_seed(0)
    policy = BatchedPolicy(make().double(), observation_ndim=1)
    params = torch.randn(3, policy.size, generator=draw, dtype=torch.float64)
    states = torch.randn(*((3, *shape) if own else shape), generator=draw, dtype=torch.float64)
    block = Block(params, states, 0 if own else None, torch.rand(3, 1, 5, generator=draw, dtype=torch.float64))
    net = linear_net(policy, params, Samples(states, own, len(shape) - 2))
    assert net is not None
    for outputs in (slice(0, 2), slice(1, 2)):
        found = linear_magnitude(policy, block, outputs, net)
        torch.testing.assert_close(found, magnitude(policy, block, outputs))
        assert (found > 0).any()
