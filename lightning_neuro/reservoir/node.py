"""Reservoirs that organise themselves: plain reservoirpy nodes with `.adapt(u)`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from reservoirpy.activationsfunc import tanh
from reservoirpy.mat_gen import bernoulli, normal
from reservoirpy.nodes import Reservoir
from scipy.sparse.linalg import ArpackError

from lightning_neuro.common import checks
from lightning_neuro.reservoir.adaptation import Adaptation, adapt_
from lightning_neuro.reservoir.initializers import permutation_matrix
from lightning_neuro.reservoir.rules.rule import Circuit, EpochRule, Memory, Plastic, Rule, StepRule
from lightning_neuro.reservoir.rules.synapses import Synapses
from lightning_neuro.reservoir.series import as_series

Array = npt.NDArray[np.float64]
State = dict[str, Array]

Equation = Literal["internal", "external"]
EQUATIONS: tuple[Equation, ...] = ("internal", "external")

_LARGEST_DRAWN = 1e6  # times `sr`; reservoirpy takes a spectral radius below 1e-8 for 1e-8


class SelfOrganizingReservoir(Reservoir):
    """A reservoir whose weights, gains and shifts follow rules while series run through it.

        internal: x(t+1) = (1 - lr) x(t) + lr f(a (W x(t) + Win u(t+1) + bias) + b)
        external: r(t+1) = (1 - lr) r(t) + lr (W x(t) + Win u(t+1) + bias),  x(t+1) = f(a r(t+1) + b)

    With a = 1 and b = 0 "internal" is reservoirpy's `Reservoir`; "external" is its `IPReservoir`. Only `adapt` changes
    anything, so the node stands in a model like any other: `node.adapt(u); model = node >> Ridge(); model.fit(u, y)`.

    Args:
        units: N; left out where `W` is a matrix.
        rules: of `reservoir.rules`, acting in this order.
        equation: "internal" or "external"; the same for a leak rate of 1.
        lr: leak rate, a number or `(N,)`.
        sr: spectral radius of a drawn `W`.
        input_scaling: of a drawn `Win`.
        input_connectivity: of a drawn `Win`.
        rc_connectivity: of a drawn `W`.
        Win: `(N, K)` or an initialiser.
        W: `(N, N)` or an initialiser.
        bias: a number, `(N,)` or an initialiser.
        activation: a name or an element-wise function.
        input_dim: K; otherwise taken from the first input.
        dtype: of drawn weights.
        seed: of the draws; the same one draws what `Reservoir` draws.
        name: of the node.

    Attributes:
        a: `(N,)`, gains.
        b: `(N,)`, shifts.
        history: what all calls of `adapt` did, or None before the first.
        memories: what each rule remembers, such as the threshold of BCM.

    Raises:
        TypeError: an entry of `rules` is not a rule.
        ValueError: an unknown equation, a `W` that is not square, weights that are not finite, a leak rate outside of
            0 to 1, a negative `sr`, or what `Reservoir` refuses.

    >>> from lightning_neuro.reservoir.rules import IntrinsicPlasticity
    >>> node = SelfOrganizingReservoir(50, [IntrinsicPlasticity()], sr=0.9, seed=0)
    >>> history = node.adapt(np.random.default_rng(0).uniform(-1, 1, (300, 1)), epochs=2)
    >>> bool(history["std"][1] < history["std"][0])  # towards the target of 0.2
    True
    """

    W: Any
    state: State

    def __init__(
        self,
        units: int | None = None,
        rules: Sequence[Rule] = (),
        *,
        equation: Equation = "internal",
        lr: Any = 1.0,
        sr: float = 1.0,
        input_scaling: Any = 1.0,
        input_connectivity: float = 0.1,
        rc_connectivity: float = 0.1,
        Win: Any = bernoulli,  # noqa: N803 - reservoirpy's names
        W: Any = normal,  # noqa: N803
        bias: Any = 0.0,
        activation: str | Callable[..., Any] = tanh,
        input_dim: int | None = None,
        dtype: npt.DTypeLike = np.float64,
        seed: int | np.random.Generator | None = None,
        name: str | None = None,
    ) -> None:
        owner = type(self).__name__
        if isinstance(rules, StepRule | EpochRule):
            raise TypeError(
                f"{owner}: rules must be a list of rules, got {rules!r}. Write [{type(rules).__name__}(...)]."
            )
        _check_weights(owner, units, W, Win)
        _check_finite(owner, W=W, Win=Win, bias=bias, input_scaling=input_scaling)
        checks.number(owner, "sr", sr, at_least=0)
        super().__init__(
            units,
            lr=lr,
            sr=sr,
            input_scaling=input_scaling,
            input_connectivity=input_connectivity,
            rc_connectivity=rc_connectivity,
            Win=Win,
            W=W,
            bias=bias,
            activation=activation,
            input_dim=input_dim,
            dtype=dtype,
            seed=seed,
            name=name,
        )
        _check_leak(owner, lr, self.units)
        for rule in rules:
            if not isinstance(rule, StepRule | EpochRule):
                raise TypeError(f"{owner}: rules must be rules of lightning_neuro.reservoir.rules, got {rule!r}.")
            rule.check(self.activation)
        self.rules = tuple(rules)
        self.equation = checks.choice(owner, "equation", equation, EQUATIONS)
        self.a, self.b = np.ones(self.units), np.zeros(self.units)
        self.memories: list[Memory] = [rule.start(self.units) for rule in rules]
        self.history: Adaptation | None = None

    def initialize(self, x: Any, y: None = None) -> None:
        """Draw weights and set states to zero; reservoirpy calls this with the first input.

        Raises:
            ValueError: the drawn weights have no loop, so that nothing scales their spectral radius of 0 to `sr`.
        """
        drawn, found = callable(self.W), "no weight at all"
        try:
            super().initialize(x, y)
            nilpotent = drawn and abs(self.W).max() > _LARGEST_DRAWN * self.sr
            if nilpotent:
                found = f"weights up to {abs(self.W).max():.1e}"
        except ArpackError:  # on a W of zeros
            nilpotent = True
        if nilpotent:
            self.initialized = False
            raise ValueError(
                f"{type(self).__name__}: W must have a loop to be scaled to sr={self.sr}, but the one drawn is "
                f"nilpotent and came back with {found}. Give more units, a larger rc_connectivity, another seed, or "
                "W=delay_line_matrix."
            )
        if self.equation == "external":
            self.state = {"internal": np.zeros(self.units)} | self.state

    def _step(self, state: State, x: Array) -> State:
        arriving = self.W @ state["out"] + self.Win @ x + self.bias
        if self.equation == "external":
            net = (1 - self.lr) * state["internal"] + self.lr * arriving
            return {"internal": net, "out": self.activation(self.a * net + self.b)}
        fired = self.activation(self.a * arriving + self.b)
        return {"out": (1 - self.lr) * state["out"] + self.lr * fired}

    def adapt(self, u: Any, *, epochs: int = 1, washout: int = 0) -> Adaptation:
        """Let the rules act while `u` runs; all series run at once and their increments are averaged.

        Every series starts from zero in every epoch, the first `washout` steps run without learning, and the node's own
        state is left as it is.

        Args:
            u: inputs `(T, K)`, `(B, T, K)`, or a list of `(T_b, K)`.
            epochs: how often the series run.
            washout: leading steps of each series to learn nothing from.

        Returns:
            What happened in these epochs; `history` has all of them.

        Raises:
            ValueError: inputs that are not finite or too short, an activation that is not element-wise, or rules that
                let the reservoir run away; W, a and b are then as they were.
        """
        owner = f"{type(self).__name__}.adapt"
        checks.integer(owner, "epochs", epochs, at_least=1)
        series = as_series(owner, u, washout=checks.integer(owner, "washout", washout, at_least=0))
        if getattr(self.activation, "__name__", "") == "softmax":
            raise ValueError(f"{owner}: activation must act on each unit alone, got softmax.")
        self._set_input_dim(series[0])
        if not self.initialized:
            self.initialize(series[0])
        plastic = Plastic(Synapses(self.W), self.a.astype(np.float64), self.b.astype(np.float64))
        circuit = Circuit(
            inputs=sorted(series, key=len, reverse=True),
            input_weights=self.Win,
            bias=self.bias,
            leak=self.lr,
            function=self.activation,
            leak_inside=self.equation == "external",
            washout=washout,
        )
        memories = [dict(memory) for memory in self.memories]
        found = adapt_(plastic, circuit, self.rules, memories, epochs)
        self.W, self.a, self.b = plastic.synapses.like(self.W, self.W.dtype), plastic.gain, plastic.shift
        self.memories = memories
        self.history = found if self.history is None else self.history.then(found)
        return found


class PermutationReservoir(SelfOrganizingReservoir):
    """A reservoir whose recurrent weights are `sr` times a permutation: long memory, without a rule.

    Every unit hears one other unit, a linear one keeps N past inputs, and rules may change the weights that exist.

    Args:
        units: N.
        rules: as in `SelfOrganizingReservoir`.
        cycles: number of cycles of the permutation; 1 is one through all units, None leaves it to chance.
        sr: spectral radius, and every singular value.
        **reservoir: further arguments of `SelfOrganizingReservoir` but `W` and `rc_connectivity`.

    >>> node = PermutationReservoir(4, sr=0.9, seed=0)
    >>> states = node.run(np.ones((3, 1)))
    >>> np.linalg.svd(node.W.toarray(), compute_uv=False)
    array([0.9, 0.9, 0.9, 0.9])
    """

    def __init__(
        self,
        units: int,
        rules: Sequence[Rule] = (),
        *,
        cycles: int | None = 1,
        sr: float = 0.95,
        **reservoir: Any,
    ) -> None:
        for name in {"W", "rc_connectivity"} & reservoir.keys():
            raise TypeError(f"PermutationReservoir: {name} follows from the permutation, got {reservoir[name]!r}.")
        units = checks.integer("PermutationReservoir", "units", units, at_least=1)
        if cycles is not None:
            checks.integer("PermutationReservoir", "cycles", cycles, at_least=1, at_most=units)
        self.cycles = cycles
        super().__init__(units, rules, sr=sr, W=partial(permutation_matrix, cycles=cycles), **reservoir)


def _check_weights(owner: str, units: int | None, recurrent: Any, into: Any) -> None:
    """Refuse sizes that would end in a message of numpy or scipy."""
    shape = getattr(recurrent, "shape", None)
    if shape is not None and (len(shape) != 2 or shape[0] != shape[1]):
        raise ValueError(f"{owner}: W must be square, got shape {shape}.")
    if units is not None:
        checks.integer(owner, "units", units, at_least=1)
    elif shape is None:
        raise ValueError(f"{owner}: units must be given where W is drawn, got None.")
    rows = getattr(into, "shape", (None,))[0]
    wanted = units if shape is None else shape[0]
    if rows not in (None, wanted):
        raise ValueError(f"{owner}: Win must be ({wanted}, K), got shape {into.shape}.")


def _check_finite(owner: str, **given: Any) -> None:
    for name, value in given.items():
        if not callable(value) and not np.isfinite(value.sum() if hasattr(value, "sum") else np.sum(value)):
            raise ValueError(f"{owner}: {name} must be finite, got nan or inf.")


def _check_leak(owner: str, leak: Any, units: int) -> None:
    rates = np.asarray(leak, np.float64)
    if rates.size != 1 and rates.shape != (units,):
        raise ValueError(f"{owner}: lr must be a number or ({units},), got shape {rates.shape}.")
    for rate in rates.ravel().tolist():
        checks.number(owner, "lr", rate, at_least=0, at_most=1)
