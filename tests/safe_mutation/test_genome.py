import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lightning_neuro.safe_mutation.genome import Genome


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(2, 1, 2))])
        self.register_buffer("offset", torch.ones(5))


@given(sizes=st.lists(st.integers(1, 5), min_size=2, max_size=5), seed=st.integers(0, 100))
def test_the_vector_is_what_parameters_to_vector_gives(sizes, seed):
    torch.manual_seed(seed)
    module = nn.Sequential(*(nn.Linear(n, m) for n, m in pairwise(sizes)))
    genome = Genome(module)
    assert torch.equal(genome.vector(module), nn.utils.parameters_to_vector(module.parameters()).detach())
    vector = torch.randn(genome.size)
    genome.write_(module, vector)
    assert torch.equal(genome.vector(module), vector)
    assert all(torch.equal(genome.tensors(vector)[name], value) for name, value in module.named_parameters())


def test_parameter_counts_of_the_authors_networks():
    def maze(hidden, layers):
        inner = [nn.Linear(hidden, hidden) for _ in range(layers)]
        return Genome(nn.Sequential(nn.Linear(11, hidden), *inner, nn.Linear(hidden, 2))).size

    def parity(cell):
        return Genome(nn.ModuleList([cell(1, 15), cell(15, 15), nn.Linear(15, 2)])).size

    assert (parity(nn.RNNCell), parity(nn.LSTMCell), maze(15, 6), maze(125, 64)) == (782, 3032, 1652, 1009752)


def test_tied_weights_count_once_and_buffers_and_frozen_weights_stay_out():
    module = Tied()
    module.first.bias.requires_grad_(False)
    genome = Genome(module)
    assert genome.names == ("first.weight", "second.bias", "scales.0", "scales.1")
    assert genome.size == 9 + 3 + 1 + 4
    frozen = module.first.bias.clone()
    genome.write_(module, torch.arange(17.0))
    assert torch.equal(module.second.weight, torch.arange(9.0).view(3, 3))
    assert torch.equal(module.first.bias, frozen)
    assert module.scales[0].item() == 12.0


def test_tensors_are_views_with_all_leading_dimensions():
    genome, vectors = Genome(Tied()), torch.randn(4, 7, 20)
    parts = genome.tensors(vectors)
    assert [tuple(part.shape) for part in parts.values()] == [
        (4, 7, 3, 3),
        (4, 7, 3),
        (4, 7, 3),
        (4, 7),
        (4, 7, 2, 1, 2),
    ]
    assert all(part.untyped_storage().data_ptr() == vectors.untyped_storage().data_ptr() for part in parts.values())


def test_the_vector_is_a_copy_and_serves_other_copies_of_the_module():
    module = nn.Linear(2, 2)
    genome, other = Genome(module), copy.deepcopy(module)
    vector = genome.vector(module)
    assert not vector.requires_grad
    vector.zero_()
    assert module.weight.any()
    genome.write_(other, vector)
    assert not other.weight.any()
    assert module.weight.any()


@pytest.mark.parametrize(
    ("module", "error", "words"),
    [
        (nn.Linear(2, 2).requires_grad_(False), ValueError, "nothing to evolve. Call requires_grad_"),
        (nn.Tanh(), ValueError, "Tanh has no parameter"),
        (nn.LazyLinear(3), ValueError, "lazy layers.* Pass one batch"),
        (
            nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()),
            TypeError,
            r"one real floating dtype.*1\.bias: torch",
        ),
        (nn.Linear(2, 2, dtype=torch.complex64), TypeError, "complex64"),
        ("mlp", TypeError, "expected a torch.nn.Module, got 'mlp'"),
    ],
)
def test_what_cannot_be_a_genome_is_refused(module, error, words):
    with pytest.raises(error, match=words):
        Genome(module)


@pytest.mark.parametrize("shape", [(5,), (), (2, 6)])
def test_vectors_of_another_length_or_rank_are_refused(shape):
    module = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"Genome: expected .*6.*got shape"):
        Genome(module).write_(module, torch.zeros(shape))
