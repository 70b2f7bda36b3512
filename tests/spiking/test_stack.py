from typing import Any

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lightning_neuro.spiking.unroll import unroll

T, B = 5, 3


def series() -> Tensor:
    return torch.rand(T, B, 2, generator=torch.Generator().manual_seed(2)) * 2


def stack(container: type[nn.Sequential] = nn.Sequential) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 2), container(nn.Linear(2, 2), nn.Tanh()), nn.Sequential(snn.Leaky(beta=0.8)))


class Residual(nn.Sequential):
    """A container without neurons that does more than call its parts."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Keeping(nn.Sequential):
    """A container with neurons in the step style; its state is a dict with a number in it."""

    def forward(self, x: Tensor, state: dict[str, Any] | None) -> tuple[Tensor, dict[str, Any]]:
        state = state or {"mem": torch.zeros_like(x), "steps": torch.tensor(0), "note": None}
        spk, mem = self[0](x, state["mem"])
        return x + spk, {"mem": mem, "steps": state["steps"] + 1, "note": None}


class Silent(nn.Module):
    """A block that has neurons and chooses to give no state back."""

    def __init__(self) -> None:
        super().__init__()
        self.lif = snn.Leaky(beta=0.5)

    def forward(self, x: Tensor, state: None) -> tuple[Tensor, None]:
        return self.lif(x, torch.zeros_like(x))[0], None


def test_a_container_without_neurons_is_called_as_it_is():
    net, x = stack(Residual), series()
    (_, mem), _ = unroll(net, x)
    m = torch.zeros(B, 2)
    for t in range(T):
        hidden = net[0](x[t])
        m = net[2][0](hidden + torch.tanh(net[1][0](hidden)), m)[1]
        assert torch.equal(mem[t], m)


def test_a_container_of_step_style_keeps_its_state():
    x = series()
    inside = nn.Sequential(nn.Identity(), Keeping(snn.Leaky(beta=0.8)))
    whole, state = unroll(inside, x)
    alone, last = unroll(Keeping(snn.Leaky(beta=0.8)), x)
    assert torch.equal(whole, alone)
    assert state["1"]["steps"] == last["steps"] == T
    _, half = unroll(inside, x[:2])
    late, _ = unroll(inside, x[2:], state=half)
    assert torch.equal(late, whole[2:])
    with pytest.raises(ValueError, match="state of '1' is for batch size 3, the input has 1"):
        unroll(inside, x[:, :1], state=half)


def test_a_block_may_have_no_state():
    _, state = unroll(nn.Sequential(Silent()), series())
    unroll(nn.Sequential(Silent()), series(), state=state)
    assert state == {"0": None}


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: nn.Sequential(nn.Identity(), net)])
def test_refuses_containers_that_take_no_state(wrap):
    class Own(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return x + super().forward(x)

    with pytest.raises(TypeError, match=r"is a Own that holds neurons .* its forward takes no state. Write it as"):
        unroll(wrap(Own(nn.Linear(2, 2), snn.Leaky(beta=0.8))), series())


def test_refuses_a_forward_set_on_one_container():
    net = stack()
    net.forward = lambda x: x
    with pytest.raises(TypeError, match=r"net is a Sequential that holds neurons .* its forward takes no state"):
        unroll(net, series())


def test_hooks_of_containers_run():
    net, x, seen = stack(), series(), []
    plain, _ = unroll(net, x)
    net.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 2,))
    net[2].register_forward_pre_hook(lambda module, inputs, options: ((inputs[0] / 2,), options), with_kwargs=True)
    net[1].register_forward_hook(lambda module, inputs, output: seen.append("layers"))
    net[2].register_forward_hook(lambda module, inputs, output: seen.append("neurons"))
    net.register_forward_hook(lambda module, inputs, options, output: (output[0] + 1, output[1]), with_kwargs=True)
    (spk, mem), _ = unroll(net, x)
    assert seen == ["layers", "neurons"] * T
    assert set(spk.unique().tolist()) <= {1.0, 2.0}
    m = torch.zeros(B, 2)
    for t in range(T):
        m = net[2][0](torch.tanh(net[1][0](net[0](x[t] * 2))) / 2, m)[1]
        assert torch.equal(mem[t], m)
    assert not torch.equal(mem, plain[1])


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: nn.Sequential(nn.Identity(), net)])
def test_refuses_backward_hooks_of_containers(wrap):
    net = stack()
    net.register_full_backward_hook(lambda *gradients: None)
    with pytest.raises(TypeError, match=r"carries hooks that would not run. Register them on its layers"):
        unroll(wrap(net), series())


def test_averaged_nets_are_understood():
    net, x = stack(), series()
    assert torch.equal(unroll(AveragedModel(net), x)[0][1], unroll(net, x)[0][1])


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # by torch.compile itself
@pytest.mark.filterwarnings("ignore:.*attribute of a Tensor that is not a leaf:UserWarning")
class TestCompiled:
    @pytest.mark.parametrize("wrap", [lambda net: net, lambda net: nn.Sequential(nn.Identity(), net)])
    def test_stacks_are_refused(self, wrap):
        with pytest.raises(TypeError, match="Compile the function that calls unroll"):
            unroll(wrap(torch.compile(stack(), backend="eager")), series())
        net = stack()
        net.compile(backend="eager")
        with pytest.raises(TypeError, match="Compile the function that calls unroll"):
            unroll(wrap(net), series())

    def test_layers_run_compiled(self):
        graphs = []

        def count(graph, inputs):
            graphs.append(graph)
            return graph.forward

        net = stack()
        expected, _ = unroll(net, series())
        net[1] = torch.compile(net[1], backend=count)
        found, state = unroll(net, series())
        assert graphs
        assert torch.equal(found[1], expected[1])
        assert state.keys() == {"2.0"}
