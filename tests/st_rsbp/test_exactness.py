import pytest
import torch

from lightning_neuro.st_rsbp.exactness import exact


def test_no_graph_and_no_half_precision_however_the_tensor_is_given():
    product = exact(lambda left, right: left @ right)
    weight = torch.eye(2, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.mm(weight, weight).dtype == torch.bfloat16
        for result in (product(weight, weight), product(left=weight, right=weight)):
            assert result.dtype == torch.float32
            assert not result.requires_grad


def test_gradients_are_back_on_afterwards_even_after_an_error():
    with pytest.raises(RuntimeError):
        exact(torch.mm)(torch.ones(2, 2), torch.ones(3, 3))
    assert torch.is_grad_enabled()
