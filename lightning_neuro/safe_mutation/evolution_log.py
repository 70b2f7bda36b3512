"""What is logged of a generation, as plain numbers."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.evolution import Evolution
from lightning_neuro.safe_mutation.experience import ExperienceRule
from lightning_neuro.safe_mutation.generation import Outcome

# Names in an operator's report, and the names under which their means are logged.
_REPORTED = {
    "divergence": "mutation/divergence",
    "step_l2": "mutation/step_l2",
    "zero_fraction": "sensitivity/zero_frac",
    "floored_fraction": "sensitivity/floored_frac",
    "clipped_fraction": "mutation/clipped_frac",
    "capped": "mutation/linesearch_capped_frac",
}
FLOORED_TOO_OFTEN = 0.9


def metrics_of(evolution: Evolution, outcome: Outcome) -> dict[str, float]:
    """Return metrics by name.

    Args:
        evolution: after the generation; `fitness/...` are those of the population that a checkpoint would hold now.
        outcome: of the generation.
    """
    values = dict(_fitness(evolution.fitness))
    values["fitness/champion"] = evolution.champion.fitness
    values["evaluations"] = float(evolution.evaluations)
    values["broken_frac"] = float(outcome.trial.broken.float().mean())
    if outcome.trial.solved is not None:
        values["solved"] = float(outcome.trial.solved.float().mean())
    for name, tensor in outcome.report.items():
        values[_REPORTED.get(name, f"mutation/{name}")] = _mean(tensor)
    if len(outcome.parents):
        values["genome/unique_parents"] = float(torch.unique(outcome.parents).numel())
    for name, tensor in outcome.trial.extras.items():
        values[f"evaluator/{name}"] = _mean(tensor)
    values |= {f"evaluator/{name}/champion": value for name, value in evolution.champion.extras.items()}
    return values | {f"time/{name}_s": seconds for name, seconds in outcome.seconds.items()}


def warnings_of(owner: str, evolution: Evolution, outcome: Outcome, rule: ExperienceRule) -> dict[str, str]:
    """Return what a user should know about a generation, by subject: each subject is worth one warning in a run."""
    found = {}
    report = outcome.report.get("floored_fraction")
    fraction = 0.0 if report is None else _mean(report)
    if fraction > FLOORED_TOO_OFTEN:
        found["floor"] = (
            f"{owner}: the floor replaces {100 * fraction:.0f} % of the sensitivities, so that mutation is nearly "
            "isotropic noise of standard deviation magnitude / floor. Lower floor (and magnitude with it), use "
            "normalize='max', or let sensitivity_output return values of a larger scale."
        )
    if bool(outcome.trial.broken.all()):
        found["broken"] = (
            f"{owner}: the fitness of every individual evaluated in generation {evolution.generation - 1} is NaN or "
            "infinite, so that selection is blind. Check the evaluator, or lower magnitude."
        )
    shortage = None if evolution.archive is None else rule.shortage(evolution.archive)
    return found if shortage is None else found | {"archive": shortage}


def _fitness(fitness: Tensor) -> Iterator[tuple[str, float]]:
    """Of those who are not broken; NaN where all are."""
    sound = fitness[fitness.isfinite()].double()
    if not len(sound):
        sound = fitness.new_full((1,), torch.nan)
    yield "fitness/best", float(sound.max())
    yield "fitness/mean", float(sound.mean())
    yield "fitness/std", float(sound.std(correction=0))
    yield "fitness/median", float(sound.quantile(0.5))


def _mean(tensor: Tensor) -> float:
    sound = tensor.detach().double()
    sound = sound[sound.isfinite()]
    return float(sound.mean()) if sound.numel() else torch.nan
