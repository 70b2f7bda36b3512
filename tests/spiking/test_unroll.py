import copy

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn

from lightning_neuro.spiking.state import hidden_state, reset_
from lightning_neuro.spiking.surrogate import FastSigmoid
from lightning_neuro.spiking.unroll import unroll

T, B = 6, 3


def stack(init_hidden: bool = False) -> nn.Sequential:
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Linear(4, 5),
        nn.Sequential(snn.RSynaptic(alpha=0.8, beta=0.9, linear_features=5, init_hidden=init_hidden), nn.Dropout(0.1)),
        nn.Linear(5, 2),
        snn.Leaky(beta=0.8, init_hidden=init_hidden, output=True),
    )
    for layer in (net[0], net[2]):
        layer.weight.data.abs_().mul_(2)  # so that every layer spikes
    return net


def series(batch: int = B) -> Tensor:
    return torch.rand(T, batch, 4, generator=torch.Generator().manual_seed(2)) * 4


class Stepped(nn.Module):
    """The step style: state in, state out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.fc = nn.Linear(4, 2)
        self.lif = snn.Leaky(beta=0.8)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[dict[str, Tensor], Tensor]:
        current = self.fc(x)
        spk, mem = self.lif(current, torch.zeros_like(current) if state is None else state)
        return {"spk": spk, "mem": mem}, mem


def test_stack_equals_the_hand_written_loop():
    net, x = stack().eval(), series()
    (spk, mem), state = unroll(net, x)
    recurrent, readout = net[1][0], net[3]
    s, syn, m = (torch.zeros(B, 5) for _ in range(3))
    m2 = torch.zeros(B, 2)
    for t in range(T):
        s, syn, m = recurrent(net[0](x[t]), s, syn, m)
        spikes, m2 = readout(net[2](s), m2)
        assert torch.equal(spk[t], spikes)
        assert torch.equal(mem[t], m2)
    assert torch.equal(state["3"][0], m2)
    assert all(torch.equal(ours, loop) for ours, loop in zip(state["1.0"], (s, syn, m), strict=True))
    assert spk.sum() > 0


def test_stack_and_hidden_neurons_agree():
    x = series()
    (spk, mem), _ = unroll(stack().eval(), x)
    hidden = stack(init_hidden=True).eval()
    hidden(x[0])  # must not matter
    (spk_hidden, mem_hidden), state = unroll(hidden, x)
    assert torch.equal(spk, spk_hidden)
    assert torch.equal(mem, mem_hidden)
    assert state.keys() == {"1.0.spk", "1.0.syn", "1.0.mem", "3.mem"}


@pytest.mark.parametrize("init_hidden", [False, True])
def test_state_carries_on(init_hidden):
    net, x = stack(init_hidden).eval(), series()
    (spk, mem), _ = unroll(net, x)
    (spk1, _), state = unroll(net, x[:2])
    if init_hidden:
        state = hidden_state(net)
    (spk2, mem2), _ = unroll(net, x[2:], state=state)
    assert torch.equal(spk, torch.cat([spk1, spk2]))
    assert torch.equal(mem[-1], mem2[-1])


def test_every_neuron_class(explicit):
    neuron, x = explicit
    twice = torch.stack([x, x])
    (spk, _), state = unroll(nn.Sequential(neuron), twice)
    (again, _), _ = unroll(nn.Sequential(neuron), twice)
    assert torch.equal(spk, again)
    (late, _), _ = unroll(nn.Sequential(neuron), twice[1:], state=unroll(nn.Sequential(neuron), twice[:1])[1])
    assert torch.equal(spk[1], late[0])
    assert len(state) == 1


def test_step_style_and_static_input():
    net, x = Stepped(), torch.rand(B, 4)
    output, state = unroll(net, x, num_steps=T)
    assert output["spk"].shape == (T, B, 2)
    assert torch.equal(output["mem"][-1], state)
    repeated, _ = unroll(net, x.expand(T, B, 4))
    assert torch.equal(output["mem"], repeated["mem"])


def test_a_block_inside_a_stack_keeps_its_own_state():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = snn.Leaky(beta=0.8)

        def forward(self, x: Tensor, mem: Tensor | None) -> tuple[Tensor, Tensor]:
            return self.lif(x, torch.zeros_like(x) if mem is None else mem)

    torch.manual_seed(1)
    fc, x = nn.Linear(4, 2), series()
    spk, state = unroll(nn.Sequential(fc, Block(), nn.Identity()), x)
    (expected, _), _ = unroll(nn.Sequential(fc, snn.Leaky(beta=0.8)), x)
    assert torch.equal(spk, expected)
    assert state["1"].shape == (B, 2)


def test_a_layer_that_stands_twice_is_called_twice_with_a_state_for_each():
    lif = snn.Leaky(beta=0.5, reset_mechanism="none")
    (_, mem), state = unroll(nn.Sequential(lif, lif), torch.full((1, 1), 1.5), num_steps=2)
    assert mem.flatten().tolist() == [1.0, 1.5]
    assert [value[0].item() for value in state.values()] == [2.25, 1.5]


@pytest.mark.parametrize("make", [stack, lambda: stack(init_hidden=True), Stepped])
@pytest.mark.parametrize("every", [1, 4, T, 50])
def test_checkpointed_gradients_are_the_same_bits(make, every):
    def gradients(checkpoint_every: int | None) -> list[Tensor]:
        net = make()
        torch.manual_seed(3)  # of the dropout
        output, _ = unroll(net, series(), checkpoint_every=checkpoint_every)
        tensors = output.values() if isinstance(output, dict) else output
        sum(tensor.pow(2).sum() for tensor in tensors).backward()
        return [parameter.grad for parameter in net.parameters()]

    plain = gradients(None)
    assert all(gradient.abs().sum() > 0 for gradient in plain)
    assert all(torch.equal(a, b) for a, b in zip(plain, gradients(every), strict=True))


def test_checkpointing_keeps_fewer_tensors():
    def kept(checkpoint_every: int | None) -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            unroll(stack(), series(), checkpoint_every=checkpoint_every)
        return sum(sizes)

    assert kept(3) < kept(None) / 2


def test_recomputing_leaves_hidden_neurons_alone():
    net = stack(init_hidden=True)
    (_, mem), state = unroll(net, series(), checkpoint_every=2)
    mem.sum().backward(retain_graph=True)
    mem.sum().backward()
    assert hidden_state(net).keys() == state.keys()
    assert all(hidden_state(net)[name] is value for name, value in state.items())


def test_truncated_backpropagation_through_detached_state():
    net, x = stack(), series()
    _, state = unroll(net, x[:3])
    cut = {name: tuple(value.detach() for value in values) for name, values in state.items()}
    (_, mem), _ = unroll(net, x[3:], state=cut)
    mem.sum().backward()
    assert net[0].weight.grad is not None


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # by torch.compile itself
@pytest.mark.parametrize("make", [stack, lambda: stack(init_hidden=True), Stepped])
def test_compiles_into_one_graph(make):
    net, x = make().eval(), series()
    expected, _ = unroll(net, x)
    reset_(net)
    found, _ = torch.compile(lambda x: unroll(net, x), fullgraph=True, backend="eager")(x)
    if isinstance(expected, dict):
        expected, found = tuple(expected.values()), tuple(found.values())
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_deepcopy_works_after_an_unroll_and_a_reset():
    net = stack()
    unroll(net, series())
    reset_(net)
    copy.deepcopy(net)


def test_works_under_vmap():
    net = nn.Sequential(nn.Linear(4, 2), snn.Leaky(beta=0.9, spike_grad=FastSigmoid()))
    x = torch.rand(5, T, B, 4)
    together = torch.func.vmap(lambda sample: unroll(net, sample)[0][0])(x)
    alone = torch.stack([unroll(net, sample)[0][0] for sample in x])
    assert torch.equal(together, alone)


def test_refuses_neurons_of_whole_sequences(whole_sequence):
    neuron, x = whole_sequence
    with pytest.raises(TypeError, match=f"'0' is a {type(neuron).__name__}, which takes the whole sequence"):
        unroll(nn.Sequential(neuron), x)


def test_refuses_mixed_init_hidden():
    net = nn.Sequential(snn.Leaky(beta=0.9), snn.Leaky(beta=0.9, init_hidden=True))
    with pytest.raises(ValueError, match="same init_hidden"):
        unroll(net, series())


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (torch.zeros(0, 3, 4), {}, r"must have shape \(T, B, ...\) with at least one step, got \(0, 3, 4\)"),
        (torch.zeros(4), {}, r"must have shape \(T, B, ...\)"),
        (torch.zeros(3, 4), {"num_steps": 0}, "num_steps must be at least 1, got 0"),
        (torch.zeros(6, 3, 4), {"checkpoint_every": 0}, "checkpoint_every must be at least 1, got 0"),
    ],
)
def test_refuses_by_name(x, options, message):
    with pytest.raises(ValueError, match=message):
        unroll(stack(), x, **options)


def test_refuses_steps_that_cannot_be_stacked():
    class Wrong(nn.Module):
        def forward(self, x: Tensor, state: None) -> tuple[float, None]:
            return 1.0, None

    with pytest.raises(TypeError, match="a step must give tensors, or tuples or dicts of them, got float"):
        unroll(Wrong(), series())


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"3": (torch.zeros(B + 1, 2),)}, r"the state of '3' is for batch size 4, the input has 3"),
        ({"lif": (torch.zeros(B, 2),)}, r"state names 'lif', which is no neuron or block here; these are '1.0', '3'"),
    ],
)
def test_refuses_states_of_other_networks(state, message):
    with pytest.raises(ValueError, match=message):
        unroll(stack(), series(), state=state)


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda net: nn.Sequential(nn.DataParallel(net))])
@pytest.mark.parametrize("make", [stack, lambda: stack(init_hidden=True), Stepped])
def test_refuses_data_parallel_nets(make, wrap):
    with pytest.raises(TypeError, match=r"is a DataParallel, .* Unroll inside the forward of a module of your own"):
        unroll(wrap(make()), series())


def test_refuses_distributed_nets():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        with pytest.raises(TypeError, match="'net' is a DistributedDataParallel"):
            unroll(nn.parallel.DistributedDataParallel(stack()), series())
    finally:
        torch.distributed.destroy_process_group()
