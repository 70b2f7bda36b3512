import copy
import pickle

import pytest
import snntorch as snn
import torch
from hypothesis import given
from hypothesis import strategies as st
from snntorch import surrogate
from torch import nn

from lightning_neuro.spiking.state import reset_
from lightning_neuro.spiking.surrogate import ATan, FastSigmoid

PAIRS = [
    (FastSigmoid(), surrogate.fast_sigmoid()),
    (FastSigmoid(slope=3), surrogate.fast_sigmoid(slope=3)),
    (ATan(), surrogate.atan()),
    (ATan(alpha=5), surrogate.atan(alpha=5)),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@given(values=st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=8))
def test_equals_snntorch(ours, theirs, values):
    x, y = (torch.tensor(values, requires_grad=True) for _ in range(2))
    weights = torch.arange(1.0, len(values) + 1)
    (ours(x) * weights).sum().backward()
    (theirs(y) * weights).sum().backward()
    assert torch.equal(ours(x), theirs(y))
    torch.testing.assert_close(x.grad, y.grad)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # by forward mode itself
@pytest.mark.parametrize("ours", [FastSigmoid(), ATan()])
def test_torch_func(ours):
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
    derivative = ours.derivative(x)
    assert torch.equal(torch.func.vmap(ours)(x), (x > 0).double())
    assert torch.equal(torch.func.vmap(torch.func.grad(lambda row: ours(row).sum()))(x), derivative)
    assert torch.equal(torch.func.jvp(ours, (x,), (torch.ones_like(x),))[1], derivative)
    assert torch.equal(torch.func.vmap(torch.func.jacrev(ours))(x), torch.diag_embed(derivative))
    assert torch.equal(torch.func.vmap(torch.func.jacfwd(ours))(x), torch.diag_embed(derivative))


@pytest.mark.parametrize("ours", [FastSigmoid(), ATan()])
def test_second_derivative_is_that_of_the_surrogate(ours):
    x = torch.tensor([-0.3, 0.2, 0.7], dtype=torch.float64)
    second = torch.func.vmap(torch.func.grad(torch.func.grad(ours)))(x)
    step = 1e-6
    expected = (ours.derivative(x + step) - ours.derivative(x - step)) / (2 * step)
    torch.testing.assert_close(second, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ours", [FastSigmoid(slope=10), ATan()])
def test_a_network_pickles_and_copies(ours):
    net = nn.Sequential(nn.Linear(3, 3), snn.Leaky(beta=0.9, spike_grad=ours, init_hidden=True))
    x = torch.rand(2, 3) * 4
    expected = net(x).detach()
    for twin in (pickle.loads(pickle.dumps(copy_of(net))), copy_of(net)):
        assert twin[1].spike_grad == ours
        assert torch.equal(twin(x), expected)


def copy_of(net: nn.Module) -> nn.Module:
    reset_(net)
    return copy.deepcopy(net)


def test_population_under_vmap():
    net = nn.Sequential(nn.Linear(3, 2), snn.Leaky(beta=0.9, spike_grad=FastSigmoid(), reset_mechanism="none"))
    population = {name: torch.randn(5, *value.shape) for name, value in net.named_parameters()}
    x = torch.rand(4, 3)

    def spikes(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        signal = torch.func.functional_call(net[0], {name[2:]: value for name, value in parameters.items()}, x)
        return net[1](signal, torch.zeros(4, 2))[0]

    together = torch.func.vmap(spikes)(population)
    alone = torch.stack([spikes({name: value[i] for name, value in population.items()}) for i in range(5)])
    assert torch.equal(together, alone)
    assert 0 < together.mean() < 1


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # by torch.compile itself
@pytest.mark.parametrize("ours", [FastSigmoid(), ATan()])
def test_compiles_into_one_graph(ours):
    x = torch.linspace(-1, 1, 5, requires_grad=True)
    torch.compile(ours, fullgraph=True, backend="aot_eager")(x).sum().backward()
    assert torch.equal(x.grad, ours.derivative(x.detach()))


def test_keeps_dtype():
    assert ATan()(torch.ones(2, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(("make", "name"), [(FastSigmoid, "FastSigmoid: slope"), (ATan, "ATan: alpha")])
def test_refuses_by_name(make, name):
    with pytest.raises(ValueError, match=f"{name} must be greater than 0, got -1"):
        make(-1)
    with pytest.raises(TypeError, match=f"{name} must be a number, got 'x'"):
        make("x")
