import pytest
import torch
from torch import Tensor, nn

from lightning_neuro.safe_mutation.interface import Interface, interface_of


class Step(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = self.cell(x, h)
        return h, h


class RequiredStep(Step):
    def forward(self, x, h):
        return super().forward(x, h)


class Sequence(nn.Module):
    def __init__(self, **options) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 4, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0][-1]


class Scaled(nn.Linear):
    def forward(self, x, scale=1.0, *, shift=0.0):
        return super().forward(x) * scale + shift


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class ScaledLinear(Scale):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)


class Three(nn.Linear):
    def forward(self, x, h, mask):
        return x


class Anything(nn.Linear):
    def forward(self, *args):
        return args[0]


@pytest.mark.parametrize(
    ("module", "recurrence", "ndim"),
    [
        (nn.Linear(3, 2), "none", 1),
        (nn.Sequential(nn.Tanh(), nn.Sequential(nn.Linear(3, 2))), "none", 1),
        (nn.Sequential(nn.Conv1d(1, 2, 3)), "none", 2),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 2)), "none", 3),
        (nn.Conv3d(1, 2, 3), "none", 4),
        (nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)), "none", 0),
        (Scaled(3, 2), "none", 1),
        (ScaledLinear(), "none", 1),
        (Step(), "step", 1),
        (RequiredStep(), "step", 1),
        (Sequence(), "sequence", 1),
        (nn.Sequential(nn.Conv2d(1, 2, 3).requires_grad_(False), nn.Flatten()), "none", 3),
    ],
)
def test_the_module_tells_its_interface(module, recurrence, ndim):
    assert interface_of(module) == Interface(recurrence, ndim)


def test_what_is_given_wins():
    assert interface_of(Step(), recurrence="none", observation_ndim=2) == Interface("none", 2)
    assert interface_of(Scale(), observation_ndim=0) == Interface("none", 0)
    assert interface_of(nn.GRU(3, 4), recurrence="sequence") == Interface("sequence", 1)


@pytest.mark.parametrize(
    ("interface", "states", "inputs"),
    [
        (Interface("none", 1), 2, 2),
        (Interface("step", 1), 3, 2),
        (Interface("sequence", 3), 5, 5),
    ],
)
def test_dimensions_of_archives_and_inputs(interface, states, inputs):
    assert (interface.states_ndim, interface.input_ndim) == (states, inputs)


@pytest.mark.parametrize(
    "module", [nn.LSTM(3, 4), nn.GRUCell(3, 4), Three(2, 2), Anything(2, 2), Sequence(batch_first=True)]
)
def test_an_unclear_call_asks_for_recurrence(module):
    with pytest.raises(ValueError, match=rf"BatchedPolicy: {type(module).__name__} .*ive recurrence='"):
        interface_of(module)


@pytest.mark.parametrize("module", [Scale(), nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), nn.LayerNorm(3)])
def test_an_unclear_observation_asks_for_its_dimensions(module):
    with pytest.raises(ValueError, match="Give observation_ndim"):
        interface_of(module)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"recurrence": "yes"}, ValueError, "recurrence must be one of 'none', 'sequence', 'step', got 'yes'"),
        ({"observation_ndim": -1}, ValueError, "observation_ndim must be at least 0, got -1"),
        ({"observation_ndim": 1.0}, TypeError, "observation_ndim must be an integer"),
    ],
)
def test_arguments_out_of_range_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        interface_of(nn.Linear(3, 2), **options)
