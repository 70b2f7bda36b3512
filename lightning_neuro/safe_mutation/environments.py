"""Environments in slots, one individual in each: started by seeds of their own, stepped where individuals still act."""

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lightning_neuro.safe_mutation.observation_rows import map_arrays
from lightning_neuro.safe_mutation.slot_seeds import seeded_reset

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.vector import VectorEnv

Stepped = tuple[Any, np.ndarray, np.ndarray]


class EnvironmentFailedError(RuntimeError):
    """An environment raised; `__cause__` is what it raised.

    Attributes:
        slot: the environment it happened in, or None where a vector environment does not tell.
        step: environment steps done in the episode.
        episode: of the evaluation.
        individuals: the first and the last of those that were in slots.
    """

    def __init__(self, slot: int | None) -> None:
        super().__init__("an environment raised")
        self.slot = slot
        self.step = 0
        self.episode = 0
        self.individuals = (0, 0)


class Environments(Protocol):
    """Slots with an environment each. Observations are batched as gymnasium batches them."""

    slots: int
    observation_space: "gymnasium.Space[Any]"
    action_space: "gymnasium.Space[Any]"

    def reset(self, seeds: Sequence[int]) -> Any:
        """Start an episode in the first `len(seeds)` slots and return their observations."""

    def step(self, slots: np.ndarray, actions: np.ndarray) -> Stepped:
        """Act in some slots; return observations, rewards and which have ended, one row for each of these slots."""

    def close(self) -> None:
        """Release what the environments hold."""


class SingleEnvironments:
    """Single environments stepped one after the other; those whose individual is done are left alone.

    There is no autoreset here: nothing is stepped after its end.

    Args:
        make: makes one environment.
        slots: how many.
    """

    def __init__(self, make: "Callable[[], gymnasium.Env[Any, Any]]", slots: int) -> None:
        from gymnasium.vector.utils import concatenate, create_empty_array

        self._envs = [make() for _ in range(slots)]
        self.slots = slots
        self.observation_space = self._envs[0].observation_space
        self.action_space = self._envs[0].action_space
        space = self.observation_space

        def stack(rows: Sequence[Any]) -> Any:
            room: Any = create_empty_array(space, len(rows))
            return concatenate(space, rows, room)

        self._stack = stack

    def reset(self, seeds: Sequence[int]) -> Any:
        """Start an episode in the first slots."""
        return self._stack([self._call(slot, "reset", seed=seed)[0] for slot, seed in enumerate(seeds)])

    def step(self, slots: np.ndarray, actions: np.ndarray) -> Stepped:
        """Act in some slots."""
        results = [self._call(int(slot), "step", action) for slot, action in zip(slots, actions, strict=True)]
        observations, rewards, terminated, truncated, _ = zip(*results, strict=True)
        return (
            self._stack(list(observations)),
            np.asarray(rewards, dtype=np.float64),
            np.logical_or(np.asarray(terminated, dtype=bool), np.asarray(truncated, dtype=bool)),
        )

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs:
            env.close()

    def _call(self, slot: int, method: str, *args: Any, **keywords: Any) -> Any:
        try:
            return getattr(self._envs[slot], method)(*args, **keywords)
        except Exception as error:
            raise EnvironmentFailedError(slot) from error


class VectorEnvironments:
    """A gymnasium vector environment of any autoreset mode.

    All slots are stepped together. What comes from a slot after the end of its episode, a reset step (`NEXT_STEP`), a
    first observation in place of the last (`SAME_STEP`) or an episode that nobody asked for, is not looked at by the
    caller; under `DISABLED` ended slots are reset, since they must not be stepped.

    Args:
        env: the vector environment.

    Attributes:
        follows_seeds: whether each slot depends on its own seed alone; else all slots draw from the first one's seed.
    """

    def __init__(self, env: "VectorEnv[Any, Any, Any]") -> None:
        from gymnasium.vector import AutoresetMode

        self._env = env
        self.slots = env.num_envs
        self.observation_space = env.single_observation_space
        self.action_space = env.single_action_space
        mode = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        self._resets_itself = AutoresetMode(mode) is not AutoresetMode.DISABLED
        self._reset = seeded_reset(env)
        self.follows_seeds = self._reset is not None
        self._actions = np.stack([_some_action(self.action_space)] * self.slots)
        self._ended = np.zeros(self.slots, dtype=bool)

    def reset(self, seeds: Sequence[int]) -> Any:
        """Start an episode in the first slots; the others run along unseen."""
        everyone = [*seeds, *[seeds[0]] * (self.slots - len(seeds))]
        self._ended[:] = False
        reset = self._reset or (lambda env, given: env.reset(seed=given[0])[0])
        observations = self._guarded(lambda: reset(self._env, everyone))
        return map_arrays(lambda array: array[: len(seeds)], observations)

    def step(self, slots: np.ndarray, actions: np.ndarray) -> Stepped:
        """Act in some slots; the others repeat their last action."""
        self._actions[slots] = actions
        observations, rewards, terminated, truncated, _ = self._guarded(self._step_all)
        self._ended = np.logical_or(np.asarray(terminated, dtype=bool), np.asarray(truncated, dtype=bool))
        rows = map_arrays(lambda array: array[slots], observations)
        return rows, np.asarray(rewards, dtype=np.float64)[slots], self._ended[slots]

    def close(self) -> None:
        """Close the vector environment."""
        self._env.close()

    def _step_all(self) -> Any:
        if not self._resets_itself and self._ended.any():
            self._env.reset(options={"reset_mask": self._ended.copy()})
        return self._env.step(self._actions.copy())

    def _guarded(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            raise EnvironmentFailedError(self._failed_slot()) from error

    def _failed_slot(self) -> int | None:
        """Return the slot whose process has gone, where slots are processes."""
        pipes = getattr(self._env.unwrapped, "parent_pipes", [])
        return next((slot for slot, pipe in enumerate(pipes) if pipe is None), None)


def warn_about_shared_seeds(name: str) -> None:
    """Say what it costs when the slots of a vector environment cannot be seeded one by one."""
    warnings.warn(
        f"GymnasiumEvaluator: {name} takes one seed for all its slots, so the fitness of an individual depends on its "
        "place in the population and on the number of processes. Use vectorization='sync' for results that do not.",
        stacklevel=2,
    )


def _some_action(space: "gymnasium.Space[Any]") -> np.ndarray:
    """Return a valid action for slots that nobody looks at."""
    from gymnasium.spaces import Box

    if isinstance(space, Box):
        return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    start = getattr(space, "start", 0)
    return np.zeros(space.shape or (), dtype=space.dtype) + np.asarray(start, dtype=space.dtype)
