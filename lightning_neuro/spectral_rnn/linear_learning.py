"""Learning of linear networks from prepared data: Markov parameters, Ho-Kalman, one fit of the readout."""

from dataclasses import replace

from lightning_neuro.spectral_rnn.learned import Diagnostics, Learned
from lightning_neuro.spectral_rnn.linear import recover_linear
from lightning_neuro.spectral_rnn.model import PolynomialModel
from lightning_neuro.spectral_rnn.moment_kinds import FirstMoments
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.prepared import Prepared
from lightning_neuro.spectral_rnn.readout_fit import refit_readout
from lightning_neuro.spectral_rnn.residuals import Residuals, residuals
from lightning_neuro.spectral_rnn.routes import READINGS
from lightning_neuro.spectral_rnn.survey import Survey


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
        refitted, again = _measured(data, refit_readout(data.clipped, model))
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
    found = residuals(data.passes, model, data.score, {}, data.seen.output_covariance, limit=data.residual_limit)
    return replace(model, offset=model.offset + found.mean), found


def default_lags(seen: Survey, options: Options) -> int:
    """Return 2 p - 1 for p block rows, one more than are needed to see every neuron."""
    narrow = min(seen.require_inputs().width, len(seen.output_mean))
    units = 4 if isinstance(options.units, str) else options.units
    return 2 * (-(-units // narrow) + 1) - 1
