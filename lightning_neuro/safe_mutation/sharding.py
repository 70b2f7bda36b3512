"""One evaluation by several processes: each takes every n-th individual, all get to know everything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.archive import Archive, with_rows, with_steps
from lightning_neuro.safe_mutation.trial import Trial


def alone(tensor: Tensor) -> Tensor:
    """Gather from one process: `(*shape)` to `(1, *shape)`."""
    return tensor[None]


@dataclass(frozen=True)
class Shards:
    """How the individuals are dealt out.

    Args:
        rank: of this process.
        world_size: number of processes.
        gather: tensors `(*shape)` of all processes to `(world_size, *shape)`.

    >>> Shards(rank=2, world_size=4).rows(10)  # 10 individuals for 4 processes: two of them are evaluated twice
    tensor([2, 6, 0])
    """

    rank: int = 0
    world_size: int = 1
    gather: Callable[[Tensor], Tensor] = alone

    def rows(self, count: int) -> Tensor:
        """Return which individuals are evaluated here, equally many in all processes."""
        padded = -(-count // self.world_size) * self.world_size
        return torch.arange(self.rank, padded, self.world_size) % count

    def evaluate(self, evaluate: Callable[[Tensor, Tensor], Trial], params: Tensor, seeds: Tensor) -> Trial:
        """Return the trial of all individuals, the same in all processes.

        Args:
            evaluate: `(params, seeds)` of some individuals to their trial.
            params: (n, d), the same in all processes.
            seeds: (n,) likewise.

        Raises:
            Exception: what `evaluate` raised here.
            RuntimeError: it raised in another process.
        """
        if self.world_size == 1:
            return evaluate(params, seeds)
        rows = self.rows(len(params))
        outcome: Trial | Exception
        try:
            outcome = evaluate(params[rows.to(params.device)], seeds[rows])
        except Exception as error:  # the others wait for this process and have to be told first
            outcome = error
        failed = self.gather(torch.tensor([isinstance(outcome, Exception)]))[:, 0]
        if isinstance(outcome, Exception):
            raise outcome
        if bool(failed.any()):
            raise RuntimeError(f"the evaluator raised in process {failed.nonzero()[:, 0].tolist()}; look there.")
        return self._merged(outcome, len(params))

    def check_equal(self, tensors: Mapping[str, Tensor], generation: int) -> None:
        """Compare checksums of tensors between the processes.

        Raises:
            RuntimeError: the processes have come apart.
        """
        if self.world_size == 1:
            return
        sums = self.gather(torch.stack([checksum(tensor) for tensor in tensors.values()]))
        differ = [name for name, equal in zip(tensors, (sums == sums[0]).all(0), strict=True) if not equal]
        if differ:
            raise RuntimeError(
                f"SafeMutation: {' and '.join(differ)} differ between processes after generation {generation}. "
                "Processes must run on the same kind of device with deterministic kernels, and an overridden select, "
                "mutate or replace may draw from the given generator only."
            )

    def _merged(self, part: Trial, count: int) -> Trial:
        return Trial(
            fitness=self._dealt(part.fitness, count),
            solved=None if part.solved is None else self._dealt(part.solved, count),
            extras={name: self._dealt(part.extras[name], count) for name in sorted(part.extras)},
            experience=None if part.experience is None else self._experience(part.experience, count),
        )

    def _experience(self, part: Archive, count: int) -> Archive:
        if part.shared:
            return Archive(self.gather(part.states)[0], self.gather(part.valid)[0], shared=True)
        rows, steps = self.gather(torch.tensor([part.states.shape[1], part.steps])).amax(0).tolist()
        part = with_rows(with_steps(part, steps), rows)
        return Archive(self._dealt(part.states, count), self._dealt(part.valid, count))

    def _dealt(self, tensor: Tensor, count: int) -> Tensor:
        """Rows of all processes in the order of the individuals."""
        return self.gather(tensor).transpose(0, 1).flatten(0, 1)[:count]


def checksum(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor's bytes, weighted by place, int64 ().

    >>> checksum(torch.tensor([1, 2])) == checksum(torch.tensor([2, 1]))
    tensor(False)
    """
    content = tensor.detach().contiguous().cpu().view(torch.uint8).to(torch.int64).flatten()
    return (content * (torch.arange(len(content)) % 65521 + 1)).sum()
