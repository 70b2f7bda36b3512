"""What individuals met while they were evaluated: rows that are pushed, inherited and drawn from."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lightning_neuro.safe_mutation.selection import draw_tournaments


@dataclass(frozen=True)
class Archive:
    """Rows of experience of n owners, or of one owner for all.

    A row is one observation or, for recurrent policies, a segment of T steps, which stays whole. Rows of one owner are
    in the order in which they came; rows that hold nothing come first.

    Attributes:
        states: (n, R, *obs), recurrent (n, R, T, *obs).
        valid: bool (n, R), recurrent (n, R, T): what is filled.
        shared: there is one owner, n = 1, and all individuals draw from its rows.
    """

    states: Tensor
    valid: Tensor
    shared: bool = False

    @property
    def filled(self) -> Tensor:
        """Which rows hold something, bool (n, R)."""
        return self.valid if self.valid.ndim == 2 else self.valid.any(2)

    @property
    def steps(self) -> int:
        """States in a row: T, or 1 without recurrence."""
        return int(self.valid.shape[2:].numel())

    def completed(self) -> "Archive | None":
        """Return the archive in which an owner without rows has those of the first that has some; None if all lack."""
        have = self.filled.any(1)
        if not bool(have.any()):
            return None
        return (
            self
            if bool(have.all())
            else self.of(torch.where(have, torch.arange(len(have), device=have.device), have.int().argmax()))
        )

    def of(self, owners: Tensor) -> "Archive":
        """Return the rows of some owners, with copies where one is named twice; a shared archive is returned whole."""
        if self.shared:
            return self
        owners = owners.to(self.states.device)
        return Archive(self.states[owners], self.valid[owners])


def archive_of(states: Tensor, valid: Tensor | None, *, own: bool, recurrent: bool) -> Archive:
    """Return what an evaluation recorded.

    Args:
        states: (n, S, *obs) or (S, *obs); recurrent (n, T, S, *obs) or (T, S, *obs).
        valid: bool, the leading dimensions of states; None: all.
        own: each individual has its own states.
        recurrent: there is a dimension of time.

    >>> archive_of(torch.zeros(4, 16, 1), None, own=False, recurrent=True).states.shape
    torch.Size([1, 16, 4, 1])
    """
    states = states.detach()
    if not own:
        states, valid = states[None], None if valid is None else valid[None]
    if valid is None:
        valid = torch.ones(states.shape[: 3 if recurrent else 2], dtype=torch.bool, device=states.device)
    if recurrent:
        states, valid = states.transpose(1, 2), valid.transpose(1, 2)
    return Archive(states, valid, shared=not own)


def states_of(archive: Archive, count: int, *, each_step: bool) -> tuple[Tensor, Tensor | None]:
    """Return states, and what is valid of them, as mutation operators take them.

    Args:
        archive: rows of `count` parents, or shared by them.
        count: n.
        each_step: every step of a segment has outputs that count, rather than the last one alone.

    Returns:
        States as `archive_of` takes them; valid (n, B), or (n, T * B) with `each_step`, None where all are.
    """
    states, valid = archive.states, archive.valid if each_step else archive.filled
    if archive.valid.ndim == 3:
        states, valid = states.transpose(1, 2), valid.transpose(1, -1).flatten(1) if each_step else valid
    everything = bool(valid.all())
    return states[0] if archive.shared else states, None if everything else valid.expand(count, -1)


def inherited(parent: Archive, child: Archive, rows: int) -> Archive:
    """Return what children hold: what their parents held, then what they met themselves, at most the last `rows`."""
    steps = max(parent.steps, child.steps)
    parts = [with_steps(each, steps) for each in (parent, child)]
    joined = Archive(torch.cat([part.states for part in parts], 1), torch.cat([part.valid for part in parts], 1))
    return newest(joined, rows)


def newest(archive: Archive, rows: int) -> Archive:
    """Return the last `rows` filled rows of each owner, in their order and without columns that nobody filled.

    >>> kept = newest(Archive(torch.arange(4.0)[None, :, None], torch.tensor([[True, True, True, False]])), 2)
    >>> kept.states.flatten()
    tensor([1., 2.])
    """
    filled = archive.filled
    width = min(rows, max(1, int(filled.sum(1).max())))
    order = filled.to(torch.uint8).argsort(dim=1, stable=True)[:, -width:]
    return _taken(archive, order)


def sampled(archive: Archive, rows: int, generator: Generator) -> Archive:
    """Return up to `rows` filled rows of each owner, drawn without replacement.

    >>> drawn = sampled(Archive(torch.zeros(2, 400, 11), torch.ones(2, 400, dtype=torch.bool)), 100, torch.Generator())
    >>> drawn.states.shape
    torch.Size([2, 100, 11])
    """
    filled = archive.filled
    keys = torch.rand(filled.shape, generator=generator).to(filled.device)
    width = min(rows, max(1, int(filled.sum(1).max())))
    # Empty rows come last and then count as invalid: owners may hold fewer rows than others.
    return _taken(archive, torch.where(filled, keys, 2.0).argsort(dim=1)[:, :width])


def pooled(old: Archive | None, new: Archive, rows: int, generator: Generator) -> Archive:
    """Return one archive for all: `rows` rows drawn from those of all individuals and those kept so far."""
    parts = [new] if old is None else [old, new]
    steps = max(part.steps for part in parts)
    parts = [with_steps(part, steps) for part in parts]
    kept = [part.filled for part in parts]
    states = torch.cat([part.states[mask] for part, mask in zip(parts, kept, strict=True)])
    valid = torch.cat([part.valid[mask] for part, mask in zip(parts, kept, strict=True)])
    if not len(states):
        return Archive(new.states[:1], new.valid[:1], shared=True)
    drawn = draw_tournaments(len(states), 1, min(rows, len(states)), generator)[0].sort().values.to(states.device)
    return Archive(states[drawn][None], valid[drawn][None], shared=True)


def placed(archive: Archive, places: Tensor, children: Archive, rows: int) -> Archive:
    """Return an archive of at most `rows` rows each in which `children` have taken `places`."""
    steps = max(archive.steps, children.steps)
    parts = [with_steps(each, steps) for each in (archive, children)]
    most = max(part.states.shape[1] for part in parts)
    whole, new = (with_rows(part, most) for part in parts)
    places = places.to(whole.states.device)
    states, valid = whole.states.index_copy(0, places, new.states), whole.valid.index_copy(0, places, new.valid)
    return newest(Archive(states, valid), rows)


def with_steps(archive: Archive, steps: int) -> Archive:
    """Return the archive with segments of `steps`, the added ones invalid and at the end."""
    missing = steps - archive.steps
    if not missing:
        return archive
    return Archive(_longer(archive.states, 2, missing), _longer(archive.valid, 2, missing), archive.shared)


def with_rows(archive: Archive, rows: int) -> Archive:
    """Return the archive with `rows` rows per owner, the added ones empty and in front, where the oldest are."""
    missing = rows - archive.states.shape[1]
    if not missing:
        return archive
    states, valid = (_longer(each.flip(1), 1, missing).flip(1) for each in (archive.states, archive.valid))
    return Archive(states, valid, archive.shared)


def _taken(archive: Archive, order: Tensor) -> Archive:
    owners = torch.arange(len(order), device=order.device)[:, None]
    return Archive(archive.states[owners, order], archive.valid[owners, order], archive.shared)


def _longer(tensor: Tensor, dim: int, by: int) -> Tensor:
    shape = list(tensor.shape)
    shape[dim] = by
    return torch.cat([tensor, tensor.new_zeros(shape)], dim)
