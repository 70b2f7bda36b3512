import pytest
import torch

from lightning_neuro.spiking.encoding.inputs import real_tensor, unit_interval


def test_gives_back_what_is_right():
    x = torch.rand(2, 3, dtype=torch.float64)
    assert real_tensor("Encoder", "x", x, least_dims=2, shape="(B, M)") is x
    assert unit_interval("Encoder", "x", x) is x
    empty = torch.zeros(0, 3)
    assert unit_interval("Encoder", "x", empty) is empty


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (torch.zeros(2, 2).bool(), TypeError, "Encoder: x must be a floating-point tensor, got torch.bool"),
        (None, TypeError, "Encoder: x must be a floating-point tensor, got NoneType"),
        (torch.zeros(2), ValueError, r"Encoder: x must have shape \(B, M\), got \(2,\)"),
        (torch.tensor([[torch.inf]]), ValueError, "Encoder: x must be finite"),
    ],
)
def test_names_what_is_wrong(value, error, message):
    with pytest.raises(error, match=message):
        real_tensor("Encoder", "x", value, least_dims=2, shape="(B, M)")
