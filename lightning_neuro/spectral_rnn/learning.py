"""Spectral learning from data, pass by pass: score, input and output weights, recurrent weights, refinement."""

import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.alarms import (
    PoorFitWarning,
    RefinementWarning,
    VanishingMomentWarning,
    WeakComponentWarning,
)
from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel
from lightning_neuro.spectral_rnn.learned import Diagnostics, Learned
from lightning_neuro.spectral_rnn.linear_learning import learn_linear
from lightning_neuro.spectral_rnn.model import PolynomialModel, degree
from lightning_neuro.spectral_rnn.moment_kinds import Moment
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import Passes
from lightning_neuro.spectral_rnn.prepared import Prepared, prepare
from lightning_neuro.spectral_rnn.recovery import InputRecovery, recover_input_weights
from lightning_neuro.spectral_rnn.refinement import Refined, refine
from lightning_neuro.spectral_rnn.residuals import Residuals, residuals
from lightning_neuro.spectral_rnn.routes import READINGS, CubicRoute, Facts, QuadraticRoute, Route, TwoWayRoute
from lightning_neuro.spectral_rnn.score_fit import mean_precisions
from lightning_neuro.spectral_rnn.series import Array
from lightning_neuro.spectral_rnn.symmetry import canonicalize

VANISHING = 1.5


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


def _learn(data: Prepared, options: Options, route: Route) -> Learned[Any]:
    inputs = data.seen.require_inputs().width
    facts = _facts(data, options)
    moment = data.means({READINGS: route.reading_moment(inputs)})[READINGS]
    if _vanishes(moment, facts, data.seen.n_steps, route) and options.order == "auto":
        return _learn(data, replace(options, activation="cubic", order=None), CubicRoute())
    found = recover_input_weights(moment, options.units, route.coeffs, n_restarts=options.n_restarts, seed=options.seed)
    by_moments = _with_recurrence(data, facts, route, found)
    refined = _refined(data, facts, route, by_moments, options.refine)
    if not refined.evaluation.error < 1:
        warnings.warn(
            f"spectral learning: on its own data the network is wrong by {refined.evaluation.error:.3g} of the "
            "outputs' variance, no better than their mean. Give more data or fewer units, look at the score, and bring "
            "inputs of different units to one variance.",
            PoorFitWarning,
            stacklevel=4,
        )
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


def _vanishes(moment: Array, facts: Facts, n_steps: int, route: Route) -> bool:
    """Return, and warn, whether a second moment is no larger than outputs independent of the inputs would make it.

    Then its squared norm is `tr Cov(y) (tr(P)^2 + tr(P^2)) / n` in the mean.
    """
    if degree(route.coeffs) != 2:
        return False
    precision = facts.precision_end
    entries = np.trace(precision) ** 2 + np.sum(precision**2)
    null = np.sqrt(np.trace(facts.output_covariance) * entries / n_steps)
    vanishes = bool(np.linalg.norm(moment) <= VANISHING * null)
    if vanishes:
        warnings.warn(
            f"spectral learning: the second moment, {np.linalg.norm(moment):.3g}, is not larger than that of unrelated "
            f"outputs, {null:.3g}. Give more data; an odd activation (tanh) shows in the third moment, which "
            "order='auto' goes on to and activation='cubic' begins with.",
            VanishingMomentWarning,
            stacklevel=4,
        )
    return vanishes


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
    return residuals(
        data.passes,
        model,
        data.score,
        moments,
        facts.output_covariance,
        interior=data.interior,
        limit=data.residual_limit,
    )


def _with_offset(model: Any, measured: Residuals) -> Any:
    return replace(model, offset=model.offset + measured.mean)


def _canonical(model: Any) -> Any:
    if isinstance(model, PolynomialModel):
        return canonicalize(model)
    return replace(model, forward=canonicalize(model.forward), backward=canonicalize(model.backward))
