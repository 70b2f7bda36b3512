import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.polynomial_nets import random_net, random_series

from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel
from lightning_neuro.spectral_rnn.model import CUBIC, LINEAR, QUADRATIC
from lightning_neuro.spectral_rnn.torch import BidirectionalPolynomialRNN, PolynomialRNN, PolynomialRNNCell


@pytest.mark.parametrize("coeffs", [LINEAR, QUADRATIC, CUBIC, (0.5, -0.2, 0.3)])
@given(seed=st.integers(0, 100))
def test_p15_torch_and_numpy_say_the_same(coeffs, seed):
    net, x = random_net(seed, coeffs=coeffs, coupling=0.05), random_series(3, 30, seed=seed) / 2
    outputs, last = PolynomialRNN.from_model(net)(torch.as_tensor(x))
    np.testing.assert_allclose(outputs.detach(), np.stack(net.predict_all(list(x))), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(last.detach(), [states[-1] for states in net.states(list(x))], rtol=1e-9, atol=1e-10)


def test_it_comes_back_as_it_went():
    net = random_net(1)
    back = PolynomialRNN.from_model(net).to_model()
    for name in ("input_weights", "recurrent_weights", "output_weights", "offset", "bias"):
        np.testing.assert_array_equal(getattr(back, name), getattr(net, name))
    assert back.coeffs == net.coeffs


def test_state_goes_in_and_out_and_padding_says_nothing():
    module, x = PolynomialRNN.from_model(random_net(2)), torch.as_tensor(random_series(2, 20))
    whole, last = module(x)
    first, state = module(x[:, :8])
    second, end = module(x[:, 8:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(end, last)
    padded = x.clone()
    padded[1, 5:] = torch.nan
    outputs, states = module(torch.nan_to_num(padded), lengths=torch.tensor([20, 5]))
    torch.testing.assert_close(outputs[1, :5], whole[1, :5])
    assert not outputs[1, 5:].any()
    torch.testing.assert_close(states[1], module(x[1, :5])[1])


def test_one_series_has_no_batch_axis():
    module, x = PolynomialRNN.from_model(random_net(3)), torch.as_tensor(random_series(1, 9)[0])
    outputs, last = module(x)
    assert (outputs.shape, last.shape) == ((9, 3), (2,))
    assert module(x[:0])[0].shape == (0, 3)


def test_the_cell_is_one_step_of_it():
    module, x = PolynomialRNN.from_model(random_net(4)), torch.as_tensor(random_series(2, 5))
    state = None
    for step in x.unbind(1):
        state = module.cell(step, state)
    torch.testing.assert_close(state, module(x)[1])


@given(seed=st.integers(0, 50))
def test_both_directions_say_what_the_model_says(seed):
    halves = [random_net(seed + k, offset=False, coupling=0.05) for k in (0, 100)]
    model = BidirectionalModel(*halves, np.array([1.0, 2.0, 3.0]))
    module, x = BidirectionalPolynomialRNN.from_model(model), random_series(2, 20, seed=seed)
    found = module(torch.as_tensor(x)).detach()
    np.testing.assert_allclose(found, np.stack(model.predict_all(list(x))), rtol=1e-9, atol=1e-9)
    lengths = torch.tensor([20, 7])
    short = module(torch.as_tensor(x), lengths).detach()
    np.testing.assert_allclose(short[1, :7], model.predict(x[1, :7]), rtol=1e-9, atol=1e-9)
    assert not short[1, 7:].any()


def test_gradients_are_right():
    module = PolynomialRNN.from_model(random_net(5))
    x = torch.as_tensor(random_series(2, 4)).requires_grad_()
    assert torch.autograd.gradcheck(lambda series: module(series)[0], x)


def test_it_is_copied_pickled_saved_and_compiled():
    module, x = PolynomialRNN(6, 2, 3), torch.as_tensor(random_series(2, 4)).float()
    wanted = module(x)[0]
    other = PolynomialRNN(6, 2, 3)
    other.load_state_dict(module.state_dict())
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    for one in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), other, compiled):
        torch.testing.assert_close(one(x)[0], wanted)


def test_fresh_weights_do_not_explode_and_states_can_be_cut():
    torch.manual_seed(0)
    x = torch.randn(64, 100, 10)
    share = [PolynomialRNN(10, 3, 1)(x)[0].isfinite().all(2).all(1).float().mean().item() for _ in range(20)]
    assert np.mean(share) > 0.9
    cut = PolynomialRNN(10, 3, 1, max_abs_state=3.0)
    assert cut.cell.states(100 * x).abs().max() == 3.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: PolynomialRNNCell(0, 1), ValueError, "input_size must be at least 1"),
        (lambda: PolynomialRNNCell(1, 1, (2.0,)), ValueError, "coeffs must be at least two"),
        (lambda: PolynomialRNN(2, 1, 0), ValueError, "output_size must be at least 1"),
        (lambda: PolynomialRNN(2, 1, 1)(torch.zeros(3, 4, 5)), ValueError, r"expected series \(B, T, 2\)"),
        (
            lambda: PolynomialRNN(6, 3, 3).write_(random_net(0)),
            ValueError,
            r"expected a network with \(H, Dx, coeffs\)",
        ),
        (lambda: BidirectionalPolynomialRNN(2, 1, 1)(torch.zeros(4)), ValueError, "expected series"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
