"""From an environment's observations to what a policy takes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lightning_neuro.safe_mutation.observation_rows import map_arrays

if TYPE_CHECKING:
    import gymnasium

Adapter = Callable[[Any], Any]
Observe = Callable[[Any], Tensor]


def observer(space: "gymnasium.Space[Any]", adapter: Adapter | None, dtype: torch.dtype) -> Observe:
    """Return the function that turns n batched observations into a tensor (n, *obs) on the CPU.

    Boxes keep their shape; every other space is flattened by `gymnasium.spaces.flatten`, which makes numbers of finite
    sets one-hot. Floating-point numbers get the policy's `dtype`. Images stay uint8, in a quarter of the memory: it is
    the policy that turns them into fractions, so that it sees in its archive what it saw in the environment.

    Args:
        space: of one observation.
        adapter: the user's own way from n batched observations to an array (n, *obs); replaces all of the above but
            the dtype.
        dtype: of the policy's weights.

    >>> from gymnasium.spaces import Discrete
    >>> observer(Discrete(3), None, torch.float32)(np.array([2, 0]))
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    from gymnasium.spaces import Box

    if adapter is not None:
        return lambda observations: _tensor(adapter(observations), dtype)
    if isinstance(space, Box):
        kept = space.dtype == np.uint8
        return lambda observations: _tensor(observations, dtype, exact=kept)
    return lambda observations: _tensor(_flat(space, observations), dtype, exact=False)


def _flat(space: "gymnasium.Space[Any]", observations: Any) -> np.ndarray:
    from gymnasium.spaces import flatten
    from gymnasium.vector.utils import batch_space, iterate

    each = iterate(batch_space(space, 1), observations)
    return np.stack([np.asarray(flatten(space, one)) for one in each])


def _tensor(observations: Any, dtype: torch.dtype, *, exact: bool | None = None) -> Tensor:
    """Return observations as a tensor: in `dtype` unless `exact`, and None leaves integers alone."""
    if isinstance(observations, dict | tuple):
        raise TypeError(
            f"GymnasiumEvaluator: observation must return one array (n, *obs), got {type(observations).__name__} "
            f"of shapes {map_arrays(np.shape, observations)}. Pick or join its parts."
        )
    tensor = observations if isinstance(observations, Tensor) else torch.from_numpy(np.array(observations))
    keep = not tensor.is_floating_point() if exact is None else exact
    return tensor.detach().cpu() if keep else tensor.detach().to("cpu", dtype)
