"""Fitness of a population from a loss on data."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.labelled_samples import OWNER, LabelledSamples, Pair, some_samples
from lightning_neuro.safe_mutation.population import BatchedPolicy

Loss = Callable[[Tensor, Tensor], Tensor]


class SupervisedEvaluator:
    """Fitness is minus the loss of each individual on the same samples, or the share of right answers.

    As many generations as wanted see all of the data, or each a minibatch drawn by the first seed: all individuals
    must be compared on the same samples, so `common_seeds` asks for the same seed for all of them, in every process.

    Recurrent policies take time first: tensors and the Trainer's batches have inputs (T, B, *obs), a dataset's items
    (T, *obs). Their outputs are those of the last step.

    Args:
        data: tensors (inputs, targets), a dataset of such pairs, or None for the Trainer's batch.
        loss: of one individual: outputs (B, K) and targets to a number, as `torch.nn.functional.cross_entropy` is. It
            is batched over individuals.
        batch_size: samples of a minibatch; None: all. The Trainer's batch is taken as it is.
        fitness: "loss" or "accuracy".
        accuracy: whether outputs are scores of classes and targets their numbers, so that right answers can be
            counted: `extras["accuracy"]`.
        solved_at: accuracy, or without it fitness, from which an individual has solved the task. None: never.
        chunk_size: individuals at once; None: all. Bounds the memory for P * B samples.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range.

    >>> inputs, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]])
    >>> evaluator = SupervisedEvaluator((inputs, targets), nn.functional.mse_loss)
    >>> evaluator(BatchedPolicy(nn.Linear(1, 1, bias=False)), torch.tensor([[2.0], [1.0]])).fitness
    tensor([-0.0000, -2.5000])
    """

    common_seeds = True

    def __init__(
        self,
        data: "Pair | Dataset[Any] | None",
        loss: Loss,
        *,
        batch_size: int | None = None,
        fitness: Literal["loss", "accuracy"] = "loss",
        accuracy: bool = False,
        solved_at: float | None = None,
        chunk_size: int | None = None,
    ) -> None:
        if not callable(loss):
            raise TypeError(f"{OWNER}: loss must be a function of outputs and targets, got {loss!r}.")
        self.loss = loss
        size = None if batch_size is None else checks.integer(OWNER, "batch_size", batch_size, at_least=1)
        self._samples = LabelledSamples(data, size)
        self.fitness = checks.choice(OWNER, "fitness", fitness, ["loss", "accuracy"])
        self.accuracy = checks.flag(OWNER, "accuracy", accuracy) or self.fitness == "accuracy"
        self.solved_at = None if solved_at is None else checks.number(OWNER, "solved_at", solved_at)
        self.chunk_size = None if chunk_size is None else checks.integer(OWNER, "chunk_size", chunk_size, at_least=1)

    @torch.no_grad()
    def __call__(
        self,
        policy: nn.Module | BatchedPolicy,
        params: Tensor,
        *,
        seeds: Tensor | None = None,
        record: int = 0,
        batch: Any = None,
    ) -> Evaluation:
        """Return fitness, accuracy, who solved the task, and inputs as states (S, *obs) or (T, S, *obs).

        Args:
            policy: of any recurrence.
            params: (P, d).
            seeds: (P,) int64; the first draws the minibatch, and the states if fewer than all are wanted.
            record: states at most, shared by all individuals.
            batch: the Trainer's, (inputs, targets), where the evaluator has no data of its own.

        Raises:
            TypeError, ValueError: the data, or what the loss returns, does not fit.
        """
        batched = BatchedPolicy.of(policy)
        samples_dim = 0 if batched.interface.recurrence == "none" else 1
        generator = torch.Generator().manual_seed(0 if seeds is None else int(seeds[0]))
        inputs, targets = self._samples.draw(batch, samples_dim, generator)
        inputs, targets = _on(inputs, params), _on(targets, params)
        parts = params.split(self.chunk_size or len(params))
        scores = [self._scores(batched, part, inputs, targets) for part in parts]
        fitness = torch.cat([part["fitness"] for part in scores])
        extras = {"accuracy": torch.cat([part["accuracy"] for part in scores])} if self.accuracy else {}
        reached = extras.get("accuracy", fitness)
        return Evaluation(
            fitness=fitness,
            states=some_samples(inputs, samples_dim, record, generator) if record else None,
            solved=None if self.solved_at is None else reached >= self.solved_at,
            extras=extras,
        )

    def _scores(self, policy: BatchedPolicy, params: Tensor, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return "fitness" (P,) and, if it is wanted, "accuracy" (P,)."""
        outputs = _outputs(policy, params, inputs)
        accuracy = {"accuracy": _accuracy(outputs, targets)} if self.accuracy else {}
        if self.fitness == "accuracy":
            return {"fitness": accuracy["accuracy"], **accuracy}
        losses = policy.map(lambda output: self.loss(output, targets), outputs)
        if losses.shape != (len(params),):
            raise ValueError(
                f"{OWNER}: loss must return one number per individual, got shape {tuple(losses.shape[1:])}. "
                "Take the mean over samples."
            )
        return {"fitness": -losses, **accuracy}


def _accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of right answers (P,); NaN, not class 0, is what an individual with NaN outputs answers."""
    right = (outputs.argmax(-1) == targets).to(outputs).flatten(1).mean(1)
    return right.masked_fill(outputs.isnan().flatten(1).any(1), torch.nan)


def _on(tensor: Tensor, params: Tensor) -> Tensor:
    return tensor.to(params) if tensor.is_floating_point() else tensor.to(params.device)


def _outputs(policy: BatchedPolicy, params: Tensor, inputs: Tensor) -> Tensor:
    """Return outputs (P, B, ...), of the last step where there is time."""
    if policy.interface.recurrence != "step":
        return policy(params, inputs)
    tensors, state, outputs = policy.prepare(params), None, inputs
    for observations in inputs.unbind():
        outputs, state = policy(tensors, observations, state)
    return outputs
