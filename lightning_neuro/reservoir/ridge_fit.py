"""A ridge regression that is under way: its sums, in which epoch they began, and its solution."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.reservoir.streaming_ridge import RidgeSums, RidgeWeights, add_rows, no_rows, solved


class RidgeFit:
    """Sums of one epoch over the batches of this process; those of all processes are added up to solve.

    Args:
        owner: opens messages.
        features: F.
        outputs: O.
        ridges: penalties, R of them.

    Attributes:
        sums: over the batches of this process.
        epoch: in which they began; None if there are none.
        solution: for these sums of all processes; None if they have changed since.
        chosen: place of the penalty to write.

    >>> fit = RidgeFit("ReservoirModule", 1, 1, [0.0, 2.0])
    >>> fit.add(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [4.0], [7.0]]), epoch=0)
    >>> fit.solve(world_size=1)
    >>> fit.solution.weights.flatten().tolist()
    [3.0, 1.5]
    """

    def __init__(self, owner: str, features: int, outputs: int, ridges: Sequence[float]) -> None:
        self.owner, self.features, self.outputs, self.ridges = owner, features, outputs, list(ridges)
        self.chosen = 0
        self._shares: dict[str, Tensor] | None = None
        self.forget()

    @property
    def ridge(self) -> float:
        """The penalty chosen; the first one, as long as there was no choice."""
        return self.ridges[self.chosen]

    @property
    def training_loss(self) -> Tensor:
        """Mean squared error of the chosen solution on the rows summed, `()`."""
        return self._solution().errors[self.chosen]

    def forget(self) -> None:
        """Begin anew."""
        self.sums: RidgeSums = no_rows(self.features, self.outputs)
        self.epoch: int | None = None
        self.solution: RidgeWeights | None = None
        self.is_open = False  # whether rows came after the last solution

    def add(self, x: Tensor, y: Tensor, epoch: int) -> None:
        """Add rows: features `(n, F)` and targets `(n, O)`. With the first of another epoch the sums begin anew."""
        if epoch != self.epoch:
            self.forget()
        self.epoch, self.solution, self.is_open = epoch, None, True
        with torch.no_grad():
            self.sums = add_rows(self.sums, x, y)

    def solve(self, world_size: int) -> None:
        """Solve for all penalties, unless that is done; all processes get the same bits.

        Raises:
            ValueError: nothing was summed.
        """
        if self.solution is not None:
            return
        with torch.inference_mode(False), torch.no_grad():
            total = RidgeSums(*(_added_up(part, world_size) for part in self.sums))
            if total.rows == 0:
                raise ValueError(
                    f"{self.owner}: expected at least one target to learn from, got none that counts. Look for NaN, "
                    "labels of -100, or a washout as long as the series."
                )
            self.solution, self.is_open = solved(total, self.ridges), False
            if world_size > 1:
                for part in self.solution:
                    torch.distributed.broadcast(part, 0)

    def predict(self, x: Tensor) -> Tensor:
        """Return outputs `(R, n, O)` for features `(n, F)`."""
        weights, intercepts, _ = self._solution()
        return x.double() @ weights + intercepts[:, None]

    def choose(self, errors: Mapping[str, Tensor]) -> None:
        """Keep the penalty of highest accuracy, if that is known, and then of lowest loss; each `(R,)`."""
        losses = errors["loss"].tolist()
        rates = errors["accuracy"].tolist() if "accuracy" in errors else [0.0] * len(losses)
        if losses[0] == losses[0]:  # not NaN: something was counted
            self.chosen = min(range(len(losses)), key=lambda place: (-rates[place], losses[place]))

    @torch.no_grad()
    def write_(self, readout: nn.Linear) -> None:
        """Write the chosen solution into a readout."""
        weights, intercepts, _ = self._solution()
        readout.weight.copy_(weights[self.chosen].T)
        readout.bias.copy_(intercepts[self.chosen])

    def state_dict(self, world_size: int, device: torch.device) -> dict[str, Any]:
        """Return the sums of every process, `(world_size, ...)` each, their epoch, and the penalty chosen."""
        sums = {name: _gathered(part.to(device), world_size) for name, part in self.sums._asdict().items()}
        return {"sums": sums, "epoch": self.epoch, "ridge": self.ridge, "open": self.is_open}

    def load_state_dict(self, stored: Mapping[str, Any]) -> None:
        """Take them up; `take_share` then tells which process this is."""
        self.forget()
        self.epoch, self._shares, self.is_open = stored["epoch"], dict(stored["sums"]), stored.get("open", False)
        self.chosen = self.ridges.index(stored["ridge"]) if stored["ridge"] in self.ridges else 0

    def take_share(self, rank: int, world_size: int) -> None:
        """Go on with the sums of this process; where their number has changed, the first one takes all.

        Raises:
            ValueError: they are of another size.
        """
        if self._shares is None:
            return
        shares, self._shares = self._shares, None
        for name, part in self.sums._asdict().items():
            if shares[name].shape[1:] != part.shape:
                raise ValueError(
                    f"{self.owner}: expected sums `{name}` of shape {tuple(part.shape)} in the checkpoint, got "
                    f"{tuple(shares[name].shape[1:])}. Build the module as it was built for the checkpoint."
                )
        if len(shares["rows"]) == world_size:
            self.sums = RidgeSums(**{name: share[rank] for name, share in shares.items()})
        elif rank == 0:
            self.sums = RidgeSums(**{name: share.sum(0) for name, share in shares.items()})

    def _solution(self) -> RidgeWeights:
        if self.solution is None:
            raise RuntimeError(f"{self.owner}: the ridge regression is not solved yet. Call solve first.")
        return self.solution


def checked_ridges(owner: str, ridge: Any) -> list[float]:
    """Return penalties as a list.

    Raises:
        TypeError, ValueError: there is none, one is no number, or below 0.

    >>> checked_ridges("ReservoirModule", 1)
    [1.0]
    """
    several: list[Any] = list(ridge) if isinstance(ridge, Iterable) else [ridge]
    if not several:
        raise ValueError(f"{owner}: ridge must be a number or several, got none.")
    return [checks.number(owner, "ridge", each, at_least=0) for each in several]


def _added_up(part: Tensor, world_size: int) -> Tensor:
    if world_size == 1:
        return part
    total = part.clone()
    torch.distributed.all_reduce(total)
    return total


def _gathered(part: Tensor, world_size: int) -> Tensor:
    if world_size == 1:
        return part[None]
    parts = [torch.empty_like(part) for _ in range(world_size)]
    torch.distributed.all_gather(parts, part)
    return torch.stack(parts)
