"""Small gymnasium environments with known returns that end at their own times, and go wrong on demand."""

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete


class Countdown(gym.Env[Any, Any]):
    """Lasts between 1 and 8 steps, drawn at reset, and counts them down in the observation; rewards 1, 2, 3, ...

    After its end it must not be stepped. Action 1 doubles the reward.
    """

    def __init__(self, raises_at: int | None = None, raises: Callable[[int], bool] | None = None) -> None:
        self.observation_space = Box(0.0, np.inf, (2,), np.float32)
        self.action_space: gym.Space[Any] = Discrete(2)
        self.raises_at, self.raises = raises_at, raises or (lambda seed: True)
        self.left, self.taken, self.seed = 0, 0, 0
        self.closed = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.seed = -1 if seed is None else seed
        self.left, self.taken = int(self.np_random.integers(1, 9)), 0
        return self.seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self.left == 0:
            raise AssertionError("stepped after the end")
        if self.taken == self.raises_at and self.raises(self.seed):
            raise ValueError("the motor burnt")
        self.left, self.taken = self.left - 1, self.taken + 1
        return self.seen(), self.reward(action), self.left == 0, False, {}

    def reward(self, action: Any) -> float:
        return float(self.taken * (1 + action))

    def seen(self) -> Any:
        return np.array([self.left, self.taken], np.float32)

    def close(self) -> None:
        self.closed = True


class NanRewards(Countdown):
    """Rewards are NaN from the third step on."""

    def reward(self, action: Any) -> float:
        return float("nan") if self.taken >= 3 else 1.0


class Numbers(Countdown):
    """Takes two numbers between -1 and 3; the reward is the first of them."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = Box(-1.0, 3.0, (2,), np.float32)

    def reward(self, action: Any) -> float:
        return float(action[0])


class Parts(Countdown):
    """Observations are a dict of an image and a direction."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = Dict(image=Box(0, 255, (3, 3), np.uint8), direction=Discrete(4))  # type: ignore[assignment]

    def seen(self) -> Any:
        return {"image": np.full((3, 3), self.left, np.uint8), "direction": np.int64(self.taken % 4)}


class Picture(Countdown):
    """Observations are one image."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = Box(0, 255, (3, 3), np.uint8)  # type: ignore[assignment]

    def seen(self) -> Any:
        return np.full((3, 3), self.left, np.uint8)


class OneSeedForAll(gym.vector.VectorEnv[Any, Any, Any]):
    """A vector environment whose slots draw from a generator nobody can reach."""

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space = Box(0.0, 1.0, (2,), np.float64)
        self.single_action_space = Discrete(2)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.drawn = np.random.default_rng(0 if seed is None else seed).uniform(size=(self.num_envs, 2))
        return self.drawn.copy(), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        ended = np.ones(self.num_envs, dtype=bool)
        return self.drawn.copy(), self.drawn[:, 0].copy(), ended, ~ended, {}
