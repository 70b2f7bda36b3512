import itertools

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from lightning_neuro.safe_mutation.nested import tensors_of
from lightning_neuro.safe_mutation.recurrent import vmap_safe

STEPS, STATES, INPUTS, UNITS, GENOMES = 4, 9, 3, 5, 3
LAYERS = {
    "rnn": lambda **options: nn.RNN(INPUTS, UNITS, **options),
    "relu": lambda **options: nn.RNN(INPUTS, UNITS, nonlinearity="relu", **options),
    "lstm": lambda **options: nn.LSTM(INPUTS, UNITS, **options),
    "projected": lambda **options: nn.LSTM(INPUTS, UNITS, proj_size=2, **options),
    "gru": lambda **options: nn.GRU(INPUTS, UNITS, **options),
}
CELLS = {
    "rnn": lambda **options: nn.RNNCell(INPUTS, UNITS, **options),
    "relu": lambda **options: nn.RNNCell(INPUTS, UNITS, nonlinearity="relu", **options),
    "lstm": lambda **options: nn.LSTMCell(INPUTS, UNITS, **options),
    "gru": lambda **options: nn.GRUCell(INPUTS, UNITS, **options),
}
FORMS = [
    {"num_layers": layers, "bidirectional": both, "batch_first": batch_first, "bias": bias}
    for layers, both, batch_first, bias in itertools.product((1, 2), *[(False, True)] * 3)
]


def like(state):
    return tuple(map(torch.randn_like, state)) if isinstance(state, tuple) else torch.randn_like(state)


def assert_same(one, other):
    for expected, got in zip(tensors_of(one), tensors_of(other), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
        assert got.is_contiguous() or not expected.is_contiguous()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("shape", [(STEPS, STATES, INPUTS), (STEPS, 2, INPUTS), (STEPS, INPUTS)])
def test_layers_equal_those_of_torch(kind, shape):
    for form in FORMS:
        layer = LAYERS[kind](**form).double()
        twin, inputs = vmap_safe(layer), torch.randn(shape, dtype=torch.float64)
        expected = layer(inputs)
        assert_same(expected, twin(inputs))
        start = like(expected[1])
        assert_same(layer(inputs, start), twin(inputs, start))


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(STATES, INPUTS), (2, INPUTS), (INPUTS,)])
def test_cells_equal_those_of_torch(kind, bias, shape):
    cell = CELLS[kind](bias=bias).double()
    twin, inputs = vmap_safe(cell), torch.randn(shape, dtype=torch.float64)
    expected = cell(inputs)
    assert_same(expected, twin(inputs))
    start = like(expected)
    assert_same(cell(inputs, start), twin(inputs, start))


@pytest.mark.parametrize(
    ("make", "shape"),
    [(make, (STEPS, STATES, INPUTS)) for make in LAYERS.values()]
    + [(make, (STATES, INPUTS)) for make in CELLS.values()],
)
def test_twins_batch_over_weights_under_no_grad(make, shape):
    layers = [make().double() for _ in range(GENOMES)]
    twin, inputs = vmap_safe(layers[0]), torch.randn(shape, dtype=torch.float64)
    params, _ = stack_module_state(layers)
    with torch.no_grad():
        together = vmap(lambda weights: functional_call(twin, weights, (inputs,)))(params)
        for row, layer in enumerate(layers):
            got = [tensor[row] for tensor in tensors_of(together)]
            for one, other in zip(tensors_of(layer(inputs)), got, strict=True):
                torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_equal_those_of_torch(kind):
    layer = LAYERS[kind](num_layers=2, bidirectional=True).double()
    twin, inputs = vmap_safe(layer), torch.randn(STEPS, STATES, INPUTS, dtype=torch.float64)
    weights = {name: parameter.detach() for name, parameter in layer.named_parameters()}
    got = grad(lambda weights: functional_call(twin, weights, (inputs,))[0].square().sum())(weights)
    layer(inputs)[0].square().sum().backward()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("make", [*LAYERS.values(), *CELLS.values()])
def test_state_dicts_interchange(make):
    layer = make()
    twin = vmap_safe(layer)
    assert list(twin.state_dict()) == list(layer.state_dict())
    make().load_state_dict(twin.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), layer.parameters(), strict=True))
    assert isinstance(twin, type(layer))
    assert twin.hidden_size == UNITS


def test_the_original_is_untouched_and_aliases_and_ties_in_the_copy_hold():
    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(3, 3)
            self.again = self.cell
            self.aliases = [self.cell]

    policy = Policy()
    safe = vmap_safe(policy)
    assert type(policy.cell) is nn.GRUCell
    assert safe.aliases[0] is safe.cell is safe.again is not policy.cell
    assert type(safe.cell) is not nn.GRUCell


def test_subclasses_stay_what_they_are():
    class Own(nn.LSTM):
        pass

    assert type(vmap_safe(Own(3, 4))) is Own


def test_dropout_is_ignored_in_evaluation_and_refused_in_training():
    layer = nn.LSTM(INPUTS, UNITS, 2, dropout=0.5).double()
    twin, inputs = vmap_safe(layer), torch.randn(STEPS, STATES, INPUTS, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"MatmulLSTM: dropout must be 0 in training mode, got 0.5. Call eval\(\)"):
        twin(inputs)
    assert_same(layer.eval()(inputs), twin.eval()(inputs))


def test_inputs_of_another_form_are_refused():
    twin = vmap_safe(nn.GRU(INPUTS, UNITS))
    with pytest.raises(TypeError, match="MatmulGRU: expected a tensor, got a PackedSequence"):
        twin(nn.utils.rnn.pack_sequence([torch.zeros(2, INPUTS)]))
    for shape in [(INPUTS,), (STEPS, STATES, INPUTS + 1), (0, STATES, INPUTS)]:
        with pytest.raises(ValueError, match=r"MatmulGRU: expected a sequence \(T, B, 3\)"):
            twin(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"MatmulGRUCell: expected inputs \(B, 3\)"):
        vmap_safe(nn.GRUCell(INPUTS, UNITS))(torch.zeros(2, 4))
