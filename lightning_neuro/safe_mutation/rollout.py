"""One episode of each individual of a population, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lightning_neuro.safe_mutation.acting import Actions
from lightning_neuro.safe_mutation.action_noise import GumbelNoise
from lightning_neuro.safe_mutation.environments import EnvironmentFailedError, Environments
from lightning_neuro.safe_mutation.nested import state_rows
from lightning_neuro.safe_mutation.observing import Observe
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.recording import Recorder

Taken = Literal["sum", "last"]
Reward = Taken | Callable[[np.ndarray], Any]
REWARDS: tuple[Taken, ...] = ("sum", "last")


@dataclass(frozen=True)
class Rules:
    """How individuals act, and what counts.

    Attributes:
        observe: from environment observations to the policy's.
        actions: from outputs to actions.
        reward: "sum" of the rewards, the "last" one, or the sum of a function of them.
        frame_skip: environment steps per decision.
        max_steps: environment steps per episode at most; None: until the environment ends it.
    """

    observe: Observe
    actions: Actions
    reward: Reward
    frame_skip: int
    max_steps: int | None


class ActingIndividuals:
    """The individuals that the policy is run for; when fewer than half of them still act, the others leave the batch.

    Leaving one by one would copy all weights that often; by halves they are copied once in total.

    Args:
        policy: the module.
        params: (P, d).
    """

    def __init__(self, policy: BatchedPolicy, params: Tensor) -> None:
        self._policy = policy
        self._params = params
        self._tensors = policy.prepare(params)
        self._state: Any = None
        self.rows = np.arange(len(params))

    def outputs(self, observations: Tensor) -> Tensor:
        """Return outputs (n, K) of the individuals `rows` for observations (P, *obs)."""
        own = observations[self.rows].to(self._params.device)[:, None]
        if self._policy.interface.recurrence == "step":
            outputs, self._state = self._policy(self._tensors, own, self._state)
        else:
            outputs = self._policy(self._tensors, own)
        return outputs.reshape(len(self.rows), -1)

    def leave(self, acting: np.ndarray) -> None:
        """Drop those that do not act any more, (P,) bool, if they are more than half."""
        stay = acting[self.rows]
        if 2 * stay.sum() >= len(stay):
            return
        kept = torch.from_numpy(np.flatnonzero(stay)).to(self._params.device)
        self._params = self._params[kept]
        self._tensors = self._policy.prepare(self._params)
        self._state = state_rows(self._state, kept)
        self.rows = self.rows[stay]


class Rollout:
    """Runs one episode of each individual.

    Args:
        environments: at least as many slots as individuals.
        individuals: who acts.
        rules: how.

    Attributes:
        returns: (P,) rewards taken together; NaN for an individual with NaN among its outputs.
        lengths: (P,) environment steps.
    """

    def __init__(self, environments: Environments, individuals: ActingIndividuals, rules: Rules) -> None:
        self._environments = environments
        self._individuals = individuals
        self._rules = rules
        population = len(individuals.rows)
        self.returns = np.zeros(population)
        self.lengths = np.zeros(population, dtype=np.int64)
        self._acting = np.ones(population, dtype=bool)

    def run(self, seeds: Sequence[int], record: Callable[[np.ndarray, Tensor, int], None]) -> None:
        """Play the episode.

        Args:
            seeds: (P,), of each individual's environment and of its sampled actions.
            record: called before each decision with individuals, their observations and the decision's number.

        Raises:
            EnvironmentFailedError: an environment raised.
        """
        noise = GumbelNoise(seeds) if self._rules.actions.sampled else None
        step, limit, skip = 0, self._rules.max_steps, self._rules.frame_skip
        try:
            observations = self._rules.observe(self._environments.reset(seeds)).clone()
            while self._acting.any() and (limit is None or step < limit):
                if step % skip == 0:
                    self._individuals.leave(self._acting)
                    actions = self._decide(observations, step // skip, noise, record)
                self._step(observations, actions)
                step += 1
        except EnvironmentFailedError as failure:
            failure.step = step
            raise

    def _decide(
        self,
        observations: Tensor,
        decision: int,
        noise: GumbelNoise | None,
        record: Callable[[np.ndarray, Tensor, int], None],
    ) -> np.ndarray:
        """Return an action for each individual; what stands for one that does not act is of no meaning."""
        outputs = self._individuals.outputs(observations)
        rows = self._individuals.rows
        live = np.flatnonzero(self._acting)
        record(live, observations[live], decision)
        broken = rows[outputs.isnan().any(1).cpu().numpy()]
        self.returns[broken[self._acting[broken]]] = np.nan
        self._acting[broken] = False
        chosen = self._rules.actions(
            outputs.nan_to_num(), lambda size: noise.draw(decision, rows, size) if noise else torch.zeros(1, size)
        )
        actions = np.zeros((len(self._acting), *chosen.shape[1:]), dtype=chosen.dtype)
        actions[rows] = chosen
        return actions

    def _step(self, observations: Tensor, actions: np.ndarray) -> None:
        live = np.flatnonzero(self._acting)
        if not len(live):
            return
        seen, rewards, ended = self._environments.step(live, actions[live])
        if self._rules.reward == "last":
            self.returns[live] = rewards
        elif self._rules.reward == "sum":
            self.returns[live] += rewards
        else:
            self.returns[live] += np.asarray(self._rules.reward(rewards))
        self.lengths[live] += 1
        observations[live] = self._rules.observe(seen)
        self._acting[live[ended]] = False


def play(
    environments: Environments,
    policy: BatchedPolicy,
    params: Tensor,
    rules: Rules,
    seeds: Sequence[int],
    *,
    recorder: Recorder | None,
    first: int,
    episode: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Play one episode of some individuals and return their returns and lengths.

    Args:
        environments: slots for them.
        policy: the module.
        params: (n, d), their genomes.
        rules: how they act and what counts.
        seeds: (n,), of their episodes.
        recorder: keeps what they see, if wanted.
        first: the index of the first of them in the whole population.
        episode: the episode's number.
    """

    def record(individuals: np.ndarray, observations: Tensor, decision: int) -> None:
        if recorder is not None:
            recorder.push(individuals + first, observations, episode=episode, decision=decision)

    rollout = Rollout(environments, ActingIndividuals(policy, params), rules)
    rollout.run(seeds, record)
    return rollout.returns, rollout.lengths
