import warnings

import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.batching import Batching


class Branch(nn.Module):
    """Looks at a number: what torch cannot do for many individuals at once."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


class Items(nn.Module):
    def forward(self, x):
        return x * x.sum().item()


def branching(child=None):
    return nn.Sequential(nn.Tanh(), nn.Sequential(nn.Tanh(), child or Branch()), nn.Tanh())


ROWS = torch.tensor([[1.0, 2.0], [-1.0, -2.0], [0.5, 0.0]])


@pytest.mark.parametrize("vectorize", [True, False])
@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_rows_shared_arguments_trees_and_constants(vectorize, chunk_size):
    def function(row, shared, tree):
        return {"sum": row * shared + tree["a"][0], "twice": (2 * row, None, 3)}

    shared, tree = torch.tensor([10.0, 100.0]), {"a": [ROWS, None, 7]}
    result = Batching(nn.Tanh(), vectorize).map(function, (ROWS, shared, tree), (0, None, 0), chunk_size)
    assert torch.equal(result["sum"], ROWS * shared + ROWS)
    assert torch.equal(result["twice"][0], 2 * ROWS)
    assert result["twice"][1:] == (None, 3)


@pytest.mark.parametrize("child", [Branch, Items])
def test_a_fallback_warns_once_names_the_module_and_gives_the_same_results(child):
    module = branching(child())
    batching, expected = Batching(module), torch.stack([module(row) for row in ROWS])
    with pytest.warns(UserWarning, match=rf"1\.1 \({child.__name__}\) cannot be batched over weights.*one by one"):
        first = batching.map(module, (ROWS,), (0,))
    assert torch.equal(first, expected)
    assert not batching.vectorized
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(batching.map(module, (ROWS,), (0,)), expected)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_vectorize_true_raises_with_the_name_and_false_never_tries():
    module, calls = branching(), []
    with pytest.raises(RuntimeError, match=r"1\.1 \(Branch\) cannot be batched.*Pass vectorize='auto' or False"):
        Batching(module, True).map(module, (ROWS,), (0,))

    def counted(row):
        calls.append(torch.is_tensor(row))
        return module(row)

    assert not Batching(module, False).vectorized
    Batching(module, False).map(counted, (ROWS,), (0,))
    assert len(calls) == len(ROWS)


def test_what_fails_outside_the_modules_is_said_to():
    module = nn.Tanh()
    with pytest.warns(UserWarning, match="what is computed from the policy's outputs cannot be batched"):
        Batching(module).map(lambda row: Branch()(module(row)), (ROWS,), (0,))


@pytest.mark.parametrize("vectorize", [True, "auto"])
def test_errors_of_the_function_itself_come_through_without_a_warning(vectorize):
    def wrong(row):
        raise KeyError("of the user")

    batching = Batching(nn.Tanh(), vectorize)
    with pytest.raises(KeyError, match="of the user"):
        batching.map(wrong, (ROWS,), (0,))
    assert batching.vectorized


def test_lack_of_memory_is_no_reason_to_loop():
    def greedy(row):
        raise torch.OutOfMemoryError("no memory left")

    batching = Batching(nn.Tanh())
    with pytest.raises(torch.OutOfMemoryError, match="no memory left"):
        batching.map(greedy, (ROWS,), (0,))


@pytest.mark.parametrize("arguments", [(ROWS, ROWS[:2]), (ROWS[:0], ROWS[:0])])
def test_arguments_of_different_or_no_length_are_refused(arguments):
    with pytest.raises(ValueError, match="expected arguments of one length, at least 1, got"):
        Batching(nn.Tanh(), False).map(torch.add, arguments, (0, 0))


def test_another_vectorize_is_refused():
    with pytest.raises(ValueError, match="vectorize must be True, False or 'auto', got 'always'"):
        Batching(nn.Tanh(), "always")
