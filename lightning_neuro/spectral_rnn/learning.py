"""Spectral learning from data, pass by pass: score, input and output weights, recurrent weights, refinement."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.accumulate import MomentAccumulator
from lightning_neuro.spectral_rnn.alarms import (
    DroppedSequencesWarning,
    RefinementWarning,
    VanishingMomentWarning,
    WeakComponentWarning,
)
from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel
from lightning_neuro.spectral_rnn.learned import Diagnostics, Learned
from lightning_neuro.spectral_rnn.linear import recover_linear
from lightning_neuro.spectral_rnn.model import PolynomialModel, degree
from lightning_neuro.spectral_rnn.moment_kinds import FirstMoments, Moment
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import Passes, batches, pieces
from lightning_neuro.spectral_rnn.readout_fit import refit_readout
from lightning_neuro.spectral_rnn.recovery import InputRecovery, recover_input_weights
from lightning_neuro.spectral_rnn.refinement import Refined, refine
from lightning_neuro.spectral_rnn.residuals import Residuals, residuals
from lightning_neuro.spectral_rnn.routes import READINGS, CubicRoute, Facts, QuadraticRoute, Route, TwoWayRoute
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.score_diagnostics import diagnose_score
from lightning_neuro.spectral_rnn.score_fit import fit_score, mean_precisions
from lightning_neuro.spectral_rnn.series import LARGEST, Array, Series
from lightning_neuro.spectral_rnn.survey import Survey, survey
from lightning_neuro.spectral_rnn.symmetry import canonicalize

VANISHING = 1.5


@dataclass(frozen=True)
class Prepared:
    """The data after the first pass: surveyed, with a score."""

    passes: Passes
    seen: Survey
    score: ScoreModel
    score_z: dict[str, float]
    interior: bool

    def means(self, moments: Mapping[str, Moment]) -> dict[str, Array]:
        """Return moments of the centred outputs, in one pass."""
        work = partial(_accumulated, self.score, dict(moments), self.seen.output_mean, self.interior)
        return self.passes.run(work).finalize().means


def learn(passes: Passes, options: Options) -> Learned[PolynomialModel]:
    """Learn a forward network.

    Args:
        passes: the data.
        options: how.

    Returns:
        A `Learned`; its model is in canonical form (balanced, for a linear network).

    Raises:
        ValueError: too few data, fewer inputs than units, one output for a quadratic network; see the message.

    Warns:
        SpectralWarning: one of its kinds, where the estimate is doubtful.
    """
    data = prepare(passes, options, interior=False)
    if options.activation == "linear":
        return learn_linear(data, options)
    return _learn(data, options, CubicRoute()) if options.activation == "cubic" else learn_quadratic(data, options)


def learn_bidirectional(passes: Passes, options: Options) -> Learned[BidirectionalModel]:
    """Learn a bidirectional quadratic network; see `learn`. `options.units` counts both directions.

    Raises:
        ValueError: also for another activation or an odd number of units.
    """
    checks.choice("spectral learning in both directions", "activation", options.activation, ("quadratic",))
    checks.choice("spectral learning in both directions", "u_method", options.u_method, ("mixed",))
    return _learn(prepare(passes, options, interior=True), options, TwoWayRoute())


def learn_quadratic(data: Prepared, options: Options) -> Learned[PolynomialModel]:
    """Learn a quadratic network from data whose score is known."""
    return _learn(data, options, QuadraticRoute(options.u_method))


def prepare(passes: Passes, options: Options, *, interior: bool) -> Prepared:
    """Survey the data, fit the score and look whether it fits.

    Raises:
        ValueError: the data do not suffice.

    Warns:
        DroppedSequencesWarning: series with infinite or exploded numbers were left out.
        ScoreMismatchWarning: the score does not fit.
    """
    seen = passes.run(survey)
    statistics = seen.require_inputs()
    if seen.n_dropped:
        warnings.warn(
            f"spectral learning: {seen.n_dropped} of {seen.n_series} series hold numbers that are infinite or beyond "
            f"{LARGEST:g} and were left out.",
            DroppedSequencesWarning,
            stacklevel=3,
        )
    score = fit_score("spectral learning", options.score, statistics, passes)
    return Prepared(passes, seen, score, diagnose_score(score, seen.sample).z, interior)


def _accumulated(
    score: ScoreModel, moments: dict[str, Moment], offset: Array, interior: bool, source: Iterable[Series]
) -> MomentAccumulator:
    sums = MomentAccumulator(score, moments, offset=offset, interior=interior)
    for batch in batches(source):
        for piece in pieces(batch):
            sums.add(piece)
    return sums


def _learn(data: Prepared, options: Options, route: Route) -> Learned[Any]:
    inputs = data.seen.require_inputs().width
    facts = _facts(data, options)
    moment = data.means({READINGS: route.reading_moment(inputs)})[READINGS]
    _tell_vanishing(moment, facts, data.seen.n_steps, route)
    found = recover_input_weights(moment, options.units, route.coeffs, n_restarts=options.n_restarts, seed=options.seed)
    by_moments = _with_recurrence(data, facts, route, found)
    refined = _refined(data, facts, route, by_moments, options.refine)
    diagnostics = Diagnostics(
        found.singular_values,
        {
            "moment": found.condition,
            "input_weights": float(np.linalg.cond(found.input_weights)),
            "output_cosine": found.output_cosine,
            "decomposition_residual": found.residual,
        },
        len(found.input_weights),
        data.seen.n_steps,
        data.seen.n_series,
        data.seen.n_dropped,
        refined.evaluation.exploded,
        data.score_z,
        refined.errors,
        not found.reliable,
    )
    return Learned(_canonical(refined.model), _canonical(by_moments), data.score, diagnostics, refined.converged)


def _facts(data: Prepared, options: Options) -> Facts:
    end, lag = mean_precisions(data.score, data.seen.sample, interior=data.interior)
    return Facts(end, lag, data.seen.input_second_moment, data.seen.output_covariance, options.recurrent_limit)


def _tell_vanishing(moment: Array, facts: Facts, n_steps: int, route: Route) -> None:
    """Warn if a second moment is no larger than outputs independent of the inputs would make it.

    Then its squared norm is `tr Cov(y) (tr(P)^2 + tr(P^2)) / n` in the mean.
    """
    if degree(route.coeffs) != 2:
        return
    precision = facts.precision_end
    entries = np.trace(precision) ** 2 + np.sum(precision**2)
    null = np.sqrt(np.trace(facts.output_covariance) * entries / n_steps)
    if np.linalg.norm(moment) <= VANISHING * null:
        warnings.warn(
            f"spectral learning: the second moment, {np.linalg.norm(moment):.3g}, is not larger than that of unrelated "
            f"outputs, {null:.3g}. Give more data; for an odd activation (tanh) use activation='cubic'.",
            VanishingMomentWarning,
            stacklevel=4,
        )


def _with_recurrence(data: Prepared, facts: Facts, route: Route, found: InputRecovery) -> Any:
    """Return the network by moments; without recurrence where its neurons do not stand out."""
    means: dict[str, Array] = {}
    if not found.reliable:
        warnings.warn(
            "spectral learning: the weakest neuron hardly stands out of the noise (singular values "
            f"{np.array2string(found.singular_values, precision=3)}); recurrent weights are left at 0. Use fewer units "
            "or more data.",
            WeakComponentWarning,
            stacklevel=4,
        )
    elif degree(route.coeffs) == 2:
        means = data.means(route.recurrent_moments(facts, found.input_weights, found.output_weights))
    return replace(route.build(found.input_weights, found.output_weights, means), offset=data.seen.output_mean)


def _refined(data: Prepared, facts: Facts, route: Route, by_moments: Any, steps: int) -> Refined[Any, Residuals]:
    evaluate = partial(_evaluated, data, facts, route)
    if steps == 0:
        plain = evaluate(by_moments, with_moments=False)
        return Refined(_with_offset(by_moments, plain), plain, [plain.error], True)
    start = _best_start(data, facts, route, by_moments, evaluate)
    refined = refine(start, evaluate, partial(route.advance, facts), steps)
    if not refined.converged:
        warnings.warn(
            "spectral learning: refinement did not settle (normalised errors "
            f"{', '.join(f'{error:.3g}' for error in refined.errors)}); the best network is returned. Give more data, "
            "more steps (refine), or look at the score.",
            RefinementWarning,
            stacklevel=4,
        )
    return replace(refined, model=_with_offset(refined.model, refined.evaluation))


def _best_start(data: Prepared, facts: Facts, route: Route, by_moments: Any, evaluate: Any) -> Any:
    """Return the network by moments, in bounds; without recurrence if that is better, as it is for few data."""
    start = route.within_bounds(by_moments, facts)
    measured = evaluate(start, with_moments=False)
    if measured.error >= 1:
        plain = replace(
            route.build(by_moments.input_weights, by_moments.output_weights, {}), offset=data.seen.output_mean
        )
        other = evaluate(plain, with_moments=False)
        if other.error < measured.error:
            start, measured = plain, other
    return _with_offset(start, measured)


def _evaluated(data: Prepared, facts: Facts, route: Route, model: Any, *, with_moments: bool = True) -> Residuals:
    moments: dict[str, Moment] = {}
    if with_moments:
        moments = route.recurrent_moments(facts, model.input_weights, model.output_weights)
        moments[READINGS] = route.reading_moment(model.input_weights.shape[1])
    return residuals(data.passes, model, data.score, moments, facts.output_covariance, interior=data.interior)


def _with_offset(model: Any, measured: Residuals) -> Any:
    return replace(model, offset=model.offset + measured.mean)


def _canonical(model: Any) -> Any:
    if isinstance(model, PolynomialModel):
        return canonicalize(model)
    return replace(model, forward=canonicalize(model.forward), backward=canonicalize(model.backward))


def learn_linear(data: Prepared, options: Options) -> Learned[PolynomialModel]:
    """Learn a linear network from data whose score is known."""
    lags = options.lags if options.lags is not None else default_lags(data.seen, options)
    moment = data.means({READINGS: FirstMoments(lags)})[READINGS]
    found = recover_linear(moment.transpose(1, 0, 2), options.units)
    model = replace(found.model, offset=data.seen.output_mean)
    by_moments, measured = _measured(data, model)
    model, errors = by_moments, [measured.error]
    if options.refine:
        # Moments of inputs that the score does not fit may give a readout that is worse than none; this one is not.
        refitted, again = _measured(data, refit_readout(data.passes, model))
        errors.append(again.error)
        if again.error < measured.error:
            model, measured = refitted, again
    units = model.units
    values = found.singular_values
    diagnostics = Diagnostics(
        values,
        {
            "moment": float(values[0] / values[units - 1]) if values[units - 1] > 0 else float("inf"),
            "spectral_radius": found.spectral_radius,
        },
        units,
        data.seen.n_steps,
        data.seen.n_series,
        data.seen.n_dropped,
        measured.exploded,
        data.score_z,
        errors,
    )
    return Learned(model, by_moments, data.score, diagnostics, True)


def _measured(data: Prepared, model: PolynomialModel) -> tuple[PolynomialModel, Residuals]:
    """Return a network with the offset that its predictions lack, and what it leaves unexplained."""
    found = residuals(data.passes, model, data.score, {}, data.seen.output_covariance)
    return _with_offset(model, found), found


def default_lags(seen: Survey, options: Options) -> int:
    """Return 2 p - 1 for p block rows, one more than are needed to see every neuron."""
    narrow = min(seen.require_inputs().width, len(seen.output_mean))
    units = 4 if isinstance(options.units, str) else options.units
    return 2 * (-(-units // narrow) + 1) - 1
