"""A seed for each slot of a vector environment, also of one that takes a single seed for all of them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lightning_neuro.safe_mutation.observation_rows import rows_equal

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

SeededReset = Callable[["VectorEnv[Any, Any, Any]", Sequence[int]], Any]


class SlotGenerators:
    """Stands for the one generator of a vector environment, and draws the numbers of each slot from a generator each.

    A draw counts as one for all slots if its `size` has the number of slots at `axis`; any other draw, such as a new
    start of slots that have ended, comes from the generator of the first slot.

    >>> together = SlotGenerators([7, 8], axis=-1).uniform(size=(4, 2))
    >>> bool((together[:, 1] == np.random.default_rng(8).uniform(size=4)).all())
    True

    Args:
        seeds: one per slot.
        axis: where the slots are, 0 or -1.
    """

    def __init__(self, seeds: Sequence[int], axis: int) -> None:
        self._generators = [np.random.default_rng(seed) for seed in seeds]
        self._axis = axis

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.random.Generator, name):
            raise AttributeError(name)

        def draw(*args: Any, size: Any = None, **keywords: Any) -> Any:
            shape = list(np.atleast_1d(size)) if size is not None else []
            if not shape or shape[self._axis] != len(self._generators):
                return getattr(self._generators[0], name)(*args, size=size, **keywords)
            del shape[self._axis]
            each = [getattr(generator, name)(*args, size=shape, **keywords) for generator in self._generators]
            return np.stack(each, self._axis)

        return draw


def seeded_reset(env: "VectorEnv[Any, Any, Any]") -> SeededReset | None:
    """Return how to start all slots of `env` so that each depends on its own seed alone, or None.

    Tried are a list of seeds, then `SlotGenerators` in place of the environment's own generator. What counts is the
    observation after the start: when two seeds change places, so must the observations.
    """
    from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

    if isinstance(env.unwrapped, AsyncVectorEnv | SyncVectorEnv):
        return _with_a_list  # known to do so: spares the starts of many environments
    for reset in (_with_a_list, _with_generators(-1), _with_generators(0)):
        try:
            if _follows_its_seed(env, reset):
                return reset
        except Exception:  # each environment says no in its own way
            continue
    return None


def _with_a_list(env: "VectorEnv[Any, Any, Any]", seeds: Sequence[int]) -> Any:
    return env.reset(seed=list(seeds))[0]  # type: ignore[arg-type]  # lists are for environments made of single ones


def _with_generators(axis: int) -> SeededReset:
    def reset(env: "VectorEnv[Any, Any, Any]", seeds: Sequence[int]) -> Any:
        env.np_random = SlotGenerators(seeds, axis)  # type: ignore[assignment]
        return env.reset()[0]

    return reset


def _follows_its_seed(env: "VectorEnv[Any, Any, Any]", reset: SeededReset) -> bool:
    slots = env.num_envs
    one_way, other_way = [1] * slots, [2] * slots
    one_way[-1], other_way[-1] = other_way[-1], one_way[-1]
    seen, swapped = reset(env, one_way), reset(env, other_way)
    if slots == 1:
        return rows_equal(seen, 0, reset(env, one_way), 0)
    return rows_equal(seen, 0, swapped, slots - 1) and rows_equal(seen, slots - 1, swapped, 0)
