"""Fitness of a population from a loss on data."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.population import BatchedPolicy

OWNER = "SupervisedEvaluator"
Loss = Callable[[Tensor, Tensor], Tensor]
Pair = tuple[Tensor, Tensor]


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
        self.data = _known(data)
        self.loss = loss
        self.batch_size = None if batch_size is None else checks.integer(OWNER, "batch_size", batch_size, at_least=1)
        self.fitness = checks.choice(OWNER, "fitness", fitness, ["loss", "accuracy"])
        self.accuracy = checks.flag(OWNER, "accuracy", accuracy) or self.fitness == "accuracy"
        self.solved_at = None if solved_at is None else checks.number(OWNER, "solved_at", solved_at)
        self.chunk_size = None if chunk_size is None else checks.integer(OWNER, "chunk_size", chunk_size, at_least=1)
        self._whole: Pair | None = None

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
        inputs, targets = self._samples(batch, samples_dim, generator)
        inputs, targets = _on(inputs, params), _on(targets, params)
        results = [
            self._scores(batched, part, inputs, targets) for part in params.split(self.chunk_size or len(params))
        ]
        fitness = torch.cat([fitness for fitness, _ in results])
        accuracy = torch.cat([accuracy for _, accuracy in results]) if self.accuracy else None
        reached = fitness if accuracy is None else accuracy
        return Evaluation(
            fitness=fitness,
            states=_some(inputs, samples_dim, record, generator),
            solved=None if self.solved_at is None else reached >= self.solved_at,
            extras={} if accuracy is None else {"accuracy": accuracy},
        )

    def _scores(self, policy: BatchedPolicy, params: Tensor, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return fitness (P,) and accuracy (P,), the latter empty unless it is wanted."""
        outputs = _outputs(policy, params, inputs)
        accuracy = outputs.new_empty(0)
        if self.accuracy:
            accuracy = (outputs.argmax(-1) == targets).to(outputs).flatten(1).mean(1)
            # A broken individual must not pass for one that answers 0.
            accuracy = accuracy.masked_fill(outputs.isnan().flatten(1).any(1), torch.nan)
        if self.fitness == "accuracy":
            return accuracy, accuracy
        losses = policy.map(lambda output: self.loss(output, targets), outputs)
        if losses.shape != (len(params),):
            raise ValueError(
                f"{OWNER}: loss must return one number per individual, got shape {tuple(losses.shape[1:])}. "
                "Take the mean over samples."
            )
        return -losses, accuracy

    def _samples(self, batch: Any, samples_dim: int, generator: torch.Generator) -> Pair:
        if self.data is None:
            return _pair("the Trainer's batch", batch)
        if isinstance(self.data, Dataset):
            count = len(self.data)  # type: ignore[arg-type]
        else:
            inputs, targets = self.data
            count = inputs.shape[samples_dim]
            if count != len(targets):
                raise ValueError(
                    f"{OWNER}: inputs and targets must have equally many samples, got {count} in dimension "
                    f"{samples_dim} of inputs and {len(targets)} targets."
                )
        if self.batch_size is None or self.batch_size >= count:
            return self._all(samples_dim)
        rows = torch.randperm(count, generator=generator)[: self.batch_size]
        if isinstance(self.data, Dataset):
            return _collated(self.data, rows.tolist(), samples_dim)
        return inputs.index_select(samples_dim, rows.to(inputs.device)), targets[rows.to(targets.device)]

    def _all(self, samples_dim: int) -> Pair:
        if not isinstance(self.data, Dataset):
            return _pair("data", self.data)
        if self._whole is None:
            self._whole = _collated(self.data, range(len(self.data)), samples_dim)  # type: ignore[arg-type]
        return self._whole


def _known(data: Any) -> Any:
    if data is None or isinstance(data, Dataset):
        if data is not None and not hasattr(data, "__len__"):
            raise TypeError(f"{OWNER}: data must have a length, got {type(data).__name__}, a stream.")
        return data
    return _pair("data", data)


def _pair(name: str, data: Any) -> Pair:
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        return data[0], data[1]
    hint = " Give data, or a dataloader to the Trainer." if data is None else ""
    raise TypeError(f"{OWNER}: {name} must be two tensors, inputs and targets, got {type(data).__name__}.{hint}")


def _collated(data: Any, rows: Sequence[int], samples_dim: int) -> Pair:
    inputs, targets = _pair("the dataset's items, stacked,", default_collate([data[row] for row in rows]))
    return inputs.movedim(0, samples_dim), targets


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


def _some(inputs: Tensor, samples_dim: int, record: int, generator: torch.Generator) -> Tensor | None:
    """Return at most `record` of the inputs; drawn, since data may be sorted."""
    if not record:
        return None
    count = inputs.shape[samples_dim]
    if record >= count:
        return inputs
    rows = torch.randperm(count, generator=generator)[:record].sort().values
    return inputs.index_select(samples_dim, rows.to(inputs.device))
