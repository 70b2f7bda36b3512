"""How much experience is recorded, kept and looked at."""

from dataclasses import dataclass
from typing import Literal

from torch import Generator, Tensor

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.archive import Archive, inherited, newest, placed, pooled

Kind = Literal["per_individual", "shared", "none"]


@dataclass(frozen=True)
class ExperienceRule:
    """What becomes of the states that individuals meet.

    `"per_individual"`: a child holds what its parent held and what it met itself, the last `archive_size` of these
    states. `"shared"`: one archive for all, `archive_size` states drawn from what it held and what all met. States
    that an evaluator gives for all at once are kept once. Segments of recurrent policies stay whole: there may be as
    many as have `archive_size` steps together, and at least one.

    Args:
        population_size: P.
        kind: `"per_individual"`, `"shared"` or `"none"`.
        archive_size: states kept, of each individual or in all.
        mutation_states: states drawn from them, without replacement, for the mutation of one child.
        archive_bytes: what the archive of a population may take in memory.
        each_step: mutations look at the outputs of every step of a segment, rather than of the last one.
        owner: opens messages.

    Raises:
        TypeError, ValueError: a value is out of range.
    """

    population_size: int
    kind: Kind = "per_individual"
    archive_size: int = 400
    mutation_states: int = 100
    archive_bytes: int = 1 << 30
    each_step: bool = False
    owner: str = "SafeMutation"

    def __post_init__(self) -> None:
        checks.choice(self.owner, "archive", self.kind, ("per_individual", "shared", "none"))
        for name in ("archive_size", "mutation_states", "archive_bytes"):
            checks.integer(self.owner, name, getattr(self, name), at_least=1)

    def founded(self, experience: Archive | None, generator: Generator) -> Archive | None:
        """Return the archive of founders, from what they met."""
        if experience is None or self.kind == "none":
            return None
        if experience.shared or self.kind == "shared":
            return pooled(None, experience, self.rows(experience), generator)
        return newest(experience, self.rows(experience))

    def bred(
        self,
        archive: Archive | None,
        parents: Tensor,
        places: Tensor,
        who: Tensor,
        experience: Archive | None,
        generator: Generator,
    ) -> Archive | None:
        """Return the archive after a generation.

        Args:
            archive: before it.
            parents: of the new members, (n,).
            places: that they take, (n,).
            who: rows of `experience` that are theirs, (n,).
            experience: of all who were evaluated.
            generator: of this generation.
        """
        if experience is None or archive is None:
            return archive
        if experience.shared:
            return self.founded(experience, generator)
        if self.kind == "shared":
            return pooled(archive, experience, self.rows(experience), generator)
        rows = self.rows(max(archive, experience, key=lambda each: each.steps))
        children = inherited(archive.of(parents), experience.of(who), rows)
        return placed(archive, places, children, rows)

    def rows(self, experience: Archive) -> int:
        """Return how many rows are kept of each owner.

        Raises:
            ValueError: not even one row of each owner fits into `archive_bytes`.
        """
        fitting = self.archive_bytes // self._row_bytes(experience)
        if not fitting:
            raise ValueError(
                f"{self.owner}: {self._need(experience, 1)} for a single row each. Raise archive_bytes, let the "
                "evaluator return smaller states, or use archive='shared'."
            )
        return min(self._wanted(experience), fitting)

    def sample_rows(self, archive: Archive) -> int:
        """Return how many rows a mutation looks at."""
        return max(1, self.mutation_states // archive.steps)

    def record(self, archive: Archive | None) -> int:
        """Return how many states an evaluator is asked for; 0: none."""
        if self.kind == "none":
            return 0
        return self.archive_size if archive is None else min(self.archive_size, self.rows(archive) * archive.steps)

    def shortage(self, archive: Archive) -> str | None:
        """Return what to warn of where memory holds fewer rows than `archive_size` asks for."""
        wanted, kept = self._wanted(archive), self.rows(archive)
        if kept == wanted:
            return None
        return (
            f"{self.owner}: {self._need(archive, wanted)} for {wanted} rows each, so only {kept} are kept. "
            f"Set archive_size={kept * archive.steps}, or raise archive_bytes."
        )

    def _wanted(self, archive: Archive) -> int:
        return max(1, self.archive_size // archive.steps)

    def _owners(self, archive: Archive) -> int:
        return 1 if archive.shared or self.kind == "shared" else self.population_size

    def _row_bytes(self, archive: Archive) -> int:
        return max(1, archive.states.shape[2:].numel() * archive.states.element_size() * self._owners(archive))

    def _need(self, archive: Archive, rows: int) -> str:
        shape, dtype = tuple(archive.states.shape[2:]), str(archive.states.dtype).removeprefix("torch.")
        needed, allowed = rows * self._row_bytes(archive) / 2**20, self.archive_bytes / 2**20
        return (
            f"archive_bytes allows {allowed:,.1f} MiB, and states {shape} of {dtype} for {self._owners(archive)} "
            f"individuals take {needed:,.1f} MiB"
        )
