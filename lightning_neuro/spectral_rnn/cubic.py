"""The moment that shows the recurrent weights of a cubic network, at the order of the quadratic one. Ours.

`E[y_t (x) S_{2,1}(t, t-1)] = 6 c3 sum_ij U_ij E[f'(z_j)] A2[i] (x) a_i (x) a_i (x) a_j`, where `f'(z) = 3 c3 z^2`:
for an odd f the mixed moment of quadratic networks vanishes, this one does not.
"""

from dataclasses import dataclass

import numpy as np

from lightning_neuro.spectral_rnn.score import Components, LocalScore
from lightning_neuro.spectral_rnn.series import Array, Steps

BLOCK = 1024


@dataclass(frozen=True)
class CubicContraction:
    """`G_ij = sum W_i . y S_{2,1}(b_i, b_i; b_j)`, `(H, H)`.

    Args:
        output_weights: W `(H, Dy)`; neuron i sees `W_i . y`.
        duals_end: B1 `(Dx, H)`, with `A1 B1 = I`.
        duals_lag: B0 `(Dx, H)`, likewise.
    """

    output_weights: Array
    duals_end: Array
    duals_lag: Array
    context: int = 0

    def __call__(self, y: Array, components: Components, steps: Steps, weights: Array | None) -> tuple[Array, float]:
        """Return the sum and the weight that it holds.

        Raises:
            ValueError: the score is one whose precisions change from step to step.
        """
        seen = y @ self.output_weights.T
        if weights is not None:
            seen = seen * weights[:, None]
        total = np.zeros((self.duals_end.shape[1], self.duals_lag.shape[1]))
        for start in range(0, len(y), BLOCK):
            rows = slice(start, start + BLOCK)
            for component in components:
                total += self._block(seen[rows], component.part(rows))
        return total, float(len(y) if weights is None else weights.sum())

    def _block(self, seen: Array, local: LocalScore) -> Array:
        if local.P11.ndim != 2:
            raise ValueError(
                "CubicContraction: expected a score of Gaussians or their mixture, got one known to order 2 only."
            )
        if local.gamma is not None:
            seen = seen * local.gamma[:, None]
        alpha, beta = local.end @ self.duals_end, local.lag @ self.duals_lag
        own = np.einsum("ai,ab,bi->i", self.duals_end, local.P11, self.duals_end)
        crossed = self.duals_end.T @ local.P10 @ self.duals_lag
        first = (seen * (alpha * alpha - own)).T @ beta
        return first - 2 * crossed * np.einsum("ni,ni->i", seen, alpha)[:, None]
