"""What differs between networks on the way from moments to weights: which moments, what is built, how it is refined."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel, Directions, assemble, split_directions
from lightning_neuro.spectral_rnn.cubic import CubicContraction
from lightning_neuro.spectral_rnn.model import CUBIC, QUADRATIC, PolynomialModel
from lightning_neuro.spectral_rnn.moment_kinds import (
    MixedContraction,
    Moment,
    Order4Contraction,
    SecondMoment,
    ThirdMoment,
)
from lightning_neuro.spectral_rnn.recurrent_recovery import (
    duals,
    output_projections,
    recover_recurrent,
    recover_recurrent_from_order4,
)
from lightning_neuro.spectral_rnn.residuals import Residuals
from lightning_neuro.spectral_rnn.series import Array
from lightning_neuro.spectral_rnn.updates import bounded, corrected_readings

READINGS = "readings"
PAST = "past"
FUTURE = "future"
ORDER4 = "order4"


@dataclass(frozen=True)
class Facts:
    """What the first pass found out about the data.

    Attributes:
        precision_end: precision of the score at t `(Dx, Dx)`.
        precision_lag: precision of the score at its neighbour `(Dx, Dx)`.
        input_second_moment: mean of `x x^T`, `(Dx, Dx)`.
        output_covariance: of y, `(Dy, Dy)`.
        recurrent_limit: largest row of U in refinement, in units of the drive.
    """

    precision_end: Array
    precision_lag: Array
    input_second_moment: Array
    output_covariance: Array
    recurrent_limit: float


class Route(Protocol):
    """The way to one kind of network."""

    @property
    def coeffs(self) -> tuple[float, ...]:
        """Coefficients of f, lowest power first."""
        ...

    @property
    def interior(self) -> bool:
        """Whether outputs depend on what follows."""
        ...

    def reading_moment(self, inputs: int) -> Moment:
        """Return the moment that shows A1 and A2."""
        ...

    def recurrent_moments(self, facts: Facts, input_weights: Array, output_weights: Array) -> dict[str, Moment]:
        """Return the moments that show the recurrent weights."""
        ...

    def build(self, input_weights: Array, output_weights: Array, means: Mapping[str, Array]) -> Any:
        """Return the network; one without recurrence if `means` is empty."""
        ...

    def within_bounds(self, model: Any, facts: Facts) -> Any:
        """Return the network with recurrent weights that are safe to simulate."""
        ...

    def advance(self, facts: Facts, model: Any, residuals: Residuals, size: float) -> Any:
        """Return the next network of refinement."""
        ...


@dataclass(frozen=True)
class QuadraticRoute:
    """`f(z) = z^2`: A1 and A2 by the second moment, U by the mixed one, or by the fourth-order one on request."""

    u_method: str = "mixed"
    coeffs: tuple[float, ...] = QUADRATIC
    interior: bool = False

    def reading_moment(self, inputs: int) -> Moment:
        """Return the moment that shows A1 and A2."""
        return SecondMoment()

    def recurrent_moments(self, facts: Facts, input_weights: Array, output_weights: Array) -> dict[str, Moment]:
        """Return the moments that show U.

        Raises:
            ValueError: the fourth-order route with fewer outputs than neurons.
        """
        moments: dict[str, Moment] = {PAST: MixedContraction(*_projections(facts, input_weights, output_weights))}
        if self.u_method == "s4":
            units, outputs = output_weights.shape
            if outputs < units:
                raise ValueError(
                    f"u_method='s4' needs at least as many outputs as neurons, got {outputs} for {units}. "
                    "Use u_method='mixed'."
                )
            apart = np.asarray(np.linalg.pinv(output_weights.T), dtype=np.float64)
            moments[ORDER4] = Order4Contraction(apart, duals(input_weights, facts.precision_lag))
        return moments

    def build(self, input_weights: Array, output_weights: Array, means: Mapping[str, Array]) -> PolynomialModel:
        """Return the network; one without recurrence if `means` is empty."""
        units = len(input_weights)
        recurrent = recover_recurrent(means[PAST]) if PAST in means else np.zeros((units, units))
        if ORDER4 in means:
            recurrent = recover_recurrent_from_order4(means[ORDER4], recurrent)
        return PolynomialModel(input_weights, recurrent, output_weights)

    def within_bounds(self, model: PolynomialModel, facts: Facts) -> PolynomialModel:
        """Return the network with recurrent weights that are safe to simulate."""
        return bounded(model, facts.input_second_moment, facts.recurrent_limit)

    def advance(self, facts: Facts, model: PolynomialModel, residuals: Residuals, size: float) -> PolynomialModel:
        """Return the next network of refinement."""
        return _advanced(self, facts, model, residuals, size, recover_recurrent(residuals.moments[PAST]))


@dataclass(frozen=True)
class CubicRoute:
    """`f(z) = z^3`: A1 and A2 by the third moment; U starts from 0 and comes with refinement."""

    coeffs: tuple[float, ...] = CUBIC
    interior: bool = False

    def reading_moment(self, inputs: int) -> Moment:
        """Return the moment that shows A1 and A2."""
        return ThirdMoment(np.eye(inputs))

    def recurrent_moments(self, facts: Facts, input_weights: Array, output_weights: Array) -> dict[str, Moment]:
        """Return the moments that show U."""
        return {PAST: CubicContraction(*_projections(facts, input_weights, output_weights))}

    def build(self, input_weights: Array, output_weights: Array, means: Mapping[str, Array]) -> PolynomialModel:
        """Return the network without recurrence."""
        units = len(input_weights)
        return PolynomialModel(input_weights, np.zeros((units, units)), output_weights, CUBIC)

    def within_bounds(self, model: PolynomialModel, facts: Facts) -> PolynomialModel:
        """Return the network with recurrent weights that are safe to simulate."""
        return bounded(model, facts.input_second_moment, facts.recurrent_limit)

    def advance(self, facts: Facts, model: PolynomialModel, residuals: Residuals, size: float) -> PolynomialModel:
        """Return the next network of refinement."""
        rows = model.input_weights
        drive = np.einsum("ia,ab,ib->i", rows, facts.input_second_moment, rows)
        change = residuals.moments[PAST] / (18 * np.maximum(drive, np.finfo(float).tiny))
        return _advanced(self, facts, model, residuals, size, change)


@dataclass(frozen=True)
class TwoWayRoute:
    """`f(z) = z^2` in both directions: all neurons by the second moment, their directions by both contractions."""

    coeffs: tuple[float, ...] = QUADRATIC
    interior: bool = True

    def reading_moment(self, inputs: int) -> Moment:
        """Return the moment that shows A1, B1 and A2."""
        return SecondMoment()

    def recurrent_moments(self, facts: Facts, input_weights: Array, output_weights: Array) -> dict[str, Moment]:
        """Return the moments that show U and V."""
        projections = _projections(facts, input_weights, output_weights)
        return {PAST: MixedContraction(*projections), FUTURE: MixedContraction(*projections, future=True)}

    def build(self, input_weights: Array, output_weights: Array, means: Mapping[str, Array]) -> BidirectionalModel:
        """Return the network; one without recurrence, its directions arbitrary, if `means` is empty."""
        units = len(input_weights)
        if not means:
            places = np.arange(units)
            directions = Directions(places[: units // 2], places[units // 2 :], places)
            nothing = np.zeros((units, units))
            return assemble(input_weights, nothing, nothing, output_weights, directions)
        directions = split_directions(means[PAST], means[FUTURE])
        past, future = (recover_recurrent(means[side]) for side in (PAST, FUTURE))
        return assemble(input_weights, past, future, output_weights, directions)

    def within_bounds(self, model: BidirectionalModel, facts: Facts) -> BidirectionalModel:
        """Return the network with recurrent weights that are safe to simulate."""
        limits = facts.input_second_moment, facts.recurrent_limit
        return replace(model, forward=bounded(model.forward, *limits), backward=bounded(model.backward, *limits))

    def advance(self, facts: Facts, model: BidirectionalModel, residuals: Residuals, size: float) -> BidirectionalModel:
        """Return the next network of refinement; directions stay."""
        readings = corrected_readings(
            model.input_weights, model.output_weights, self.coeffs, residuals.moments[READINGS], size
        )
        cut = model.forward.units
        first, second = slice(None, cut), slice(cut, None)
        halves = [
            replace(
                half,
                input_weights=readings.input_weights[part],
                output_weights=readings.output_weights[part],
                recurrent_weights=half.recurrent_weights
                + size * recover_recurrent(residuals.moments[side])[part, part],
            )
            for half, part, side in ((model.forward, first, PAST), (model.backward, second, FUTURE))
        ]
        return self.within_bounds(BidirectionalModel(halves[0], halves[1], model.offset + size * residuals.mean), facts)


def _projections(facts: Facts, input_weights: Array, output_weights: Array) -> tuple[Array, Array, Array]:
    return (
        output_projections(output_weights, facts.output_covariance),
        duals(input_weights, facts.precision_end),
        duals(input_weights, facts.precision_lag),
    )


def _advanced(
    route: QuadraticRoute | CubicRoute,
    facts: Facts,
    model: PolynomialModel,
    residuals: Residuals,
    size: float,
    recurrent_change: Array,
) -> PolynomialModel:
    readings = corrected_readings(
        model.input_weights, model.output_weights, route.coeffs, residuals.moments[READINGS], size
    )
    moved = replace(
        model,
        input_weights=readings.input_weights,
        output_weights=readings.output_weights,
        recurrent_weights=model.recurrent_weights + size * recurrent_change,
        offset=model.offset + size * residuals.mean,
    )
    return route.within_bounds(moved, facts)
