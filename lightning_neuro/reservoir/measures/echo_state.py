"""The echo state property: does a reservoir forget its initial state?"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import issparse

from lightning_neuro.common import checks
from lightning_neuro.reservoir.activation import known_activation
from lightning_neuro.reservoir.measures.drive import Array, as_drive
from lightning_neuro.reservoir.measures.maps import ReservoirMap, StateMap, as_map
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.trajectory import follow
from lightning_neuro.reservoir.spectrum import spectral_radius

Verdict = Literal["guaranteed", "likely for this input", "fails"]
# The steepest that an activation gets.
_STEEPEST = {"tanh": 1.0, "sigmoid": 0.25, "identity": 1.0, "softplus": 1.0, "relu": 1.0}
_MET = 1e-13  # what is left of a distance between numbers near 1 once it is only rounding


@dataclass(frozen=True, eq=False)
class EchoState(Measure):
    """What was found of the echo state property; its value is the rate at which states meet, in nats per step."""

    @property
    def verdict(self) -> Verdict:
        """Whether states meet: guaranteed for every input, or what this input showed."""
        if self.details["guaranteed"]:
            return "guaranteed"
        return "likely for this input" if self.details["met"] else "fails"


def echo_state(
    reservoir: Any, inputs: Any, *, starts: int = 8, tolerance: float = 1e-6, box: float = 1.0, seed: int = 0
) -> EchoState:
    """Run a reservoir from several states under one input and watch them meet; beside it what its weights alone say.

    Args:
        reservoir: a node, a `TorchReservoir`, or a map.
        inputs: u `(T,)` or `(T, K)`.
        starts: initial states, drawn uniformly between `-box` and `box`, beside the zero state.
        tolerance: states have met when the largest distance to the run from zero, over `sqrt(N)`, ends below it.
        box: of the initial states.
        seed: of the initial states.

    Returns:
        The slope of ln distance over time, negative where states meet: the conditional Lyapunov exponent where
        distances are small, `-inf` where they vanish at once. `curve` is the distance after each step. `.verdict` is
        "guaranteed", "likely for this input" or "fails". `details`:
        `met`, under this input; `singular_value`, the bound of a step's stretch in the Euclidean norm, and `absolute`,
        the spectral radius of its entries' sizes: either below 1 guarantees the property, whatever the input;
        `linearised`, the spectral radius at rest without input: from 1 on the property fails for the zero input,
        though a strong input may still bring states together. None where the activation or the rest state is not known.

    Raises:
        TypeError: recorded states.
        ValueError: NaN, or a reservoir that explodes.

    Source: Jaeger 2001 for the bounds; `absolute` is the Perron form of a diagonal Schur certificate, derived here.

    >>> from reservoirpy.nodes import Reservoir
    >>> u = np.random.default_rng(0).uniform(-1, 1, 500)
    >>> echo_state(Reservoir(20, sr=0.2, seed=0), u).verdict
    'guaranteed'
    """
    owner = "echo_state"
    drive = as_drive(inputs, owner=owner)
    system = as_map(reservoir, drive, owner=owner)
    starts = checks.integer(owner, "starts", starts, at_least=1)
    tolerance = checks.number(owner, "tolerance", tolerance, above=0)
    box = checks.number(owner, "box", box, above=0)
    drawn = np.random.default_rng(checks.integer(owner, "seed", seed, at_least=0))
    begun = np.concatenate([np.zeros((1, system.units)), drawn.uniform(-box, box, (starts, system.units))])
    states = follow(owner, system, begun, drive)
    distances = np.linalg.norm(states[:, 1:] - states[:, :1], axis=2).max(1) / np.sqrt(system.units)
    bounds = _bounds(system)
    sure = any(bounds[name] is not None and bounds[name] < 1 for name in ("singular_value", "absolute"))
    return EchoState(
        "echo state",
        _slope(distances),
        unit="nats",
        curve=distances,
        curve_at=np.arange(1.0, len(drive) + 1),
        curve_label="step",
        params={"starts": starts, "tolerance": tolerance, "box": box, "seed": seed},
        details={"met": bool(distances[-1] < tolerance), "guaranteed": sure} | bounds,
    )


def _slope(distances: Array) -> float:
    """The slope of ln distance, from the first step to where only rounding is left."""
    gone = np.flatnonzero(distances < _MET)
    last = int(gone[0]) if len(gone) else len(distances)
    if last < 2:
        return -np.inf if len(gone) else float("nan")
    return float(np.polyfit(np.arange(last), np.log(distances[:last]), 1)[0])


def _bounds(system: StateMap) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(("singular_value", "absolute", "linearised"))
    if not isinstance(system, ReservoirMap) or not system.smooth:
        return nothing
    activation = known_activation("echo_state", system.function)
    weights = system.W.toarray() if issparse(system.W) else np.asarray(system.W)
    leak, gain = (np.broadcast_to(np.asarray(each, float), system.units) for each in (system.leak, system.gain))
    steepest = abs(gain) * _STEEPEST[activation.name]
    # Inside the leak, gains stand before W: x = f(g r + h) is what W hears.
    stretched = weights * steepest if system.leak_inside else steepest[:, None] * weights
    moving = leak[:, None] * stretched
    found = nothing | {
        "singular_value": float(abs(1 - leak).max() + np.linalg.norm(moving, 2)),
        "absolute": spectral_radius(np.diag(abs(1 - leak)) + abs(moving)),
    }
    rest, silence = np.zeros(system.units), np.zeros(system.Win.shape[1])
    if not system.step(rest, silence).any():
        found["linearised"] = spectral_radius(system.jacobian(rest, silence))
    return found
