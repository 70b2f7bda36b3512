"""The observations that individuals made decisions on, in bounded memory."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Recorder(Protocol):
    """Takes what some individuals saw at one decision, and gives it all back at the end."""

    def push(self, individuals: np.ndarray, observations: Tensor, *, episode: int, decision: int) -> None:
        """Keep observations (n, *obs) of n individuals."""

    def result(self) -> tuple[Tensor, Tensor] | None:
        """Return states and which of them are filled, or None if there was nothing."""


class LastStates:
    """The last observations of each individual, in the order in which they came.

    Args:
        population: P.
        capacity: observations of each individual at most.

    >>> last = LastStates(1, 2)
    >>> for value in (1.0, 2.0, 3.0):
    ...     last.push(np.array([0]), torch.tensor([[value]]))
    >>> last.result()[0].flatten()
    tensor([2., 3.])
    """

    def __init__(self, population: int, capacity: int) -> None:
        self._capacity = capacity
        self._seen = np.zeros(population, dtype=np.int64)
        self._ring: np.ndarray | None = None

    def push(self, individuals: np.ndarray, observations: Tensor, *, episode: int = 0, decision: int = 0) -> None:
        """Keep observations (n, *obs) of n individuals, in place of their oldest."""
        if self._ring is None:
            self._ring = _room((len(self._seen), self._capacity), observations)
        self._ring[individuals, self._seen[individuals] % self._capacity] = observations.numpy()
        self._seen[individuals] += 1

    def result(self) -> tuple[Tensor, Tensor] | None:
        """Return states (P, S, *obs) and valid (P, S), S being what the individual with most of them has."""
        if self._ring is None:
            return None
        kept = np.minimum(self._seen, self._capacity)
        places = np.arange(kept.max())
        order = (places + np.maximum(self._seen - self._capacity, 0)[:, None]) % self._capacity
        states = self._ring[np.arange(len(kept))[:, None], order]
        return torch.from_numpy(states), torch.from_numpy(places < kept[:, None])


class FirstSteps:
    """The beginnings of the last episodes, for policies that carry a state: a segment starts where the state is None.

    Args:
        population: P.
        capacity: observations of each individual at most; they are shared out among the segments.
        episodes: of the evaluation; the last `capacity` are recorded if there are more.
    """

    def __init__(self, population: int, capacity: int, episodes: int) -> None:
        self._population = population
        self._segments = min(episodes, capacity)
        self._first_episode = episodes - self._segments
        self._steps = capacity // self._segments
        self._valid = np.zeros((population, self._steps, self._segments), dtype=bool)
        self._states: np.ndarray | None = None

    def push(self, individuals: np.ndarray, observations: Tensor, *, episode: int, decision: int) -> None:
        """Keep observations (n, *obs) of n individuals, unless their segment is full."""
        segment = episode - self._first_episode
        if segment < 0 or decision >= self._steps:
            return
        if self._states is None:
            self._states = _room(self._valid.shape, observations)
        self._states[individuals, decision, segment] = observations.numpy()
        self._valid[individuals, decision, segment] = True

    def result(self) -> tuple[Tensor, Tensor] | None:
        """Return states (P, T, S, *obs) and valid (P, T, S), T being the longest segment's length."""
        if self._states is None:
            return None
        steps = int(self._valid.any((0, 2)).sum())
        return torch.from_numpy(self._states[:, :steps].copy()), torch.from_numpy(self._valid[:, :steps].copy())


def recorder(population: int, capacity: int, episodes: int, *, carries_state: bool) -> Recorder | None:
    """Return the recorder that fits the policy, or None if nothing is to be kept."""
    if not capacity:
        return None
    return FirstSteps(population, capacity, episodes) if carries_state else LastStates(population, capacity)


def _room(shape: tuple[int, ...], observations: Tensor) -> np.ndarray:
    # numpy's zeros take memory only where they are written; most individuals do not fill their share.
    return np.zeros((*shape, *observations.shape[1:]), dtype=observations.numpy().dtype)
