"""A LightningModule whose training step is one generation."""

import copy
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from lightning_neuro._lightning import LightningModule, rank_zero_warn
from lightning_neuro.common.checkpoint_file import check_checkpoint_file
from lightning_neuro.safe_mutation.draws import Episodes, episode_seeds, generator_of
from lightning_neuro.safe_mutation.evaluation import Evaluation, evaluate
from lightning_neuro.safe_mutation.evolution import Evolution
from lightning_neuro.safe_mutation.evolution_checks import check_loader, check_stored, check_trainer
from lightning_neuro.safe_mutation.evolution_log import metrics_of, warnings_of
from lightning_neuro.safe_mutation.experience import ExperienceRule
from lightning_neuro.safe_mutation.founders import Founding
from lightning_neuro.safe_mutation.generation import Outcome, first_generation, next_generation
from lightning_neuro.safe_mutation.generations import Generations, NoBatch
from lightning_neuro.safe_mutation.module_arguments import as_batched
from lightning_neuro.safe_mutation.operators import Mutation
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.selection import Breeding
from lightning_neuro.safe_mutation.sharding import Shards, alone
from lightning_neuro.safe_mutation.stopping import Stopping
from lightning_neuro.safe_mutation.trial import Trial, trial_of

CHECKPOINT_KEY = "safe_mutation"


class EvaluationError(RuntimeError):
    """An evaluator failed; the evolution stands where it stood before that generation."""


class EvolvingModule(LightningModule):
    """Runs an `Evolution` in a Trainer: steps, logs, validation, checkpoints, processes.

    What evolves, and how, is told by attributes that a subclass sets and by the methods that it overrides:
    `configure_policy`, `evaluate`, `select`, `mutate`, `replace`.
    """

    evaluator: Any
    population_size: int
    experience: ExperienceRule
    stopping: Stopping
    episodes: Episodes
    founding: Founding
    seed: int
    reevaluate_elites: bool
    generations_per_epoch: int
    validation_episodes: int
    checksum_every: int

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.policy: nn.Module | None = None
        self._batched: BatchedPolicy | None = None
        self._evolution: Evolution | None = None
        self._given = False
        self._warned: set[str] = set()

    def configure_policy(self) -> nn.Module:
        """Return a new policy."""
        raise NotImplementedError

    def evaluate(self, params: Tensor, *, seeds: Tensor, record: int = 0, batch: Any = None) -> Evaluation | Tensor:
        """Return the evaluation of individuals."""
        raise NotImplementedError

    def select(self, fitness: Tensor, generator: Generator) -> Breeding:
        """Return who has children and whose places these take."""
        raise NotImplementedError

    def mutate(self, parents: Tensor, states: Tensor | None, valid: Tensor | None, generator: Generator) -> Mutation:
        """Return the children of parents."""
        raise NotImplementedError

    def replace(self, fitness: Tensor, children: Tensor) -> Tensor:
        """Return which children take their places."""
        raise NotImplementedError

    @property
    def batched_policy(self) -> BatchedPolicy:
        """The policy as operators and evaluators take it: many genomes at once."""
        if self._batched is None:
            self._batched = as_batched(self.configure_policy(), self.evaluator)
            self.policy = self._batched.module
        return self._batched

    @property
    def evolution(self) -> Evolution:
        """Everything that evolves; before the first generation, founders that have not been evaluated."""
        if self._evolution is None:
            make = None if self._given else self.configure_policy
            founders = self.founding.population(self.batched_policy.module, self.population_size, self.seed, make)
            self._evolution = Evolution.of_founders(founders)
        return self._evolution

    @property
    def population(self) -> Tensor:
        """Genomes, (P, d)."""
        return self.evolution.population

    @property
    def fitness(self) -> Tensor:
        """Fitness of each member, (P,); minus infinity where broken or not evaluated yet."""
        return self.evolution.fitness

    @property
    def generation(self) -> int:
        """How many generations are done."""
        return self.evolution.generation

    @property
    def evaluations(self) -> int:
        """How many fitness evaluations were spent."""
        return self.evolution.evaluations

    @property
    def champion_fitness(self) -> float:
        """With which the champion became champion; minus infinity before the first generation."""
        return self.evolution.champion.fitness

    def best_policy(self) -> nn.Module:
        """Return a copy of the user's own module with the champion's weights."""
        return copy.deepcopy(self.batched_policy.module)

    def forward(self, *inputs: Any) -> Any:
        """Return what the champion makes of its inputs."""
        return self.batched_policy.module(*inputs)

    def configure_model(self) -> None:
        """Build the policy, where it was not given."""
        _ = self.batched_policy

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return an optimizer of nothing: a Trainer counts steps by what optimizers do."""
        return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0)

    def train_dataloader(self) -> Generations:
        """Return generations to count, where `fit` is given no loader."""
        return Generations(self.generations_per_epoch)

    def val_dataloader(self) -> Generations:
        """Return one step, where `fit` is given no loader."""
        return Generations(1)

    def test_dataloader(self) -> Generations:
        """Return one step, where `test` is given no loader."""
        return Generations(1)

    def on_fit_start(self) -> None:
        """Refuse what could not be right, and bring the population to the policy's device and precision."""
        check_checkpoint_file(type(self).__name__, self.trainer.ckpt_path)
        weights = self.batched_policy.genome.vector(self.batched_policy.module)
        check_trainer(type(self).__name__, self, weights.dtype)
        self._evolution = self.evolution.to(weights)

    def on_train_start(self) -> None:
        """Refuse training data that is dealt out to processes, and start from equal founders."""
        check_loader(type(self).__name__, self)
        self._check_equal()

    @torch.compiler.disable
    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Do one generation."""
        before = self.evolution
        generator = generator_of(self.seed, "generation", before.generation)
        attempt = partial(self._attempt, batch=self._same_batch(batch))
        rule = replace(self.experience, each_step=self.batched_policy.output_steps == "all")
        if before.generation:
            again = self.reevaluate_elites
            after, outcome = next_generation(before, self, attempt, rule, generator, reevaluate=again)
        else:
            after, outcome = first_generation(before, attempt, rule, generator)
        self._evolution = after
        self.batched_policy.genome.write_(self.batched_policy.module, after.champion.genome)
        self.optimizers().step()  # type: ignore[union-attr]
        self._tell(outcome)
        if after.generation % self.checksum_every == 0:
            self._check_equal()
        if self.stopping.reached(after.champion, float(after.fitness.max())):
            self.trainer.should_stop = True

    @torch.compiler.disable
    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Log `val/fitness`, and `val/solved`, of the champion."""
        self._examine(batch, "val", "validate")

    @torch.compiler.disable
    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Log `test/fitness`, and `test/solved`, of the champion."""
        self._examine(batch, "test", "test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep everything that evolves; what is random follows from seed and generation."""
        checkpoint[CHECKPOINT_KEY] = self.evolution.state_dict() | {"seed": self.seed}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with it, and with its seed."""
        stored = checkpoint.get(CHECKPOINT_KEY)
        if stored is None:
            return
        check_stored(type(self).__name__, stored, self.population_size, self.batched_policy.size)
        self._evolution = Evolution.of_state_dict(stored)
        self.seed = stored["seed"]

    def teardown(self, stage: str) -> None:
        """Let the evaluator close what it has opened."""
        close = getattr(self.evaluator, "close", None)
        if callable(close):
            close()

    def adopt(self, policy: nn.Module | BatchedPolicy) -> None:
        """Evolve this policy, rather than one that `configure_policy` builds."""
        self._batched, self._given = as_batched(policy, self.evaluator), True
        self.policy = self._batched.module

    def _attempt(self, params: Tensor, *, batch: Any) -> Trial:
        """Evaluate individuals, here and in other processes."""
        record = self.experience.record(self.evolution.archive)
        episodes = (
            replace(self.episodes, common=True) if getattr(self.evaluator, "common_seeds", False) else self.episodes
        )
        seeds = episodes.seeds(len(params), self.seed, self.generation)

        def here(some: Tensor, their_seeds: Tensor) -> Trial:
            try:
                return self._trial(some, their_seeds, record, batch)
            except Exception as error:
                raise EvaluationError(
                    f"{type(self).__name__}: generation {self.generation} was given up, because its evaluation raised "
                    f"{type(error).__name__}: {error} Population, fitness and random state are as before it. Mend the "
                    "cause, then call fit again, or resume from a checkpoint."
                ) from error

        return self._shards().evaluate(here, params, seeds)

    def _trial(self, params: Tensor, seeds: Tensor, record: int, batch: Any) -> Trial:
        def overridable(policy: BatchedPolicy, params: Tensor) -> Evaluation | Tensor:
            return self.evaluate(params, seeds=seeds, record=record, batch=batch)

        return trial_of(evaluate(overridable, self.batched_policy, params), self.batched_policy)

    def _examine(self, batch: Any, stage: str, purpose: Literal["validate", "test"]) -> None:
        if self._lacks_data(batch):
            return
        seeds = episode_seeds(self.validation_episodes, self.seed, purpose)
        champion = self.batched_policy.genome.vector(self.batched_policy.module)
        trial = self._trial(champion.expand(len(seeds), -1), seeds, 0, None if isinstance(batch, NoBatch) else batch)
        values = {f"{stage}/fitness": trial.fitness.mean()}
        if trial.solved is not None:
            values[f"{stage}/solved"] = trial.solved.float().mean()
        self.log_dict(values, batch_size=_samples(batch), sync_dist=self.trainer.world_size > 1)

    def _lacks_data(self, batch: Any) -> bool:
        """Whether individuals are trained on batches, and there are none to validate the champion on."""
        trainer = self.trainer
        if not isinstance(batch, NoBatch) or trainer.state.fn != "fit":
            return False
        return trainer.sanity_checking or not isinstance(trainer.train_dataloader, Generations)

    def _tell(self, outcome: Outcome) -> None:
        values = metrics_of(self.evolution, outcome)
        # The same in all processes, so that callbacks can watch them in each.
        self.log("fitness/best", values.pop("fitness/best"), on_step=True, on_epoch=False, prog_bar=True, batch_size=1)
        self.log_dict(values, on_step=True, on_epoch=False, batch_size=1)
        for subject, message in warnings_of(type(self).__name__, self.evolution, outcome, self.experience).items():
            if subject not in self._warned:
                self._warned.add(subject)
                rank_zero_warn(message)

    def _shards(self) -> Shards:
        trainer = self.trainer
        return Shards(trainer.global_rank, trainer.world_size, self._gathered if trainer.world_size > 1 else alone)

    def _gathered(self, tensor: Tensor) -> Tensor:
        """From wherever it is, and also truth values, which not every backend sends."""
        sent = tensor.to(self.device, torch.uint8 if tensor.dtype == torch.bool else tensor.dtype).contiguous()
        parts = [torch.empty_like(sent) for _ in range(self.trainer.world_size)]
        torch.distributed.all_gather(parts, sent)
        return torch.stack(parts).to(tensor.device, tensor.dtype)

    def _same_batch(self, batch: Any) -> Any:
        """Individuals are dealt out to processes, and compared on the batch of the first one."""
        if isinstance(batch, NoBatch):
            return None
        return self.trainer.strategy.broadcast(batch) if self.trainer.world_size > 1 else batch

    def _check_equal(self) -> None:
        evolution = self.evolution
        tensors = {"population": evolution.population, "fitness": evolution.fitness, "ids": evolution.ids}
        self._shards().check_equal(tensors, evolution.generation)


def _samples(batch: Any) -> int:
    """Return how many samples a batch of inputs and targets holds, so that a mean over batches weighs each alike."""
    targets = batch[-1] if isinstance(batch, tuple | list) and len(batch) else None
    return len(targets) if isinstance(targets, Tensor) and targets.ndim else 1
