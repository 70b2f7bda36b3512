"""Fitness of a population from episodes of a gymnasium environment."""

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.acting import NAMES, Action, Actions
from lightning_neuro.safe_mutation.environments import EnvironmentFailedError, Environments
from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.observing import Adapter, observer
from lightning_neuro.safe_mutation.opening import (
    VECTORIZATIONS,
    Source,
    Vectorization,
    default_slots,
    import_gymnasium,
    name_of_source,
    open_environments,
    reward_threshold,
)
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.recording import Recorder, recorder
from lightning_neuro.safe_mutation.rollout import REWARDS, Reward, Rules, play

OWNER = "GymnasiumEvaluator"
KEPT_OPEN = 2  # the population's environments and the champion's


class GymnasiumEvaluator:
    """Lets each individual play episodes; its fitness is the mean of their returns.

    The first episode of an individual is started with its seed, further ones with seeds derived from it, and sampled
    actions depend on the seed too: the fitness of an individual does not depend on who else is evaluated. Environments
    stay open between calls; `close()` closes them. If one raises, all are made anew and the evaluation is done once
    more with the same seeds.

    Policies map observations to outputs, or `(outputs, state) = policy(observations, state)`; observations come in
    the weights' precision, except for images, which stay uint8 (see `observing`).

    Args:
        env_id: a registered id, a function that makes one environment, or one with an argument `num_envs` that makes a
            vector environment.
        episodes: per individual.
        max_steps: environment steps after which an episode is ended, besides what the environment does.
        action: "auto" (the largest output of a finite choice; numbers clipped to their limits), "argmax", "sample",
            "tanh", "identity" (see `Actions`) or a function from outputs (n, K) to actions.
        observation: a function from n observations, batched as gymnasium does, to an array (n, *obs).
        frame_skip: environment steps for which an action is repeated.
        vectorization: "auto" (the environment's own vector form where it takes a seed per individual, else "sync"),
            "vector_entry_point", "sync" (one after the other) or "async" (in processes).
        num_envs: individuals evaluated at once; None: all of them, with "async" one per processor.
        env_options: keywords for making the environment.
        reward: what of an episode counts: the "sum" of rewards, the "last" one, or the sum of a function of the rewards
            (n,) of n individuals at one step.
        solved_at: fitness from which an individual has solved the task; "registered" takes the environment's own
            threshold if it has one; None: never.

    Raises:
        ModuleNotFoundError: gymnasium is not installed.
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, or does not fit the environment.

    >>> evaluator = GymnasiumEvaluator("CartPole-v1", max_steps=20)
    >>> policy = BatchedPolicy(nn.Linear(4, 2))
    >>> evaluator(policy, torch.zeros(3, 10), seeds=torch.tensor([0, 1, 2])).fitness  # always pushed to the left
    tensor([11., 10.,  9.])
    >>> evaluator.close()
    """

    output_steps = "all"

    def __init__(
        self,
        env_id: Source,
        *,
        episodes: int = 1,
        max_steps: int | None = None,
        action: Action = "auto",
        observation: Adapter | None = None,
        frame_skip: int = 1,
        vectorization: Vectorization = "auto",
        num_envs: int | None = None,
        env_options: Mapping[str, Any] | None = None,
        reward: Reward = "sum",
        solved_at: float | Literal["registered"] | None = "registered",
    ) -> None:
        import_gymnasium()
        if not isinstance(env_id, str) and not callable(env_id):
            raise TypeError(f"{OWNER}: env_id must be an id or a function that makes environments, got {env_id!r}.")
        self.env_id = env_id
        self.episodes = checks.integer(OWNER, "episodes", episodes, at_least=1)
        self.max_steps = None if max_steps is None else checks.integer(OWNER, "max_steps", max_steps, at_least=1)
        self.action = action if callable(action) else checks.choice(OWNER, "action", action, NAMES)
        self.observation = observation
        self.frame_skip = checks.integer(OWNER, "frame_skip", frame_skip, at_least=1)
        self.vectorization = checks.choice(OWNER, "vectorization", vectorization, VECTORIZATIONS)
        self.num_envs = None if num_envs is None else checks.integer(OWNER, "num_envs", num_envs, at_least=1)
        self.env_options = dict(env_options or {})
        self.reward: Reward = reward if callable(reward) else checks.choice(OWNER, "reward", reward, REWARDS)
        self.solved_at = _threshold(env_id, solved_at)
        self._open: dict[int, Environments] = {}

    def __call__(
        self, policy: nn.Module | BatchedPolicy, params: Tensor, *, seeds: Tensor | None = None, record: int = 0
    ) -> Evaluation:
        """Return fitness, mean length (`extras["length"]`), who solved the task, and states.

        Args:
            policy: one observation at a time, or step by step with a state.
            params: (P, d).
            seeds: (P,) int64 of at least 0; None: 0 for everyone.
            record: the last so many observations of each individual; with a state, the first ones of the last episodes,
                as whole segments from the zero state.

        Raises:
            RuntimeError: an environment raised, and raised again after all had been made anew.
            TypeError, ValueError: policy, seeds, or outputs do not fit.
        """
        batched = BatchedPolicy.of(policy)
        if batched.interface.recurrence == "sequence":
            raise ValueError(
                f"{OWNER}: {type(batched.module).__name__} takes whole sequences, but an environment gives one "
                "observation at a time. Use a policy with outputs, state = policy(observations, state)."
            )
        numbers = _seeds(seeds, len(params))
        checks.integer(OWNER, "record", record, at_least=0)
        try:
            return self._evaluate(batched, params, numbers, record)
        except EnvironmentFailedError as failure:
            warnings.warn(f"{self._told(failure)} Trying once more with new environments.", stacklevel=2)
        self.close()
        try:
            return self._evaluate(batched, params, numbers, record)
        except EnvironmentFailedError as failure:
            self.close()
            raise RuntimeError(
                f"{self._told(failure)} It was the second time: the evaluation had been started anew with the same "
                "seeds and new environments. Nothing was evaluated; mend the environment, or leave it out."
            ) from failure.__cause__

    def close(self) -> None:
        """Close all environments; the next call makes new ones."""
        while self._open:
            _, environments = self._open.popitem()
            with contextlib.suppress(Exception):  # some cannot be closed after they have failed
                environments.close()

    def __getstate__(self) -> dict[str, Any]:
        """Leave open environments out of copies and processes."""
        return {**self.__dict__, "_open": {}}

    def _evaluate(self, policy: BatchedPolicy, params: Tensor, seeds: Sequence[int], record: int) -> Evaluation:
        population = len(params)
        returns = np.zeros((self.episodes, population))
        lengths = np.zeros((self.episodes, population))
        kept = recorder(population, record, self.episodes, carries_state=policy.interface.recurrence == "step")
        chunk = min(population, self.num_envs or default_slots(self.env_id, self.vectorization, population))
        for first in range(0, population, chunk):
            some = slice(first, min(first + chunk, population))
            returns[:, some], lengths[:, some] = self._episodes(policy, params[some], seeds[some], chunk, kept, first)
        return self._evaluation(returns, lengths, params, kept)

    def _episodes(
        self,
        policy: BatchedPolicy,
        params: Tensor,
        seeds: Sequence[int],
        slots: int,
        kept: Recorder | None,
        first: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return returns and lengths, (episodes, n), of n individuals that fit into the slots."""
        results = []
        episode = 0
        try:
            environments = self._environments(slots)
            rules = self._rules(environments, params.dtype)
            for episode in range(self.episodes):
                own = [_episode_seed(seed, episode) for seed in seeds]
                results.append(
                    play(environments, policy, params, rules, own, recorder=kept, first=first, episode=episode)
                )
        except EnvironmentFailedError as failure:
            failure.episode = episode
            failure.slot = None if failure.slot is None else failure.slot + first
            failure.individuals = (first, first + len(params) - 1)
            raise
        returns, lengths = zip(*results, strict=True)
        return np.stack(returns), np.stack(lengths)

    def _rules(self, environments: Environments, dtype: torch.dtype) -> Rules:
        return Rules(
            observe=observer(environments.observation_space, self.observation, dtype),
            actions=Actions(environments.action_space, self.action),
            reward=self.reward,
            frame_skip=self.frame_skip,
            max_steps=self.max_steps,
        )

    def _environments(self, slots: int) -> Environments:
        if slots not in self._open:
            while len(self._open) >= KEPT_OPEN:
                self._open.pop(next(iter(self._open))).close()
            self._open[slots] = open_environments(self.env_id, slots, self.vectorization, self.env_options)
        return self._open[slots]

    def _evaluation(
        self, returns: np.ndarray, lengths: np.ndarray, params: Tensor, kept: Recorder | None
    ) -> Evaluation:
        fitness = torch.from_numpy(returns.mean(0)).to(params)
        states, valid = (None if kept is None else kept.result()) or (None, None)
        return Evaluation(
            fitness=fitness,
            states=None if states is None else states.to(params.device),
            valid=None if valid is None else valid.to(params.device),
            solved=None if self.solved_at is None else fitness >= self.solved_at,
            extras={"length": torch.from_numpy(lengths.mean(0)).to(params)},
        )

    def _told(self, failure: EnvironmentFailedError) -> str:
        low, high = failure.individuals
        who = f"one of the individuals {low} to {high}" if failure.slot is None else f"individual {failure.slot}"
        cause = failure.__cause__
        return (
            f"{OWNER}: {name_of_source(self.env_id)} raised {type(cause).__name__}: {cause} - with {who}, in episode "
            f"{failure.episode} at step {failure.step}."
        )


def _threshold(env_id: Source, solved_at: float | Literal["registered"] | None) -> float | None:
    if solved_at is None:
        return None
    if isinstance(solved_at, str):
        checks.choice(OWNER, "solved_at", solved_at, ["registered"])
        return reward_threshold(env_id)
    return checks.number(OWNER, "solved_at", solved_at)


def _seeds(seeds: Tensor | None, population: int) -> list[int]:
    if seeds is None:
        return [0] * population
    if seeds.shape != (population,) or seeds.is_floating_point() or bool((seeds < 0).any()):
        raise ValueError(
            f"{OWNER}: seeds must be one integer of at least 0 per individual, ({population},), got {seeds.dtype} "
            f"{tuple(seeds.shape)} with smallest {seeds.min().item() if seeds.numel() else None}."
        )
    return seeds.tolist()


def _episode_seed(seed: int, episode: int) -> int:
    """Return the seed itself for the first episode, to play it again by hand, and derived ones below 2^31.

    >>> _episode_seed(7, 0)
    7
    """
    return seed if episode == 0 else int(np.random.SeedSequence([seed, episode]).generate_state(1)[0] >> 1)
