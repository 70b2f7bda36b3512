"""Evolution by safe mutations as a LightningModule."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.draws import Episodes
from lightning_neuro.safe_mutation.evaluation import Evaluation, evaluate
from lightning_neuro.safe_mutation.evolving_module import EvolvingModule
from lightning_neuro.safe_mutation.experience import ExperienceRule
from lightning_neuro.safe_mutation.founders import Founding
from lightning_neuro.safe_mutation.module_arguments import as_archive, as_operator, check_evaluator
from lightning_neuro.safe_mutation.operators import Mutation, MutationOperator
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.selection import Breeding, Selection
from lightning_neuro.safe_mutation.stopping import Stopping

OWNER = "SafeMutation"


class SafeMutation(EvolvingModule):
    """Evolves a policy by mutations that are scaled so as not to break what it does.

    One training step is one generation; the first one evaluates the founders. The child module `policy` holds the
    champion. No data is needed; batches of a training loader, if there is one, are handed to the evaluator. Validation
    and test evaluate the champion with seeds of their own; it is not validated where only training has a loader. An
    evaluator that raises ends the run with an `EvaluationError`, and the population is as before that generation.
    Override `evaluate`, `select`, `mutate`, `replace`, `sensitivity_output` or `configure_policy` to change what
    evolves, and how.

    It logs `fitness/` (`best`, `mean`, `std`, `median`, `champion`), `evaluations`, `solved`, `broken_frac`,
    `mutation/`, `sensitivity/`, `genome/unique_parents`, `time/` and the evaluator's extras in `evaluator/`; `val/` and
    `test/` (`fitness`, `solved`) of the champion.

    Args:
        policy: any module; weights with `requires_grad` evolve. None where `configure_policy` is overridden.
        evaluator: `(policy, params (P, d))` to an `Evaluation` or to fitness (P,), higher is better. None where
            `evaluate` is overridden.
        population_size: P.
        operator: `"gaussian"`, `"sm_r"`, `"sm_g_sum"`, `"sm_g_abs"`, `"sm_g_so"`, or an operator.
        magnitude: of mutations; what is right differs between operators, see `find_magnitude`.
        replacement: `"generational"` (ours), or `"steady_state"`, as in the authors' program.
        parents: chosen by `"tournament"`, or by `"truncation"`: evenly from the fittest.
        tournament_size: members of a tournament.
        elites: fittest members that stay; generational only.
        truncation_fraction: of the population that may have children; truncation only.
        offspring: births per generation; steady state only.
        removal: who leaves: the least fit of the parent's tournament (`"reference"`) or of an `"independent"` one;
            steady state only.
        reevaluate_elites: evaluate members that stay again in each generation, where fitness is noisy.
        archive: states that mutations look at: `"per_individual"`, `"shared"` or `"none"`; None: of each individual if
            the operator looks at states, else none.
        archive_size: states kept, of each individual or in all.
        mutation_states: states drawn from the archive for one mutation.
        archive_bytes: what the archive may take in memory; it keeps fewer states rather than more memory.
        target_fitness: end the run when a champion reaches it.
        stop_when_solved: end the run when an evaluator says that an individual solved the task.
        common_seeds: all individuals of a generation meet the same episodes.
        fresh_seeds: each generation meets other episodes.
        initial: founders are fresh initialisations of the policy (`"init"`), or it with noise (`"noise"`). The policy
            itself is always the first founder.
        initial_std: of that noise.
        generations_per_epoch: length of an epoch where there is no training loader.
        validation_episodes: seeds with which validation and test evaluate the champion.
        checksum_every: generations after which processes compare their populations.
        floor, zero, clip, reduction, normalize: of the operator named; None: its own default.
        seed: of everything random.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind or outside its range.
        MisconfigurationException: at fit start: a strategy that shards weights, a gradient scaler, genomes in half
            precision, or training data dealt out to processes.

    Source: arXiv 1712.06563. Differs from the authors' program: generational unless asked otherwise, and fitness,
    not the reward at the end, tells the champion.

    >>> def small(policy, params):
    ...     return -params.square().sum(1)
    >>> module = SafeMutation(nn.Linear(2, 1), small, magnitude=0.01, operator="gaussian")
    >>> module.population.shape
    torch.Size([250, 3])
    """

    def __init__(
        self,
        policy: nn.Module | BatchedPolicy | None = None,
        evaluator: Callable[..., Any] | None = None,
        *,
        magnitude: float,
        population_size: int = 250,
        operator: str | MutationOperator = "sm_g_sum",
        replacement: Literal["generational", "steady_state"] = "generational",
        parents: Literal["tournament", "truncation"] = "tournament",
        tournament_size: int = 5,
        elites: int = 1,
        truncation_fraction: float = 0.2,
        offspring: int = 1,
        removal: Literal["reference", "independent"] = "reference",
        reevaluate_elites: bool = False,
        archive: Literal["per_individual", "shared", "none"] | None = None,
        archive_size: int = 400,
        mutation_states: int = 100,
        archive_bytes: int = 1 << 30,
        target_fitness: float | None = None,
        stop_when_solved: bool = True,
        common_seeds: bool = True,
        fresh_seeds: bool = True,
        initial: Literal["init", "noise"] = "init",
        initial_std: float = 0.1,
        generations_per_epoch: int = 10,
        validation_episodes: int = 1,
        checksum_every: int = 10,
        floor: float | None = None,
        zero: Literal["unit", "floor", "freeze"] | None = None,
        clip: float | None = None,
        reduction: Literal["mean", "reference"] | None = None,
        normalize: Literal["std", "max"] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        # What is not a plain value would make checkpoints hold pickled objects.
        self.save_hyperparameters(ignore=["policy", "evaluator"] + ["operator"] * (not isinstance(operator, str)))
        given = {"floor": floor, "zero": zero, "clip": clip, "reduction": reduction, "normalize": normalize}
        self.operator = as_operator(
            OWNER, operator, {name: value for name, value in given.items() if value is not None}
        )
        self.magnitude = checks.number(OWNER, "magnitude", magnitude, at_least=0)
        self.population_size = checks.integer(OWNER, "population_size", population_size, at_least=1)
        self.selection = Selection(
            replacement, parents, tournament_size, elites, offspring, removal, truncation_fraction, OWNER
        )
        self.selection.check_population(population_size)
        self.stopping = Stopping(target_fitness, stop_when_solved, OWNER)
        self.seed = checks.integer(OWNER, "seed", seed, at_least=0)
        self.episodes, self.founding = Episodes(common_seeds, fresh_seeds), Founding(initial, initial_std)
        self.reevaluate_elites = checks.flag(OWNER, "reevaluate_elites", reevaluate_elites)
        self.generations_per_epoch = checks.integer(OWNER, "generations_per_epoch", generations_per_epoch, at_least=1)
        self.validation_episodes = checks.integer(OWNER, "validation_episodes", validation_episodes, at_least=1)
        self.checksum_every = checks.integer(OWNER, "checksum_every", checksum_every, at_least=1)
        check_evaluator(OWNER, evaluator, overridden=type(self).evaluate is not SafeMutation.evaluate)
        self.evaluator = evaluator
        kind = as_archive(OWNER, archive, self.operator)
        self.experience = ExperienceRule(
            population_size, kind, archive_size, mutation_states, archive_bytes, owner=OWNER
        )
        if policy is not None:
            self.adopt(policy)

    def configure_policy(self) -> nn.Module:
        """Return a new policy; override it and leave out `policy`. It is called once for each founder."""
        raise NotImplementedError(
            f"{OWNER}: there is no policy to evolve. Pass policy=, or override configure_policy to build one."
        )

    def sensitivity_output(self, outputs: Tensor) -> Tensor:
        """Return what mutations should leave alike, from the policy's outputs `(B, ...)`; override it for a softmax."""
        return outputs

    def evaluate(self, params: Tensor, *, seeds: Tensor, record: int = 0, batch: Any = None) -> Evaluation | Tensor:
        """Return the evaluation of individuals; override it instead of passing an evaluator.

        Args:
            params: (n, d).
            seeds: (n,) int64.
            record: states wanted of each individual.
            batch: of the training loader, or None.
        """
        return evaluate(self.evaluator, self.batched_policy, params, seeds=seeds, record=record, batch=batch)

    def select(self, fitness: Tensor, generator: Generator) -> Breeding:
        """Return who has children and whose places these take; override it. Draw from `generator` only."""
        return self.selection(fitness, generator)

    def mutate(self, parents: Tensor, states: Tensor | None, valid: Tensor | None, generator: Generator) -> Mutation:
        """Return the children of `parents (n, d)`; override it. Draw from `generator` only.

        Args:
            parents: genomes, one per child.
            states: drawn from the archive of each parent, `(n, B, *obs)`, or `(B, *obs)` for all.
            valid: bool (n, B): which of them are filled; None: all.
            generator: on the CPU.
        """
        if states is None and self.operator.needs_states:
            raise ValueError(
                f"{OWNER}: {type(self.operator).__name__} looks at states, but the evaluator recorded none. Return "
                "Evaluation(fitness, states=...), or use operator='gaussian'."
            )
        policy = self.batched_policy
        # Also one that was set on the instance.
        if getattr(self.sensitivity_output, "__func__", None) is not SafeMutation.sensitivity_output:
            policy = policy.with_output(self.sensitivity_output)
        # In low precision sensitivities, and divergences even more, would be mostly rounding.
        with torch.autocast(parents.device.type, enabled=False):
            return self.operator(policy, parents, states, self.magnitude, generator, valid=valid)

    def replace(self, fitness: Tensor, children: Tensor) -> Tensor:
        """Return which children take their places, (n,) bool; override it, for instance to keep what was better.

        Args:
            fitness: (n,) of the members whose places the children take.
            children: (n,), their fitness.
        """
        return torch.ones(len(children), dtype=torch.bool)
