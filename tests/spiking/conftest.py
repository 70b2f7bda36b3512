"""The table of snnTorch's neurons, each with an input it takes; and small networks."""

from collections.abc import Callable

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn

STEPPED: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...]]] = {
    "Leaky": (lambda **k: snn.Leaky(beta=0.9, **k), (3, 4)),
    "Lapicque": (lambda **k: snn.Lapicque(beta=0.9, **k), (3, 4)),
    "Synaptic": (lambda **k: snn.Synaptic(alpha=0.8, beta=0.9, **k), (3, 4)),
    "Alpha": (lambda **k: snn.Alpha(alpha=0.9, beta=0.8, **k), (3, 4)),
    "RLeaky": (lambda **k: snn.RLeaky(beta=0.9, linear_features=4, **k), (3, 4)),
    "RLeaky one-to-one": (lambda **k: snn.RLeaky(beta=0.9, all_to_all=False, V=0.5, **k), (3, 4)),
    "RLeaky conv": (lambda **k: snn.RLeaky(beta=0.9, conv2d_channels=2, kernel_size=3, **k), (3, 2, 5, 5)),
    "RSynaptic": (lambda **k: snn.RSynaptic(alpha=0.8, beta=0.9, linear_features=4, **k), (3, 4)),
    "SLSTM": (lambda **k: snn.SLSTM(4, 4, **k), (3, 4)),
    "SConv2dLSTM": (lambda **k: snn.SConv2dLSTM(2, 3, 3, **k), (3, 2, 5, 5)),
    "DeltaLeaky": (lambda **k: snn.DeltaLeaky(beta=0.9, **k), (3, 4)),
}
WHOLE_SEQUENCE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "StateLeaky": (lambda: snn.StateLeaky(beta=0.9, channels=4, output=True), (6, 3, 4)),
    "LinearLeaky": (lambda: snn.LinearLeaky(beta=0.9, in_features=4, out_features=5), (6, 3, 4)),
    "AssociativeLeaky": (lambda: snn.AssociativeLeaky(4, 2, 3, 6), (6, 3, 4)),
    "LeakyParallel": (lambda: snn.LeakyParallel(4, 5, beta=torch.full((5,), 0.9)), (6, 3, 4)),
}


class Nested(nn.Module):
    """A network whose neurons are not direct children."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(4, 5),
            nn.Sequential(snn.Leaky(beta=0.9, init_hidden=True), nn.Linear(5, 3)),
            snn.RSynaptic(alpha=0.8, beta=0.9, linear_features=3, init_hidden=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


@pytest.fixture(params=STEPPED)
def stepped(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    """A neuron with init_hidden=True and an input that makes it spike and learn."""
    build, shape = STEPPED[request.param]
    torch.manual_seed(0)
    return build(init_hidden=True), torch.rand(shape).mul(3).requires_grad_()


@pytest.fixture(params=STEPPED)
def explicit(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    """A neuron with init_hidden=False and an input."""
    build, shape = STEPPED[request.param]
    torch.manual_seed(0)
    return build(), torch.rand(shape).mul(3).requires_grad_()


@pytest.fixture(params=WHOLE_SEQUENCE)
def whole_sequence(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    """A neuron that takes sequences and keeps no state, and an input."""
    build, shape = WHOLE_SEQUENCE[request.param]
    torch.manual_seed(0)
    return build(), torch.rand(shape).mul(3).requires_grad_()


@pytest.fixture
def nested() -> Nested:
    torch.manual_seed(0)
    return Nested()


@pytest.fixture
def make_nested() -> type[Nested]:
    return Nested
