import pytest
import torch
from support.explicit_jacobian import explicit_jacobian
from torch import nn

from lightning_neuro.safe_mutation.jacobian import Block, magnitude, magnitude_by_loop, summed
from lightning_neuro.safe_mutation.population import BatchedPolicy


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("outputs", [slice(0, 3), slice(1, 2)])
def test_weighted_sums_equal_those_of_the_explicit_jacobian(outputs, own):
    policy = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    params = torch.randn(2, 27, dtype=torch.float64)
    states = torch.randn(2, 5, 2, dtype=torch.float64)
    weights = torch.rand(2, 1, 5, dtype=torch.float64)
    jacobian = torch.stack([explicit_jacobian(policy, params[p], states[p if own else 0]) for p in range(2)])
    block = Block(params, states if own else states[0], 0 if own else None, weights)
    batched = BatchedPolicy(policy)
    chosen = jacobian[:, :, outputs]
    expected = torch.einsum("pb,pbkd->kpd", weights[:, 0], chosen)
    torch.testing.assert_close(summed(batched, block, outputs), expected)
    expected = torch.einsum("pb,pbkd->kpd", weights[:, 0], chosen.abs())
    torch.testing.assert_close(magnitude(batched, block, outputs), expected)
    torch.testing.assert_close(magnitude_by_loop(batched, block, outputs), expected)
