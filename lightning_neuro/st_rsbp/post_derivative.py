"""How much a neuron's own spike count changes its summed potential: `G_i = sum_j w_ij de_ij/do_i`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from lightning_neuro.st_rsbp.response import Response

Drive: TypeAlias = tuple[Callable[[Tensor], Tensor], Tensor]
Table: TypeAlias = tuple[tuple[float, ...], ...]


class PostDerivative(Protocol):
    """Estimates G for one layer."""

    def __call__(self, drives: Sequence[Drive], counts: Tensor, threshold: float, recurrent: bool) -> Tensor:
        """Return G in the shape of `counts`.

        Args:
            drives: for each set of synapses into the layer, the map `n -> sum_j w_ij n_j` and the counts that enter.
            counts: the layer's own counts `(B, ...)`.
            threshold: of the layer.
            recurrent: whether the layer is recurrent.
        """


@dataclass(frozen=True)
class ByResponse:
    """`G_i = f'(o_i) sum_j w_ij o_j`, since e grows in proportion to the pre count."""

    response: Response

    def __call__(self, drives: Sequence[Drive], counts: Tensor, threshold: float, recurrent: bool) -> Tensor:
        """See `PostDerivative`."""
        total = sum((drive(entering) for drive, entering in drives), torch.zeros_like(counts))
        return self.response.slope(counts) * total


@dataclass(frozen=True)
class BySelf:
    """`G_i = threshold * o f'(o) / f(o)`, which takes the summed potential to be threshold times count."""

    response: Response

    def __call__(self, drives: Sequence[Drive], counts: Tensor, threshold: float, recurrent: bool) -> Tensor:
        """See `PostDerivative`."""
        return threshold * self.response.elasticity(counts)


@dataclass(frozen=True)
class ByTable:
    """The authors' fits: one quartic in the post count for each pre count.

    As in their code, the pre count is clamped to the table's rows; a silent neuron of a feed-forward layer has G = 0
    and a count beyond the table is extrapolated there, while a recurrent layer clamps counts to 1 and the last row.

    Args:
        table: coefficients, highest power first, of pre counts from 1.
    """

    table: Table

    def __call__(self, drives: Sequence[Drive], counts: Tensor, threshold: float, recurrent: bool) -> Tensor:
        """See `PostDerivative`."""
        table = torch.tensor(self.table, dtype=counts.dtype, device=counts.device)
        own = counts.clamp(1, len(table)) if recurrent else counts
        powers = (4 * own**3, 3 * own**2, 2 * own, torch.ones_like(own))
        total = torch.zeros_like(counts)
        for drive, entering in drives:
            row = entering.long().clamp(1, len(table)) - 1
            total += sum(power * drive(table[row, column]) for column, power in enumerate(powers))
        return total if recurrent else total * (counts > 0)


@dataclass(frozen=True)
class NoDerivative:
    """G = 0: a neuron's count does not change its potential."""

    def __call__(self, drives: Sequence[Drive], counts: Tensor, threshold: float, recurrent: bool) -> Tensor:
        """See `PostDerivative`."""
        return torch.zeros_like(counts)


def as_table(owner: str, table: object) -> Table:
    """Return a K x 5 table given as a path to a text file, a tensor or nested sequences.

    Raises:
        TypeError, ValueError: it is no such table.

    >>> as_table("GradientRule", [[0, 0, 0, 0.5, 0]])
    ((0.0, 0.0, 0.0, 0.5, 0.0),)
    """
    expected = (
        f"{owner}: table must be K x 5 coefficients of quartics (highest power first), or the path of a text file"
    )
    if isinstance(table, str | Path):
        table = _cells(expected, Path(table))
    try:
        rows = tuple(tuple(float(cell) for cell in row) for row in table)  # type: ignore[attr-defined]
    except TypeError as error:
        raise TypeError(f"{expected}, got {type(table).__name__}.") from error
    except ValueError as error:
        raise ValueError(f"{expected}, got {error}.") from error
    widths = {len(row) for row in rows}
    if widths != {5}:
        raise ValueError(f"{expected}, got {len(rows)} rows of {sorted(widths)} numbers.")
    if not torch.tensor(rows).isfinite().all():
        raise ValueError(f"{expected}, got a number that is not finite.")
    return rows


def _cells(expected: str, path: Path) -> list[list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"{expected}, got {str(path)!r}, which cannot be read ({reason}).") from error
    return [line.split() for line in lines if line.strip()]
