import pytest
import torch
from torch import Tensor, nn

from lightning_neuro.safe_mutation.policy_outputs import flat_rows
from lightning_neuro.safe_mutation.population import BatchedPolicy

GENOMES, STATES, STEPS = 5, 4, 3


class Returns(nn.Linear):
    def __init__(self, change) -> None:
        super().__init__(3, 2)
        self.change = change

    def forward(self, x: Tensor):
        return self.change(super().forward(x))


@pytest.mark.parametrize(
    ("change", "recurrence", "error", "words"),
    [
        (lambda y: (y, y), "none", TypeError, r"Returns must return one tensor.*tuple of Tensor, Tensor.*\(y, h\)"),
        (lambda y: {"y": y}, "none", TypeError, "must return one tensor of outputs, got dict"),
        (lambda y: y.sum(), "none", ValueError, r"outputs \(B, ...\) with B=4 .*got \(\)"),
        (lambda y: y.mT, "none", ValueError, r"observations \(4, 3\), got \(2, 4\)"),
        (lambda y: y, "sequence", ValueError, r"with B=4 for observations \(3, 4, 3\), got \(3, 4, 2\)"),
    ],
)
@pytest.mark.parametrize("vectorize", [True, "auto"])
def test_outputs_against_the_conventions_are_refused(change, recurrence, error, words, vectorize):
    policy = BatchedPolicy(Returns(change), recurrence=recurrence, vectorize=vectorize)
    time = () if recurrence == "none" else (STEPS,)
    with pytest.raises(error, match=words):
        policy(torch.randn(GENOMES, policy.size), torch.randn(*time, STATES, 3))


def test_a_step_that_returns_no_state_is_refused():
    class Stateless(nn.Linear):
        def forward(self, x, h=None):
            return super().forward(x)

    policy = BatchedPolicy(Stateless(3, 2))
    with pytest.raises(TypeError, match=r"Stateless is called as \(y, h\) = f\(x, h\), but returned Tensor"):
        policy(torch.randn(GENOMES, policy.size), torch.randn(STATES, 3))


@pytest.mark.parametrize(
    ("shape", "rows"), [((4, 2, 3), (4, 6)), ((4,), (4, 1)), ((0, 2, 3), (0, 6)), ((4, 2), (4, 2))]
)
def test_rows_keep_the_batch_and_flatten_the_rest(shape, rows):
    assert flat_rows(torch.zeros(shape)).shape == rows
