from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from lightning_neuro.safe_mutation.nested import filled, map_tensors, stacked, state_rows, tensors_of


class Memory(NamedTuple):
    hidden: Tensor
    cell: Tensor


def tree(start=0.0):
    return {"a": torch.full((3,), start), "b": [torch.full((3, 2), start), None, 4], "c": Memory(torch.ones(3), "x")}


def test_containers_keep_their_kind_and_constants_their_place():
    result = map_tensors(torch.numel, tree())
    assert result == {"a": 3, "b": [6, None, 4], "c": Memory(3, "x")}
    assert isinstance(result["c"], Memory)
    assert map_tensors(torch.numel, None) is None


def test_filled_puts_tensors_back_in_order():
    tensors = [torch.tensor(float(index)) for index in range(3)]
    assert tensors_of(filled(tree(), tensors)) == tensors


def test_stacked_adds_one_dimension():
    result = stacked([tree(1.0), tree(2.0)])
    assert torch.equal(result["a"], torch.tensor([[1.0] * 3, [2.0] * 3]))
    assert result["b"][0].shape == (2, 3, 2)
    assert result["b"][1:] == [None, 4]


@pytest.mark.parametrize("rows", [torch.tensor([2, 0]), torch.tensor([True, False, True]), slice(1, 3)])
def test_rows_of_a_state_are_rows_of_every_tensor(rows):
    state = (torch.arange(3), [torch.arange(6).view(3, 2)], None)
    h, (c,), nothing = state_rows(state, rows)
    assert torch.equal(h, state[0][rows])
    assert torch.equal(c, state[1][0][rows])
    assert nothing is None


def test_other_containers_are_refused():
    with pytest.raises(TypeError, match="expected tensors in tuples, lists or dicts, got set"):
        state_rows({torch.ones(1)}, 0)
