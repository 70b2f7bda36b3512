import pytest
import torch

from lightning_neuro.gradient_activation import functional as gaf
from lightning_neuro.gradient_activation.activation import Activation
from lightning_neuro.gradient_activation.metrics import activation_metrics, measure


def test_metrics_equal_numbers_worked_out_by_hand():
    before = [torch.tensor([0.01, 1.0]), torch.tensor([[-0.2], [0.0]])]
    after = [torch.tensor([0.02, 0.5]), torch.tensor([[-0.1], [0.0]])]
    found = {name: value.item() for name, value in activation_metrics(before, after, beta=20.0).items()}
    assert found["fraction_enlarged"] == pytest.approx(1 / 4)
    assert found["fraction_saturated"] == pytest.approx(2 / 4)
    assert found["norm_before"] == pytest.approx((0.0001 + 1 + 0.04) ** 0.5)
    assert found["norm_after"] == pytest.approx((0.0004 + 0.25 + 0.01) ** 0.5)
    dot = 0.01 * 0.02 + 1.0 * 0.5 + 0.2 * 0.1
    assert found["cosine"] == pytest.approx(dot / (found["norm_before"] * found["norm_after"]))


def test_metrics_of_zero_gradients_are_finite():
    zeros = [torch.zeros(3)]
    assert all(value.isfinite() for value in activation_metrics(zeros, zeros, beta=20.0).values())


def test_measure_sees_gradients_of_every_kind_before_and_after():
    dense, half = torch.tensor([0.5, -0.5]), torch.tensor([0.25], dtype=torch.bfloat16)
    z = torch.tensor([3.0 + 4.0j])
    sparse = torch.sparse_coo_tensor([[1, 1]], [2.0, 3.0], (4,), check_invariants=True)
    activation = Activation("Example")
    with measure([dense, half, z, sparse], activation) as values:
        activation.apply_([({}, [dense, half, z, sparse])], step=0)
    assert values["norm_before"].item() == pytest.approx((0.5 + 0.0625 + 25 + 25) ** 0.5)
    parts = [0.5, 0.5, 0.25, 3.0, 4.0, 5.0]
    expected = sum(gaf.atan(torch.tensor(part)).item() ** 2 for part in parts) ** 0.5
    assert values["norm_after"].item() == pytest.approx(expected, rel=1e-3)


def test_measure_of_nothing_is_empty():
    with measure([], Activation("Example")) as values:
        pass
    assert values == {}
