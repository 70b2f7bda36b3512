"""Tensors in nested tuples, lists and dicts, as recurrent states are."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

CONSTANTS = (type(None), bool, int, float, str)


def map_tensors(function: Callable[[Tensor], Any], tree: Any) -> Any:
    """Return the tree with `function` of each tensor in the tensor's place; None and numbers stay.

    Raises:
        TypeError: the tree holds something else.

    >>> map_tensors(torch.numel, {"h": torch.zeros(2, 3), "c": [torch.zeros(4), None]})
    {'h': 6, 'c': [4, None]}
    """
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {key: map_tensors(function, part) for key, part in tree.items()}
    if isinstance(tree, tuple | list):
        parts = [map_tensors(function, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, CONSTANTS):
        return tree
    raise TypeError(
        f"BatchedPolicy: expected tensors in tuples, lists or dicts, got {type(tree).__name__}. "
        "Return recurrent states in such containers."
    )


def tensors_of(tree: Any) -> list[Tensor]:
    """Return the tensors of a tree in the order in which `map_tensors` meets them."""
    found: list[Tensor] = []
    map_tensors(found.append, tree)
    return found


def filled(tree: Any, tensors: list[Tensor]) -> Any:
    """Return the tree with other tensors in the place of its own, in order."""
    rest = iter(tensors)
    return map_tensors(lambda _: next(rest), tree)


def stacked(trees: list[Any]) -> Any:
    """Return one tree of stacked tensors from trees of one form."""
    columns = zip(*map(tensors_of, trees), strict=True)
    return filled(trees[0], [torch.stack(column) for column in columns])


def state_rows(state: Any, rows: Tensor | slice | int) -> Any:
    """Return some rows of a recurrent state: every tensor indexed along its first dimension.

    Args:
        state: None, a tensor, or nested tuples, lists and dicts of tensors.
        rows: indices, a mask, a slice or one index.

    >>> h, c = state_rows((torch.arange(3), torch.arange(3) * 10), torch.tensor([2, 0]))
    >>> h.tolist(), c.tolist()
    ([2, 0], [20, 0])
    """
    return map_tensors(lambda tensor: tensor[rows], state)
