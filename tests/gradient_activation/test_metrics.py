import pytest
import torch

from lightning_neuro.gradient_activation import functional as gaf
from lightning_neuro.gradient_activation.activation import Activation
from lightning_neuro.gradient_activation.metrics import activation_metrics, measure, saturated


def test_metrics_equal_numbers_worked_out_by_hand():
    before = torch.tensor([0.01, 1.0, -0.2, 0.0])
    after = torch.tensor([0.02, 0.5, -0.1, 0.0])
    flat = torch.tensor([False, True, True, False])
    found = {name: value.item() for name, value in activation_metrics(before, after, flat).items()}
    assert found["fraction_enlarged"] == pytest.approx(1 / 4)
    assert found["fraction_saturated"] == pytest.approx(2 / 4)
    assert found["norm_before"] == pytest.approx((0.0001 + 1 + 0.04) ** 0.5)
    assert found["norm_after"] == pytest.approx((0.0004 + 0.25 + 0.01) ** 0.5)
    dot = 0.01 * 0.02 + 1.0 * 0.5 + 0.2 * 0.1
    assert found["cosine"] == pytest.approx(dot / (found["norm_before"] * found["norm_after"]))


def test_metrics_of_zero_gradients_are_finite():
    zeros = torch.zeros(3)
    assert all(value.isfinite() for value in activation_metrics(zeros, zeros, zeros.bool()).values())


def test_measure_sees_gradients_of_every_kind_before_and_after():
    dense, half = torch.tensor([0.5, -0.5]), torch.tensor([0.25], dtype=torch.bfloat16)
    z = torch.tensor([3.0 + 4.0j])
    sparse = torch.sparse_coo_tensor([[1, 1]], [2.0, 3.0], (4,), check_invariants=True)
    activation, groups = Activation("Example"), [({}, [dense, half, z, sparse])]
    with measure(groups, activation) as values:
        activation.apply_(groups, step=0)
    assert values["norm_before"].item() == pytest.approx((0.5 + 0.0625 + 25 + 25) ** 0.5)
    parts = [0.5, 0.5, 0.25, 3.0, 4.0, 5.0]
    expected = sum(gaf.atan(torch.tensor(part)).item() ** 2 for part in parts) ** 0.5
    assert values["norm_after"].item() == pytest.approx(expected, rel=1e-3)


def test_saturation_is_that_of_each_group_and_form():
    activation = Activation("Example", "atan", 0.1, 20.0)
    gradients = [torch.tensor([0.1, 0.01, 1e-3]) for _ in range(3)]
    groups = [
        ({}, [gradients[0]]),  # |20 g| > 3 for none
        ({"gradient_activation_beta": 2000.0}, [gradients[1]]),  # for two
        ({"gradient_activation": None}, [gradients[2]]),
    ]
    with measure(groups, activation) as values:
        pass
    assert values["fraction_saturated"].item() == pytest.approx(2 / 9)
    # slope 2 over the scale 2 / (10 pi) of the largest: from 0.0955 of the largest on
    x = torch.tensor([1.0, 0.1, 0.09])
    assert saturated(7 * x, "atan_adaptive", 0.1, 20.0).tolist() == [True, True, False]


def test_measure_of_nothing_is_empty():
    with measure([], Activation("Example")) as values:
        pass
    assert values == {}
