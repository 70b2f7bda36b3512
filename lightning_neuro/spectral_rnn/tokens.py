"""Networks that read tokens: no score exists for a one-hot input, but the table of pairs of tokens does as well. Ours.

For a quadratic network and first-order Markov tokens h_{t-1} is independent of x_t given x_{t-1}. With
`M[k, l] = E[y_t | x_t = k, x_{t-1} = l]` and `m_l = E[h_{t-1} | x_{t-1} = l]`, centring over both k and l leaves

    D[k, l] = 2 sum_i A2[i] * center(A1[i, :])[k] * center(u_i . m)[l],

a tensor of rank H. Symbols: K tokens, A1 `(H, K)` a column per token.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorly as tl
from numpy.typing import NDArray
from tensorly.cp_tensor import CPTensor, cp_to_tensor

from lightning_neuro.spectral_rnn.jennrich import ComplexPencilError, normalised_cp, simultaneous_diagonalization
from lightning_neuro.spectral_rnn.model import PolynomialModel
from lightning_neuro.spectral_rnn.series import Array, Steps
from lightning_neuro.spectral_rnn.symmetric_cp import descend, random_start

FILL_ROUNDS = 600
FILLED = 1e-9
NOTHING = 1e-9


@dataclass
class PairTable:
    """Sums of outputs by the token at t and the token before.

    Attributes:
        counts: `(K, K)`, token at t first.
        totals: sums of y_t `(K, K, Dy)`.

    >>> table = PairTable.empty(2, 1)
    >>> table.add(np.array([0, 1, 1]), np.array([[5.0], [6.0], [8.0]]))
    >>> table.counts.tolist(), table.totals[..., 0].tolist()
    ([[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [6.0, 8.0]])
    """

    counts: Array
    totals: Array

    @classmethod
    def empty(cls, tokens: int, outputs: int) -> "PairTable":
        """Return sums of nothing."""
        return cls(np.zeros((tokens, tokens)), np.zeros((tokens, tokens, outputs)))

    def add(self, tokens: Steps, y: Array) -> None:
        """Add one series of token numbers `(T,)` and outputs `(T, Dy)`; steps with a NaN are left out.

        Raises:
            ValueError: a token is not 0 to K - 1.
        """
        if len(tokens) and not 0 <= tokens.min() <= tokens.max() < len(self.counts):
            raise ValueError(
                f"PairTable: tokens must be 0 to {len(self.counts) - 1}, got {tokens.min()} to {tokens.max()}."
            )
        kept = np.isfinite(y[1:]).all(axis=1)
        now, before, outputs = tokens[1:][kept], tokens[:-1][kept], y[1:][kept]
        np.add.at(self.counts, (now, before), 1)
        np.add.at(self.totals, (now, before), outputs)

    def merge(self, other: "PairTable") -> None:
        """Add the sums of another part of the data."""
        self.counts += other.counts
        self.totals += other.totals

    def means(self) -> Array:
        """Return `M[k, l]`, `(K, K, Dy)`; NaN for pairs that were not seen."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.totals / self.counts[..., None])

    def means_by_token(self) -> Array:
        """Return `E[y_t | x_t = k]`, `(K, Dy)`; NaN for tokens that were not seen."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.totals.sum(axis=1) / self.counts.sum(axis=1)[:, None])


@dataclass(frozen=True)
class TokenRecovery:
    """A network recovered from pairs of tokens.

    Attributes:
        model: the network; its input is one-hot.
        interaction: D, `(K, K, Dy)`.
        residual: what the decomposition leaves of D, relative.
        unseen: pairs of tokens that were not seen.
    """

    model: PolynomialModel
    interaction: Array
    residual: float
    unseen: int


def recover_from_pairs(table: PairTable, units: int, *, n_restarts: int = 10, seed: int | None = None) -> TokenRecovery:
    """Recover a quadratic network from the table of pairs, for stationary first-order Markov tokens.

    The decomposition gives the centred rows of A1, the directions of A2 and the centred `u_i . m`. The sizes of A2
    follow from `mean_l M[k, l]`, whose part along `center(a_i^2)` is `A2[i]`; m from `E[y_t | x_t = l]`, hence U; the
    mean of each row of A1 from what is left, taking the outputs to have no offset.

    Args:
        table: sums over pairs.
        units: number of neurons H.
        n_restarts: random starts; one of them in two may end in a local optimum.
        seed: of the starts.

    Returns:
        A `TokenRecovery`.

    Raises:
        ValueError: fewer outputs than neurons, or fewer than H + 2 tokens, or a token never seen; outputs that do not
            depend on pairs of tokens.
    """
    _check(table, units)
    means, mask = table.means(), table.counts > 0
    found, interaction, filled = _decomposed(means, mask, units, n_restarts, np.random.default_rng(seed))
    _check_interaction(interaction, filled)
    rows, carried, directions = found.factors[0].T, (found.factors[1] * found.weights).T, found.factors[2].T
    sizes, levels = _sizes(filled.mean(axis=1), rows, directions)
    weights = sizes[:, None] * directions
    states = table.means_by_token() @ np.linalg.pinv(weights)
    centred = states - states.mean(axis=0)
    drives = carried / (2 * sizes[:, None])
    recurrent = np.linalg.lstsq(centred, drives.T, rcond=None)[0].T
    rows = rows + (levels - recurrent @ states.mean(axis=0))[:, None]
    size = float(np.linalg.norm(interaction)) or 1.0
    with tl.backend_context("numpy", local_threadsafe=True):
        residual = float(np.linalg.norm(interaction - cp_to_tensor(found))) / size
    return TokenRecovery(PolynomialModel(rows, recurrent, weights), interaction, residual, int((~mask).sum()))


def double_centred(means: Array) -> Array:
    """Return a table less its row means and column means, `(K, K, Dy)`.

    >>> double_centred(np.array([[[1.0], [2.0]], [[3.0], [5.0]]]))[..., 0].tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    return np.asarray(
        means - means.mean(axis=0, keepdims=True) - means.mean(axis=1, keepdims=True) + means.mean(axis=(0, 1))
    )


def _check(table: PairTable, units: int) -> None:
    tokens, outputs = table.totals.shape[1:]
    if outputs < units:
        raise ValueError(
            f"recover_from_pairs: expected at least as many outputs as neurons, got {outputs} for {units}. "
            "Use fewer units."
        )
    if tokens < units + 2:
        raise ValueError(
            f"recover_from_pairs: {units} neurons need at least {units + 2} tokens, got {tokens}. Use fewer units."
        )
    seen = (table.counts.sum(axis=0) > 0) & (table.counts.sum(axis=1) > 0)
    if not seen.all():
        raise ValueError(
            f"recover_from_pairs: tokens {np.flatnonzero(~seen).tolist()} were not seen followed and preceded by one. "
            "Drop them, or join them with others."
        )


def _check_interaction(interaction: Array, means: Array) -> None:
    spread = float(np.linalg.norm(means - means.mean(axis=(0, 1))))
    if spread <= NOTHING * float(np.linalg.norm(means)):
        raise ValueError("recover_from_pairs: mean outputs are the same after all tokens: there is nothing to learn.")
    if float(np.linalg.norm(interaction)) <= NOTHING * spread:
        raise ValueError(
            "recover_from_pairs: mean outputs are a sum over the token and the one before, without interaction, which "
            "is what shows the neurons. Use a linear readout of one-hot tokens instead."
        )


def _decomposed(
    means: Array, mask: NDArray[np.bool_], units: int, n_restarts: int, generator: np.random.Generator
) -> tuple[CPTensor, Array, Array]:
    """Return the decomposition of the interaction, the interaction, and the table with unseen pairs filled in."""
    filled = np.where(mask[..., None], means, _additive(means, mask))
    with tl.backend_context("numpy", local_threadsafe=True):
        interaction = double_centred(filled)
        found = _best(interaction, units, n_restarts, generator)
        for _ in range(0 if mask.all() else FILL_ROUNDS):
            before, filled = filled, np.where(mask[..., None], means, filled - interaction + cp_to_tensor(found))
            interaction = double_centred(filled)
            if np.linalg.norm(filled - before) <= FILLED * np.linalg.norm(interaction):
                break
            found = normalised_cp(list(descend(interaction, _unnormalised(found), 3).factors))
    return found, interaction, filled


def _additive(means: Array, mask: NDArray[np.bool_]) -> Array:
    """Return the table that row and column effects alone explain best."""
    rows, columns = np.zeros_like(means[:, :1]), np.zeros_like(means[:1])
    counts = mask[..., None].astype(float)
    known = np.where(mask[..., None], means, 0.0)
    for _ in range(FILL_ROUNDS):
        rows = (known - counts * columns).sum(axis=1, keepdims=True) / counts.sum(axis=1, keepdims=True)
        columns = (known - counts * rows).sum(axis=0, keepdims=True) / counts.sum(axis=0, keepdims=True)
    return np.asarray(rows + columns)


def _best(interaction: Array, units: int, n_restarts: int, generator: np.random.Generator) -> CPTensor:
    found = [
        normalised_cp(list(descend(interaction, start, 500).factors))
        for start in _starts(interaction, units, n_restarts, generator)
    ]
    return min(found, key=lambda cp: float(np.linalg.norm(interaction - cp_to_tensor(cp))))


def _starts(interaction: Array, units: int, n_restarts: int, generator: np.random.Generator) -> Iterator[CPTensor]:
    try:
        # Mode 0 of the diagonalisation mixes slices; the outputs, the shortest mode, do that best.
        moved = np.moveaxis(interaction, 2, 0)
        outputs, rows, carried = _unnormalised(
            simultaneous_diagonalization(moved, units, random_state=generator)
        ).factors
        yield CPTensor((None, [rows, carried, outputs]))
    except ComplexPencilError:
        n_restarts = max(n_restarts, 1)
    for _ in range(n_restarts):
        yield random_start(interaction.shape, units, generator, interaction)


def _unnormalised(found: CPTensor) -> CPTensor:
    first, *others = found.factors
    return CPTensor((None, [first * found.weights, *others]))


def _sizes(by_token: Array, rows: Array, directions: Array) -> tuple[Array, Array]:
    """Return lengths of the rows of A2 (with sign), and for each neuron the mean of `A1[i, :]` plus that of `u_i . m`.

    `center_k mean_l M[k, l] = sum_i A2[i] (center(a_i^2)[k] + 2 (mean level)_i a_i[k])` for centred a_i.
    """
    squares = rows**2 - (rows**2).mean(axis=1, keepdims=True)
    regressors = [np.einsum("ik,id->ikd", part, directions).reshape(len(rows), -1) for part in (squares, rows)]
    wanted = (by_token - by_token.mean(axis=0)).ravel()
    solution = np.linalg.lstsq(np.concatenate(regressors).T, wanted, rcond=None)[0]
    sizes, along = np.split(solution, 2)
    return sizes, along / (2 * sizes)
