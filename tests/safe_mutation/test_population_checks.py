import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.population_checks import check_genomes, check_population


def test_a_population_passes():
    check_population("test", BatchedPolicy(nn.Linear(3, 2)), torch.zeros(1, 8))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([[0.0] * 8], TypeError, "got list"),
        (torch.zeros(1, 8, dtype=torch.int32), TypeError, "got torch.int32"),
        (torch.zeros(8), ValueError, r"shape \(8,\)"),
        (torch.zeros(1, 9), ValueError, "8 trainable weights of Linear"),
        (torch.full((3, 8), torch.inf), ValueError, "parent 0"),
    ],
)
def test_anything_else_is_named(params, error, message):
    with pytest.raises(error, match=f"test: params must be .*{message}"):
        check_population("test", BatchedPolicy(nn.Linear(3, 2)), params)


def test_shapes_are_compared():
    with pytest.raises(ValueError, match=r"test: noise must have the shape of params, \(2, 3\), got \(2, 2\)"):
        check_genomes("test", "noise", torch.zeros(2, 2), like=torch.zeros(2, 3))
