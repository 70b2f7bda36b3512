import torch
from torch import nn

from lightning_neuro.safe_mutation.divergence import Divergence
from lightning_neuro.safe_mutation.population import BatchedPolicy


def test_divergence_is_the_mean_squared_change_over_valid_states_and_outputs():
    policy = nn.Linear(2, 3).double()
    parents, children = torch.randn(2, 4, 9, dtype=torch.float64)
    states = torch.randn(4, 5, 2, dtype=torch.float64)
    valid = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) < 0.6
    valid[:, 2] = True
    batched = BatchedPolicy(policy)
    for max_bytes in (1, 2**20):
        found = Divergence("test", batched, parents, states, valid, max_bytes).of(children)
        for p in range(4):
            before, after = (batched.individual(v[p])(states[p, valid[p]]) for v in (parents, children))
            torch.testing.assert_close(found[p], (after - before).square().mean())


def test_decisions_without_gradient_can_be_compared():
    class Decides(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).argmax(-1, keepdim=True)

    parents, states = torch.zeros(1, 4), torch.tensor([[1.0], [-1.0]])
    children = torch.tensor([[0.0, 1.0, 0.0, 0.0]])  # the second output wins where the state is positive
    assert Divergence("test", BatchedPolicy(Decides(1, 2)), parents, states).of(children).tolist() == [0.5]
