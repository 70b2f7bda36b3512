import pytest
import torch
from support.explicit_jacobian import explicit_jacobian
from torch import nn

from lightning_neuro.safe_mutation.gauss_newton import gauss_newton_product, has_forward_mode
from lightning_neuro.safe_mutation.jacobian import Block
from lightning_neuro.safe_mutation.population import BatchedPolicy


@pytest.mark.parametrize("forward", [True, False])
def test_the_product_equals_the_explicit_one_and_the_hessian_of_the_output_change(forward):
    policy = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    params = torch.randn(2, 27, dtype=torch.float64)
    states, direction = torch.randn(5, 2, dtype=torch.float64), torch.randn(2, 27, dtype=torch.float64)
    batched = BatchedPolicy(policy)
    block = Block(params, states, None, torch.full((2, 1, 5), 0.2, dtype=torch.float64))
    assert has_forward_mode(batched, params[0], states)
    found = gauss_newton_product(batched, block, direction, forward=forward)
    for parent, u, product in zip(params, direction, found, strict=True):
        jacobian = explicit_jacobian(policy, parent, states)
        torch.testing.assert_close(product, 2 / 5 * torch.einsum("bkd,bke,e->d", jacobian, jacobian, u))

        def change(vector: torch.Tensor, parent: torch.Tensor = parent) -> torch.Tensor:
            return (batched.single(vector, states) - batched.single(parent, states)).square().sum(1).mean()

        _, hessian_product = torch.autograd.functional.hvp(change, parent, u)
        torch.testing.assert_close(product, hessian_product)
