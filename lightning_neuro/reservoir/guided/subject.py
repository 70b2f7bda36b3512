"""The reservoir under a controller: checked, copied, run, and given other weights and leak rates."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from reservoirpy.nodes import IPReservoir, Reservoir
from scipy.sparse import csr_array, issparse
from scipy.sparse.csgraph import connected_components

from lightning_neuro.reservoir.measures.drive import as_drive, reset_copy, states_of
from lightning_neuro.reservoir.measures.maps import as_map

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Subject:
    """A reservoir, its drive and what it should put out.

    Attributes:
        owner: the controller; opens messages.
        node: drawn and in its reset state; nobody else's.
        inputs: u, `(T, K)`.
        targets: v, `(T, M)`, or None.
        washout: leading steps that measures drop.

    >>> subject = prepared("EdgeOfChaos", Reservoir(5, seed=0), np.ones((100, 1)), None, washout=10, samples=50)
    >>> subject.states(subject.node).shape
    (90, 5)
    """

    owner: str
    node: Any
    inputs: Array
    targets: Array | None
    washout: int

    def states(self, node: Any) -> Array:
        """Run a node from rest; return its states `(T - washout, N)`.

        Raises:
            ValueError: the node is unstable.
        """
        return states_of(node, self.inputs, washout=self.washout, owner=self.owner)

    def changed(self, **arrays: Any) -> Any:
        """Return a copy of the node with other attributes, such as `W`, `Win` or `lr`."""
        twin = copy.deepcopy(self.node)
        for name, value in arrays.items():
            setattr(twin, name, value)
        return twin

    def radius(self, node: Any) -> float:
        """Return the spectral radius of a node about rest: of `(1 - lr) 1 + lr f'(b) a W`, with gains and bias."""
        system = as_map(node, self.inputs, owner=self.owner)
        rest = np.zeros(system.units)
        jacobian = system.tangent(rest, np.zeros(self.inputs.shape[1]), np.eye(system.units))
        return float(abs(np.linalg.eigvals(jacobian)).max())


def prepared(owner: str, reservoir: Any, u: Any, v: Any, *, washout: int, samples: int) -> Subject:
    """Check a reservoir and its series; copy the reservoir.

    Args:
        owner: the controller.
        reservoir: reservoirpy's `Reservoir` or `IPReservoir`, one of ours, or a module with `.to_node()`.
        u: inputs `(T, K)` or `(T,)`.
        v: targets `(T, M)` or `(T,)`, or None.
        washout: leading steps to drop.
        samples: steps that must be left.

    Raises:
        TypeError: another kind of reservoir.
        ValueError: NaN, series too short or of other lengths, W not square or not finite.
    """
    inputs = as_drive(u, owner=owner)
    targets = None if v is None else as_drive(v, owner=f"{owner} (targets v)")
    if targets is not None and len(targets) != len(inputs):
        raise ValueError(f"{owner}: v must have as many steps as u, {len(inputs)}, got {len(targets)}.")
    if len(inputs) < washout + samples:
        raise ValueError(
            f"{owner}: u must hold at least {washout + samples} steps, {washout} of washout and {samples} to measure, "
            f"got {len(inputs)}."
        )
    node = as_node(owner, reservoir)
    twin = reset_copy(node, inputs)
    shape = twin.W.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"{owner}: W must be square, got shape {shape}.")
    if not np.isfinite(twin.W.sum()):
        raise ValueError(f"{owner}: W must be finite, got nan or inf. A W of spectral radius 0 cannot be scaled.")
    if twin.input_dim != inputs.shape[1]:
        raise ValueError(f"{owner}: u must have the reservoir's {twin.input_dim} columns, got {inputs.shape[1]}.")
    return Subject(owner, copy.deepcopy(twin), inputs, targets, washout)


def as_node(owner: str, reservoir: Any) -> Any:
    """Return the reservoirpy node of a node or of a torch module.

    Raises:
        TypeError: there is none.
    """
    node = reservoir.to_node() if callable(getattr(reservoir, "to_node", None)) else reservoir
    if not isinstance(node, Reservoir | IPReservoir):
        raise TypeError(
            f"{owner}: expected reservoirpy's Reservoir or IPReservoir, a SelfOrganizingReservoir or a TorchReservoir, "
            f"got {type(reservoir).__name__}. Of a model, give its reservoir."
        )
    return node


def is_nilpotent(weights: Any) -> bool:
    """Whether W has no loop, so that every power from the N-th on is 0 and nothing scales its spectral radius.

    >>> is_nilpotent(np.eye(3, k=-1)), is_nilpotent(np.eye(3))
    (True, False)
    """
    matrix = csr_array(weights)
    matrix.eliminate_zeros()
    if abs(matrix.diagonal()).max(initial=0) > 0:
        return False
    return bool(connected_components(matrix, connection="strong")[0] == matrix.shape[0])


def rows_scaled(weights: Any, factors: Array) -> Any:
    """Return weights whose rows are multiplied, sparse where they were.

    >>> rows_scaled(np.ones((2, 2)), np.array([1.0, 3.0])).tolist()
    [[1.0, 1.0], [3.0, 3.0]]
    """
    if issparse(weights):
        return csr_array(weights.multiply(factors[:, None]))
    return np.asarray(weights) * factors[:, None]
