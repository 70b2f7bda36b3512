import copy
import pickle

import numpy as np
import pytest
import torch
from reservoirpy.nodes import IPReservoir, Reservoir
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lightning_neuro.reservoir.measures.drive import states_of
from lightning_neuro.reservoir.measures.maps import as_map
from lightning_neuro.reservoir.node import PermutationReservoir, SelfOrganizingReservoir
from lightning_neuro.reservoir.torch import TorchReservoir

SERIES = np.random.default_rng(0).uniform(-1, 1, (3, 40, 2))


def organised(equation, lr=0.4):
    node = SelfOrganizingReservoir(30, equation=equation, lr=lr, seed=1, bias=np.linspace(-1, 1, 30))
    node.initialize(SERIES[0])
    rng = np.random.default_rng(5)
    node.a, node.b = rng.uniform(0.5, 1.5, 30), rng.normal(size=30)
    return node


def intrinsic():
    node = IPReservoir(30, lr=0.7, seed=2, sr=0.8)
    node.fit(SERIES[0])
    return node


NODES = {
    "plain": lambda: Reservoir(30, seed=0, sr=0.9),
    "leaky": lambda: Reservoir(30, lr=0.3, seed=0, bias=0.5, activation="sigmoid"),
    "leak per unit": lambda: Reservoir(30, lr=np.linspace(0.1, 1, 30), seed=0, activation="softplus", sr=0.3),
    "large": lambda: Reservoir(450, lr=0.3, seed=0),
    "identity": lambda: Reservoir(30, seed=0, sr=0.5, activation="identity"),
    "relu": lambda: Reservoir(30, seed=0, sr=0.5, lr=0.5, activation="relu"),
    "intrinsic plasticity": intrinsic,
    "gains": lambda: organised("internal"),
    "gains outside": lambda: organised("external"),
    "gains outside, no leak": lambda: organised("external", lr=1.0),
    "permutation": lambda: PermutationReservoir(30, seed=0),
}


def run_of(node, series):
    node = copy.deepcopy(node)
    if node.initialized:
        node.reset()
    return node.run(series)


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("sparse", [None, True, False])
def test_states_are_those_of_the_node(name, sparse):
    node = NODES[name]()
    reservoir = TorchReservoir.from_node(node, input_dim=2, sparse=sparse)
    wanted = np.stack([run_of(node, series) for series in SERIES])
    np.testing.assert_allclose(reservoir(torch.tensor(SERIES)).numpy(), wanted, atol=1e-12, rtol=0)
    np.testing.assert_allclose(reservoir.states(SERIES[0]).numpy(), wanted[0], atol=1e-12, rtol=0)
    learning = TorchReservoir.from_node(node, input_dim=2, trainable=True)
    np.testing.assert_allclose(learning(torch.tensor(SERIES)).detach().numpy(), wanted, atol=1e-12, rtol=0)
    np.testing.assert_allclose(run_of(reservoir.to_node(), SERIES[1]), wanted[1], atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["leaky", "gains", "gains outside"])
def test_measures_read_the_module_as_they_read_the_node(name):
    node = NODES[name]()
    if not node.initialized:
        node.initialize(SERIES[0])
    reservoir = TorchReservoir.from_node(node)
    one, other = as_map(reservoir, SERIES[0]), as_map(node, SERIES[0])
    x, u = np.linspace(-1, 1, 30), SERIES[0, 0]
    np.testing.assert_allclose(one.step(x, u), other.step(x, u), atol=1e-14, rtol=0)
    assert one.leak_inside == other.leak_inside
    np.testing.assert_allclose(states_of(reservoir, SERIES[0]), states_of(node, SERIES[0]), atol=1e-12, rtol=0)


def test_a_node_is_left_as_it_is():
    node = Reservoir(10, seed=0)
    TorchReservoir.from_node(node, input_dim=2)
    assert not node.initialized
    assert callable(node.W)


@pytest.mark.parametrize("name", ["leaky", "gains outside"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("trainable", [True, False])
def test_a_run_goes_on_where_another_stopped(name, sparse, trainable):
    reservoir = TorchReservoir.from_node(NODES[name](), input_dim=2, sparse=sparse, trainable=trainable)
    inputs = torch.tensor(SERIES)
    whole, end = reservoir.run(inputs)
    first, middle = reservoir.run(inputs[:, :13])
    second, last = reservoir.run(inputs[:, 13:], middle)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-14, rtol=0)
    torch.testing.assert_close(last.out, end.out, atol=1e-14, rtol=0)
    if end.net is not None:
        torch.testing.assert_close(last.net, end.net, atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", ["leaky", "gains outside"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("batch", [3, 1])
def test_padding_changes_nothing(name, sparse, trainable, batch):
    reservoir = TorchReservoir.from_node(NODES[name](), input_dim=2, sparse=sparse, trainable=trainable)
    lengths = torch.tensor([7, 0, 40])[-batch:]
    inputs = torch.tensor(SERIES[-batch:])
    for row, stop in enumerate(lengths):
        inputs[row, stop:] = torch.nan
    states, last = reservoir.run(inputs, lengths=lengths)
    for row, stop in enumerate(lengths.tolist()):
        assert not states[row, stop:].any()
        alone, end = reservoir.run(inputs[row : row + 1, :stop])
        torch.testing.assert_close(states[row : row + 1, :stop], alone, atol=1e-14, rtol=0)
        torch.testing.assert_close(last.out[row], end.out[0], atol=1e-14, rtol=0)
        if end.net is not None:
            torch.testing.assert_close(last.net[row], end.net[0], atol=1e-14, rtol=0)


def test_packed_series_come_back_packed():
    reservoir = TorchReservoir.from_node(NODES["leaky"](), input_dim=2)
    stops = torch.tensor([7, 40, 20])
    inputs = torch.tensor(SERIES)
    packed = pack_padded_sequence(inputs, stops, batch_first=True, enforce_sorted=False)
    states, lengths = pad_packed_sequence(reservoir(packed), batch_first=True)
    assert torch.equal(lengths, stops)
    assert torch.equal(states, reservoir(inputs, lengths=stops))


@pytest.mark.parametrize("equation", ["internal", "external"])
def test_gradients_are_those_of_finite_differences(equation):
    rng = np.random.default_rng(0)
    reservoir = TorchReservoir(
        rng.normal(size=(3, 3)) / 2, rng.normal(size=(3, 2)), leak=0.6, gain=1.2, equation=equation, trainable=True
    )
    names = [name for name, _ in reservoir.named_parameters()]

    def run(inputs, *values):
        return torch.func.functional_call(reservoir, dict(zip(names, values, strict=True)), (inputs,))

    inputs = torch.tensor(SERIES[:2, :5]).requires_grad_()
    assert torch.autograd.gradcheck(run, (inputs, *reservoir.parameters()))


def test_truncated_gradients_end_at_the_block():
    reservoir = TorchReservoir.from_node(NODES["plain"](), input_dim=2, truncate=10)
    inputs = torch.tensor(SERIES).requires_grad_()
    reservoir(inputs)[:, 25].sum().backward()
    reached = inputs.grad.abs().sum((0, 2)) > 0
    assert reached.nonzero().flatten().tolist() == list(range(20, 26))


def test_single_precision_follows_and_autocast_leaves_it_alone():
    node = NODES["leaky"]()
    exact = TorchReservoir.from_node(node, input_dim=2)
    single = TorchReservoir.from_node(node, input_dim=2, dtype=torch.float32)
    plain = single(torch.tensor(SERIES))
    assert plain.dtype == torch.float32
    torch.testing.assert_close(plain.double(), exact(torch.tensor(SERIES)), atol=1e-5, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(single(torch.tensor(SERIES)), plain)


def test_copies_pickles_and_checkpoints_compute_the_same():
    reservoir = TorchReservoir.from_node(NODES["gains outside"](), trainable=("Win",))
    other = TorchReservoir(torch.zeros(30, 30).double(), torch.zeros(30, 2), equation="external", trainable=("Win",))
    other.load_state_dict(reservoir.state_dict())
    inputs = torch.tensor(SERIES)
    for twin in (
        copy.deepcopy(reservoir),
        pickle.loads(pickle.dumps(reservoir)),
        other,
        torch.compile(reservoir, backend="eager"),
    ):
        assert torch.equal(twin(inputs), reservoir(inputs))
    assert [name for name, _ in reservoir.named_parameters()] == ["Win"]


def test_inputs_are_not_changed_and_no_series_gives_no_states():
    reservoir = TorchReservoir(torch.eye(2), torch.eye(2), activation="identity", leak=0.5)
    inputs = torch.ones(2, 4, 2)
    reservoir(inputs)
    assert torch.equal(inputs, torch.ones(2, 4, 2))
    assert reservoir(torch.zeros(0, 4, 2)).shape == (0, 4, 2)
    assert reservoir(torch.zeros(0, 2)).shape == (0, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"W": np.zeros((2, 3))}, r"W must be square, got shape \(2, 3\)"),
        ({"W": np.full((2, 2), np.nan)}, "W must be finite.*nilpotent"),
        ({"Win": np.zeros((3, 1))}, r"Win must be \(2, K\)"),
        ({"bias": np.zeros(3)}, r"bias must be a number or \(2,\)"),
        ({"leak": 1.5}, "leak must be from 0 to 1"),
        ({"activation": "softmax"}, "activation must be one of"),
        ({"equation": "both"}, "equation must be one of"),
        ({"trainable": ("Wout",)}, "trainable must be one of"),
        ({"truncate": 0}, "truncate must be at least 1"),
        ({"dtype": torch.float16}, "dtype must be torch.float32 or torch.float64"),
    ],
)
def test_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TorchReservoir(**({"W": np.eye(2), "Win": np.ones((2, 1))} | options))


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (torch.zeros(5, 3), {}, r"inputs must be \(B, T, 1\) or \(T, 1\), got \(5, 3\)"),
        (torch.full((5, 1), torch.nan), {}, "inputs must be finite, got nan or inf in column 0"),
        (torch.zeros(2, 5, 1), {"lengths": torch.tensor([1, 6])}, "lengths must be 2 whole numbers from 0 to 5"),
        (torch.zeros(2, 5, 1), {"state": (torch.zeros(1, 2),)}, r"state must hold tensors \(2, 2\), got \(1, 2\)"),
        (torch.ones(3000, 1), {}, "the reservoir ran away"),
    ],
)
def test_series_are_refused(inputs, options, message):
    with pytest.raises(ValueError, match=message):
        TorchReservoir(2 * np.eye(2), np.ones((2, 1)), activation="identity")(inputs, **options)


def test_what_a_short_series_would_become_in_its_padding_is_nobodys_business():
    growing = TorchReservoir([[5.0]], [[1.0]], activation="identity", dtype=torch.float32)
    inputs = torch.zeros(2, 300, 1)
    inputs[1, :5] = 1.0
    states = growing(inputs, lengths=torch.tensor([300, 5]))
    assert states[1, 4].item() == 781.0
    assert states[1, 5:].abs().max() == 0
    with pytest.raises(ValueError, match="the reservoir ran away"):
        growing(inputs)


def test_nodes_it_cannot_read_are_refused():
    with pytest.raises(TypeError, match="expected a reservoir with W"):
        TorchReservoir.from_node(object())
    with pytest.raises(ValueError, match="Give input_dim"):
        TorchReservoir.from_node(Reservoir(10))
    with pytest.raises(ValueError, match="activation must be one of"):
        TorchReservoir.from_node(Reservoir(10, activation="softmax"), input_dim=1)
    with pytest.raises(ValueError, match="nilpotent"), np.errstate(all="ignore"):
        TorchReservoir.from_node(Reservoir(W=np.full((2, 2), np.inf), Win=np.ones((2, 1))), input_dim=1)
