"""A reservoir as a map `state -> state` of many states at once, with its Jacobian."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from reservoirpy.model import Model
from reservoirpy.node import Node
from reservoirpy.nodes import Input
from scipy.sparse import issparse

from lightning_neuro.reservoir.activation import known_activation
from lightning_neuro.reservoir.measures.drive import reset_copy

Array = npt.NDArray[np.float64]


class StateMap(Protocol):
    """What measures of dynamics ask of a system: N numbers that move under an input."""

    @property
    def units(self) -> int:
        """N."""
        ...

    @property
    def smooth(self) -> bool:
        """Whether there is a Jacobian."""
        ...

    def step(self, x: Array, u: Array) -> Array:
        """States `(..., N)` one step on."""
        ...

    def output(self, x: Array) -> Array:
        """What a readout sees of the states."""
        ...

    def tangent(self, x: Array, u: Array, vectors: Array) -> Array:
        """The Jacobian at one state times `vectors` `(N, m)`."""
        ...

    def advance(self, x: Array, u: Array, vectors: Array) -> tuple[Array, Array]:
        """`step` and `tangent` at once."""
        ...


@dataclass(frozen=True, eq=False)
class ReservoirMap:
    """A leaky reservoir as a map.

        leak_inside false: x' = (1 - leak) x + leak f(gain (W x + Win u + bias) + shift);  the state is x
        leak_inside true:  r' = (1 - leak) r + leak (W x + Win u + bias),  x = f(gain r + shift);  the state is r

    Attributes:
        W: `(N, N)`, dense or sparse.
        Win: `(N, K)`, dense.
        bias: number or `(N,)`.
        leak: number or `(N,)`.
        gain: number or `(N,)`.
        shift: number or `(N,)`.
        function: f, element-wise.
        leak_inside: which of the two.

    >>> halving = ReservoirMap(np.array([[0.5]]), np.zeros((1, 1)), function=lambda z: z)
    >>> halving.step(np.array([4.0]), np.zeros(1))
    array([2.])
    """

    W: Any
    Win: Array
    bias: Any = 0.0
    leak: Any = 1.0
    gain: Any = 1.0
    shift: Any = 0.0
    function: Callable[..., Any] = np.tanh
    leak_inside: bool = False

    def __post_init__(self) -> None:
        shape = self.W.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"ReservoirMap: W must be square, got shape {shape}.")

    @property
    def units(self) -> int:
        """N."""
        return int(self.W.shape[0])

    @property
    def activation(self) -> str:
        """Name of f."""
        return getattr(self.function, "__name__", repr(self.function))

    @property
    def smooth(self) -> bool:
        """Whether the slope of f is known, so that there is a Jacobian."""
        try:
            known_activation("ReservoirMap", self.function)
        except ValueError:
            return False
        return True

    def step(self, x: Array, u: Array) -> Array:
        """States `(..., N)` one step on, under one input `(K,)` or one for each, `(..., K)`."""
        arriving = self._recurrent(self.output(x)) + np.asarray(u) @ self.Win.T + self.bias
        if self.leak_inside:
            return np.asarray((1 - self.leak) * x + self.leak * arriving)
        return np.asarray((1 - self.leak) * x + self.leak * self.function(self.gain * arriving + self.shift))

    def output(self, x: Array) -> Array:
        """What other units see of the states."""
        return np.asarray(self.function(self.gain * x + self.shift)) if self.leak_inside else x

    def jacobian(self, x: Array, u: Array) -> Array:
        """`d step / d x` at one state, `(N, N)`."""
        return self.tangent(x, u, np.eye(self.units))

    def tangent(self, x: Array, u: Array, vectors: Array) -> Array:
        """The Jacobian at one state times `vectors` `(N, m)`, without building it.

        Raises:
            ValueError: the slope of f is not known.
        """
        return self.advance(x, u, vectors)[1]

    def advance(self, x: Array, u: Array, vectors: Array) -> tuple[Array, Array]:
        """Return one state `(N,)` a step on, and the Jacobian at it times `vectors` `(N, m)`.

        Raises:
            ValueError: the slope of f is not known.
        """
        slope = known_activation("ReservoirMap.tangent", self.function).slope
        leak = _column(self.leak)
        if self.leak_inside:
            seen = self.output(x)
            # One product for the state and all vectors: a walk through W is what a step costs.
            through = self.W @ np.column_stack([seen, _column(self.gain * slope(seen)) * vectors])
            moved = (1 - self.leak) * x + self.leak * (through[:, 0] + self.Win @ u + self.bias)
            return np.asarray(moved), np.asarray((1 - leak) * vectors + leak * through[:, 1:])
        through = self.W @ np.column_stack([x, vectors])
        fired = np.asarray(self.function(self.gain * (through[:, 0] + self.Win @ u + self.bias) + self.shift))
        moved = (1 - self.leak) * x + self.leak * fired
        return np.asarray(moved), np.asarray(
            (1 - leak) * vectors + leak * _column(self.gain * slope(fired)) * through[:, 1:]
        )

    def _recurrent(self, x: Array) -> Array:
        return (self.W @ x.T).T if issparse(self.W) else x @ self.W.T


@dataclass(frozen=True, eq=False)
class FunctionMap:
    """A function `step(x)` or `step(x, u)` of one state `(N,)` as a map, with or without its Jacobian `(N, N)`."""

    function: Callable[..., Any]
    units: int
    slope: Callable[..., Any] | None = None
    driven: bool = False

    @property
    def smooth(self) -> bool:
        """Whether there is a Jacobian."""
        return self.slope is not None

    def step(self, x: Array, u: Array) -> Array:
        """One step of every state in `x` `(..., N)`."""
        rows = x.reshape(-1, self.units)
        inputs = np.broadcast_to(u, (len(rows), np.shape(u)[-1]))
        pairs = zip(rows, inputs, strict=True)
        found = [np.asarray(self.function(*self._arguments(row, given)), dtype=float) for row, given in pairs]
        return np.reshape(found, x.shape)

    def output(self, x: Array) -> Array:
        """The state itself."""
        return x

    def tangent(self, x: Array, u: Array, vectors: Array) -> Array:
        """The Jacobian at one state times `vectors`."""
        assert self.slope is not None
        jacobian = np.asarray(self.slope(*self._arguments(x, u)), dtype=float).reshape(self.units, self.units)
        return np.asarray(jacobian @ vectors)

    def advance(self, x: Array, u: Array, vectors: Array) -> tuple[Array, Array]:
        """One state a step on, and the Jacobian at it times `vectors`."""
        return self.step(x, u), self.tangent(x, u, vectors)

    def _arguments(self, x: Array, u: Array) -> tuple[Array, ...]:
        return (x, u) if self.driven else (x,)


def as_map(source: Any, drive: Array, *, owner: str = "as_map") -> StateMap:
    """Return a reservoir as a map.

    Args:
        source: a map; a `Reservoir`, `IPReservoir` or one of our nodes; a model with one reservoir that inputs reach
            directly; an object whose `.map()` gives one; or any reservoirpy node whose whole state is numbers.
        drive: `(T, K)`, from which an undrawn node takes its width.
        owner: who asks.

    Raises:
        TypeError: nothing to step, such as an array of states.
        ValueError: W is not square.

    >>> from reservoirpy.nodes import Reservoir
    >>> as_map(Reservoir(7, seed=0), np.ones((2, 1))).units
    7
    """
    if isinstance(source, ReservoirMap | FunctionMap):
        return source
    if isinstance(source, Model):
        source = _only_reservoir(source, owner)
    if callable(getattr(source, "map", None)):
        return as_map(source.map(), drive, owner=owner)
    twin = reset_copy(source, drive) if isinstance(source, Node) else source
    if all(hasattr(twin, name) for name in ("W", "Win", "bias", "lr", "activation")):
        state = getattr(twin, "state", {})
        return ReservoirMap(
            twin.W if issparse(twin.W) else np.asarray(twin.W, dtype=float),
            twin.Win.toarray() if issparse(twin.Win) else np.asarray(twin.Win, dtype=float),
            bias=_flat(twin.bias),
            leak=_flat(twin.lr),
            gain=_flat(getattr(twin, "a", 1.0)),
            shift=_flat(getattr(twin, "b", 0.0)),
            function=twin.activation,
            leak_inside="internal" in state,
        )
    if isinstance(source, Node):
        return _node_map(twin)
    raise TypeError(
        f"{owner}: expected a reservoirpy node or a reservoir with W, Win, bias, lr and activation, "
        f"got {type(source).__name__}. Recorded states have no dynamics to perturb."
    )


def _only_reservoir(model: Model, owner: str) -> Node:
    """Return the reservoir of a model that inputs reach as they are: all else has no part in its dynamics."""
    found = [node for node in model.nodes if hasattr(node, "W") and hasattr(node, "Win")]
    fed = [parent for parent, _, child in model.edges if child in found and type(parent) is not Input]
    if len(found) != 1 or fed:
        raise TypeError(
            f"{owner}: expected a model with one reservoir that inputs reach directly, got {len(found)} reservoirs, "
            f"fed by {[type(parent).__name__ for parent in fed] or 'inputs'}. Of such a model, give its reservoir."
        )
    return found[0]


def _node_map(node: Node) -> FunctionMap:
    names = list(node.state)
    sizes = [np.size(node.state[name]) for name in names]
    cuts = np.cumsum(sizes)[:-1]

    def step(x: Array, u: Array) -> Array:
        state = dict(zip(names, np.split(x, cuts), strict=True))
        moved = node._step(state=state, x=u)
        return np.concatenate([np.ravel(moved[name]) for name in names])

    return FunctionMap(step, int(sum(sizes)), driven=True)


def _column(values: Any) -> Any:
    return values[:, None] if np.ndim(values) else values


def _flat(values: Any) -> Any:
    dense = values.toarray() if issparse(values) else np.asarray(values, dtype=float)
    return float(dense.ravel()[0]) if dense.size == 1 else dense.ravel()
