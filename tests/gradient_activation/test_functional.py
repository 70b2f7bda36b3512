import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.gradient_activation import functional as gaf

FIXED = ("atan", "tanh", "log")
PAIRS = [(0.1, 20.0), (0.2, 10.0), (0.3, 4.5), (0.1, 15.0), (0.02, 100.0), (1.0, 1.5), (0.05, 20.0), (0.7, 0.7)]
# The table of the crossover in the specification, rows as in PAIRS.
CROSSOVERS = {
    "atan": [0.1166, 0.2331, 0.2578, 0.0967, 0.0233, 0.9674, 0.0, 0.0],
    "tanh": [0.0958, 0.1915, 0.2359, 0.0859, 0.0192, 0.8586, 0.0, 0.0],
    "log": [0.1256, 0.2513, 0.1719, 0.0763, 0.0251, 0.7627, 0.0, 0.0],
}
numbers = st.floats(0.01, 100.0)
gradients = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)


def obvious(name: str, x: float, alpha: float, beta: float) -> float:
    """One element at a time, with the standard library."""
    if name == "atan":
        return alpha * math.atan(beta * x)
    if name == "tanh":
        return alpha * math.tanh(beta * x)
    return math.copysign(alpha * math.log1p(beta * abs(x)), x)


@pytest.mark.parametrize("name", FIXED)
@given(x=gradients, alpha=numbers, beta=numbers)
def test_functions_equal_an_element_wise_loop(name, x, alpha, beta):
    expected = torch.tensor([obvious(name, value, alpha, beta) for value in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(gaf.resolve(name)(x, alpha, beta), expected, rtol=1e-13, atol=1e-300)


def test_log_equals_the_two_relu_form():
    x = torch.linspace(-3, 3, 101, dtype=torch.float64)
    two_relus = 0.1 * torch.log(1 + 20 * x.relu()) - 0.1 * torch.log(1 + 20 * (-x).relu())
    torch.testing.assert_close(gaf.log(x, 0.1, 20.0), two_relus, rtol=1e-13, atol=1e-15)


def test_functions_take_tensors_for_alpha_and_beta():
    x = torch.tensor([[0.1, -2.0], [0.3, 4.0]], dtype=torch.float64)
    alpha, beta = torch.tensor([[0.1], [0.2]], dtype=torch.float64), torch.tensor([20.0, 10.0], dtype=torch.float64)
    for name in FIXED:
        expected = [[obvious(name, x[i, j].item(), alpha[i, 0].item(), beta[j].item()) for j in (0, 1)] for i in (0, 1)]
        torch.testing.assert_close(gaf.resolve(name)(x, alpha, beta), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("name", [*FIXED, "atan_adaptive"])
@given(alpha=numbers, beta=numbers)
def test_p01_odd_increasing_concave_with_slope_alpha_beta(name, alpha, beta):
    function = gaf.resolve(name)
    x = torch.logspace(-4, 1, 200, dtype=torch.float64) / beta
    both = function(torch.cat([-x.flip(0), x]), alpha, beta)
    assert torch.equal(both[:200].flip(0), -both[200:])
    slopes = torch.diff(both[200:]) / torch.diff(x)
    assert (slopes > 0).all()
    assert (torch.diff(slopes) <= 1e-12 * alpha * beta).all()
    largest = 1.0 if name == "atan_adaptive" else 0.0  # there the scale comes from the largest element
    step = 1e-6 / beta if largest == 0 else 1e-7
    pair = function(torch.tensor([-step, step, largest], dtype=torch.float64), alpha, beta)
    assert (pair[1] - pair[0]).item() / (2 * step) == pytest.approx(alpha * beta, rel=1e-6)


@pytest.mark.parametrize(("name", "bound"), [("atan", math.pi / 2), ("tanh", 1.0)])
@given(alpha=numbers, beta=numbers)
def test_p02_bound_holds_also_for_huge_and_infinite_gradients(name, bound, alpha, beta):
    x = torch.tensor([1e-30, 1.0, 1e30, math.inf], dtype=torch.float64)
    y = gaf.resolve(name)(torch.cat([x, -x]), alpha, beta)
    assert (y.abs() <= alpha * bound * (1 + 1e-15)).all()
    assert y[3].item() == pytest.approx(alpha * bound, rel=1e-14)
    in_place = torch.cat([x, -x])
    gaf.activate_([in_place], name, alpha, beta)
    assert (in_place.abs() <= alpha * bound * (1 + 1e-15)).all()


@pytest.mark.parametrize("name", FIXED)
@given(alpha=numbers, beta=numbers)
def test_p03_enlarges_below_the_crossover_and_only_there(name, alpha, beta):
    crossover = gaf.crossover(name, alpha, beta)
    assert (crossover > 0) == (alpha * beta > 1)
    x = torch.logspace(-8, 8, 300, dtype=torch.float64)
    clear_of_it = (x / max(crossover, 1e-300) - 1).abs() > 1e-6
    enlarged = gaf.resolve(name)(x, alpha, beta) > x * (1 + 1e-12)
    below = x < crossover
    # Far below the crossover the factor alpha * beta itself may be 1 to within rounding.
    if alpha * beta > 1 + 1e-6 or alpha * beta <= 1:
        assert torch.equal(enlarged[clear_of_it & (x * beta > 1e-3)], below[clear_of_it & (x * beta > 1e-3)])


@pytest.mark.parametrize("name", FIXED)
def test_crossover_equals_the_table_of_the_specification(name):
    measured = [gaf.crossover(name, alpha, beta) for alpha, beta in PAIRS]
    assert measured == pytest.approx(CROSSOVERS[name], abs=5.1e-5)


def test_crossover_of_the_adaptive_form_is_a_fraction_of_the_largest():
    fraction = gaf.crossover("atan_adaptive", 0.1, 20.0)
    x = torch.tensor([fraction * 7.0 * 0.999, fraction * 7.0 * 1.001, 7.0], dtype=torch.float64)
    y = gaf.atan_adaptive(x, gamma=2.0, shrink=10.0)
    assert y[0] > x[0]
    assert y[1] < x[1]


def test_atan_adaptive_is_bounded_by_a_share_of_the_largest_and_safe_at_zero():
    x = torch.tensor([-8.0, 1e-3, 2.0], dtype=torch.float64)
    y = gaf.atan_adaptive(x, gamma=2.0, shrink=10.0)
    assert y[0].item() == pytest.approx(-0.8 * 2 / math.pi * math.atan(2.0 * 10 * math.pi / 2))
    assert torch.equal(gaf.atan_adaptive(torch.zeros(3), 2.0, 10.0), torch.zeros(3))
    assert gaf.atan_adaptive(torch.zeros(0), 2.0, 10.0).shape == (0,)


@pytest.mark.parametrize("name", [*FIXED, "atan_adaptive", "identity"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_activate_equals_the_function_out_of_place(name, dtype):
    shapes = [(7, 5), (), (0,), (3, 4, 2, 2)]
    originals = [torch.randn(shape).to(dtype) for shape in shapes]
    originals[3] = originals[3].contiguous(memory_format=torch.channels_last)
    tensors = [t.clone() for t in originals]
    gaf.activate_([tensors[0], None, *tensors[1:]], name, 0.1, 20.0)
    for original, tensor in zip(originals, tensors, strict=True):
        expected = gaf.resolve(name)(original, 0.1, 20.0)
        torch.testing.assert_close(
            tensor, expected, rtol=4 * torch.finfo(dtype).eps, atol=1e-6 if dtype == torch.float16 else 0.0
        )


def test_activate_accepts_a_callable_and_a_strength():
    x = torch.tensor([0.04, -9.0], dtype=torch.float64)
    half = x.clone()
    gaf.activate_([half], lambda g, alpha, beta: g.sign() * g.abs().sqrt(), strength=0.5)
    torch.testing.assert_close(half, torch.tensor([(0.04 + 0.2) / 2, (-9.0 - 3.0) / 2], dtype=torch.float64))
    none = x.clone()
    gaf.activate_([none], "atan", strength=0.0)
    assert torch.equal(none, x)


def test_a_callable_may_work_in_place():
    x = torch.tensor([0.04, -9.0], dtype=torch.float64)
    y = x.clone()
    gaf.activate_([y], lambda g, alpha, beta: g.mul_(beta).atan_().mul_(alpha), 0.1, 20.0, strength=0.5)
    torch.testing.assert_close(y, 0.5 * x + 0.5 * gaf.atan(x, 0.1, 20.0))


def test_p15_sparse_gradient_equals_dense_gradient():
    indices = torch.tensor([[0, 2, 0]])
    values = torch.tensor([[0.01, 1.0], [0.02, -3.0], [0.05, 0.5]], dtype=torch.float64)
    sparse = torch.sparse_coo_tensor(indices, values, (4, 2), check_invariants=True)
    dense = sparse.to_dense()
    for name in [*FIXED, "atan_adaptive"]:
        activated = sparse.clone()
        gaf.activate_([activated], name, 0.1, 20.0)
        torch.testing.assert_close(activated.to_dense(), gaf.resolve(name)(dense, 0.1, 20.0), rtol=1e-14, atol=0.0)


def test_complex_gradient_is_activated_in_both_parts():
    x = torch.tensor([0.01 - 3.0j, 0.2 + 0.0j], dtype=torch.complex128)
    y = x.clone()
    gaf.activate_([y], "atan", 0.1, 20.0)
    torch.testing.assert_close(y, torch.complex(gaf.atan(x.real), gaf.atan(x.imag)), rtol=1e-14, atol=0.0)


def test_slope_and_bound_are_met():
    for name in ("atan", "tanh", "atan_adaptive"):
        alpha, beta = gaf.alpha_beta(name, slope=3.0, bound=0.25)
        x = torch.tensor([1e-9, 1e12], dtype=torch.float64)
        y = gaf.resolve(name)(x if name != "atan_adaptive" else torch.tensor([1e-9, 1.0]).double(), alpha, beta)
        assert (y[0] / 1e-9).item() == pytest.approx(3.0, rel=1e-6)
        # The adaptive form comes near its bound at the largest element, and stays within it.
        assert y[1].item() == pytest.approx(0.25, rel=0.15 if name == "atan_adaptive" else 1e-6)
        assert y[1].item() <= 0.25
    with pytest.raises(ValueError, match="function must be one of 'atan', 'tanh', 'atan_adaptive', got 'log'"):
        gaf.alpha_beta("log", slope=2.0, bound=1.0)
    with pytest.raises(ValueError, match="bound must be greater than 0, got -1"):
        gaf.alpha_beta("atan", slope=2.0, bound=-1.0)


@pytest.mark.parametrize("name", gaf.FUNCTIONS)
@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 20.0), (0.02, 100.0), (1e-3, 1e5)])
def test_validate_accepts_every_named_function(name, alpha, beta):
    gaf.validate(name, alpha, beta)


@pytest.mark.parametrize(
    ("function", "broken"),
    [
        (lambda g, a, b: g.abs(), "odd"),
        (lambda g, a, b: a * torch.sin(g), "increasing"),
        (lambda g, a, b: g**3, "concave"),
        (lambda g, a, b: 2 * g, "bounded or slower than linear"),
        (lambda g, a, b: 0.01 * g + torch.atan(3 * g), "bounded or slower than linear"),
        (lambda g, a, b: torch.where(g == 0, 1.0, 2 * torch.atan(g)), "zero at zero"),
    ],
)
def test_validate_names_the_broken_condition(function, broken):
    with pytest.raises(ValueError, match=broken):
        gaf.validate(function)


def test_validate_refuses_a_function_without_a_tensor_and_warns_of_a_flat_one():
    with pytest.raises(TypeError, match="must return a tensor of the shape"):
        gaf.validate(lambda g, a, b: g.sum())
    with pytest.warns(UserWarning, match=r"slope 0.5 at zero: it enlarges no gradient"):
        gaf.validate(lambda g, a, b: 0.5 * torch.atan(g))


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"function must be one of 'atan', .* got 'relu'"):
        gaf.activate_([torch.ones(1)], "relu")


@pytest.mark.parametrize("function", [gaf.atan, gaf.tanh, gaf.log, gaf.atan_adaptive])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_scales_that_would_end_in_nan_are_refused(function, value):
    for pair in ((value, 1.0), (1.0, value)):
        with pytest.raises(ValueError, match=rf"{function.__name__}: \w+ must be greater than 0, got"):
            function(torch.tensor([0.0, 1.0]), *pair)
