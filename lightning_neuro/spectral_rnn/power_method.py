"""The tensor power method with restarts, deflation and signed weights."""

from typing import Any

import numpy as np
import tensorly as tl
from tensorly.cp_tensor import CPTensor

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.tensor_checks import require_finite_tensor


def robust_tensor_power(
    tensor: Any,
    rank: int,
    n_restarts: int = 10,
    random_state: int | np.random.Generator | None = None,
    *,
    signed: bool = True,
    n_iterations: int = 100,
) -> CPTensor:
    """Decompose a symmetric tensor with orthogonal components, `T = sum_i w_i v_i (x) ... (x) v_i`.

    Repeats `v <- T(I, v, ..., v) / ||.||` from random unit vectors, keeps the best, subtracts it, goes on. Differs from
    tensorly's `symmetric_parafac_power_iteration`: seeded, draws on the whole sphere, and with `signed` a negative
    weight of a tensor of even order is found by its size (the other one keeps positive weights only).

    Args:
        tensor: symmetric, order 3 or more, every mode of size d; a tensor of the current tensorly backend.
        rank: number of components.
        n_restarts: random starts for each component.
        random_state: seed or generator; None draws a fresh seed. The global generator is never touched.
        signed: rank components by the size of their weight instead of by the weight.
        n_iterations: steps for each start.

    Returns:
        `CPTensor(weights (rank,), [factor (d, rank)] * order)`, in the order found.

    Raises:
        ValueError: the tensor is of order below 3 or its modes differ in size.

    Source: robust tensor power method as in arXiv 1210.7559, Algorithm 1; signed weights are ours.

    >>> e = np.eye(3)
    >>> cubes = [np.einsum("i,j,k,l->ijkl", v, v, v, v) for v in e]
    >>> robust_tensor_power(2 * cubes[0] - 5 * cubes[1], 2, random_state=0).weights.round(6).tolist()
    [-5.0, 2.0]
    """
    require_finite_tensor("robust_tensor_power", tensor)
    shape = tl.shape(tensor)
    for name, value in (("rank", rank), ("n_restarts", n_restarts), ("n_iterations", n_iterations)):
        checks.integer("robust_tensor_power", name, value, at_least=1)
    if len(shape) < 3 or len(set(shape)) > 1:
        raise ValueError(
            f"robust_tensor_power: expected a symmetric tensor of order 3 or more, got shape {tuple(shape)}."
        )
    generator = np.random.default_rng(random_state)
    weights, vectors, rest = [], [], tensor
    for _ in range(rank):
        starts = generator.standard_normal((n_restarts, shape[0]))
        found = [_climb(rest, tl.tensor(start, **tl.context(tensor)), n_iterations) for start in starts]
        weight, vector = max(found, key=lambda pair: abs(float(pair[0])) if signed else float(pair[0]))
        weights.append(weight)
        vectors.append(vector)
        rest = rest - weight * _power(vector, len(shape))
    factor = tl.stack(vectors, 1)
    return CPTensor((tl.stack(weights), [factor] * len(shape)))


def _climb(tensor: Any, start: Any, n_iterations: int) -> tuple[Any, Any]:
    vector = start / tl.norm(start)
    for _ in range(n_iterations):
        image = _contract(tensor, vector)
        length = tl.norm(image)
        if float(length) == 0:
            break
        vector = image / length
    return tl.dot(_contract(tensor, vector), vector), vector


def _contract(tensor: Any, vector: Any) -> Any:
    while tl.ndim(tensor) > 1:
        tensor = tl.tensordot(tensor, vector, axes=1)
    return tensor


def _power(vector: Any, order: int) -> Any:
    result = vector
    for _ in range(order - 1):
        result = tl.tensordot(result, vector, axes=0)
    return result
