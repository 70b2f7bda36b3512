"""Demonstration of GAF: the same network trained on gradients as they are and on activated gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_neuro.common.plotting import curves, histograms, spike_raster, to_svg
from lightning_neuro.common.report import Figure, Section, Table
from lightning_neuro.demo.comparison import PLAIN, Arm, Comparison, Outcome, Run
from lightning_neuro.demo.results import accuracy_words, learning_curves, verdict
from lightning_neuro.gradient_activation.callback import GradientActivation
from lightning_neuro.gradient_activation.functional import atan, crossover
from lightning_neuro.gradient_activation.metrics import saturated
from lightning_neuro.spiking.metrics import DeadNeurons, FiringRate

# The slope at zero is 2, as by default; the bound lies where the largest gradients of this small network are.
ALPHA, BETA = 0.02, 100.0
NO_BREAK = "\N{NO-BREAK SPACE}"


def demonstrate(comparison: Comparison) -> Section:
    """Train with and without GAF and tell what came of it."""
    arms = [PLAIN, Arm("with GAF", lambda: [GradientActivation("atan", alpha=ALPHA, beta=BETA)])]
    outcomes = comparison.run(arms)
    for outcome in outcomes:
        comparison.tell(f"{outcome.arm.name}: test accuracy {accuracy_words(outcome.test_accuracy)}")
    images, labels = next(iter(comparison.data_of(0).val_dataloader()))
    names = comparison.data_of(0).class_names
    return Section(
        "Gradient activation (GAF)",
        [
            "Before each step of SGD with momentum, every element g of the gradient becomes "
            f"alpha · atan(beta · g), here with alpha = {ALPHA:g} and beta = {BETA:g}: small elements grow up to "
            f"{ALPHA * BETA:g} times, none stays larger than {ALPHA * np.pi / 2:.3f}. Both arms start from the same "
            "weights and see the same images in the same order; each has the learning rate that suited it best.",
            verdict("GAF", *outcomes),
            _results(comparison, outcomes),
            learning_curves(outcomes),
            _tuning_curves(outcomes),
            _gradients(outcomes[0].runs[0], images, labels),
            _spikes(outcomes[1].runs[0], images, [names[label] for label in labels]),
        ],
    )


def _results(comparison: Comparison, outcomes: Sequence[Outcome]) -> Table:
    plan, data = comparison.plan, comparison.data_of(0)
    settings = [("none", "none"), (f"{ALPHA:g}", f"{BETA:g}")]
    rows = [
        (
            outcome.arm.name,
            accuracy_words(outcome.test_accuracy).replace(" ", NO_BREAK),
            f"{outcome.learning_rate:g}",
            *setting,
        )
        for outcome, setting in zip(outcomes, settings, strict=True)
    ]
    grid = plan.learning_rates
    edge = [o.arm.name for o in outcomes if len(grid) > 1 and o.learning_rate in (grid[0], grid[-1])]
    note = (
        f" The best rate lies at the end of the grid for: {', '.join(edge)}; a wider one may do better." if edge else ""
    )
    return Table(
        ["arm", "test accuracy", "learning rate", "alpha", "beta"],
        rows,
        f"Mean ± standard deviation over {plan.seeds} seeds. Data: {data.kind.title}, {plan.train_images:,} images to "
        f"train on, {plan.val_images:,} to choose the learning rate on, all test images once per network, at the end. "
        f"Learning rates tried per arm: {', '.join(f'{rate:g}' for rate in grid)}, with {plan.tuning_seeds} other "
        f"seeds.{note}",
    )


def _tuning_curves(outcomes: Sequence[Outcome]) -> Figure:
    rates = list(outcomes[0].tuning)
    losses = {o.arm.name: np.transpose([o.tuning[rate] for rate in rates]) for o in outcomes}
    picture = curves(losses, title="Validation loss", xlabel="learning rate", x=rates, log_x=True)
    return Figure(
        [to_svg(picture)],
        f"How the learning rate was chosen: loss on the validation images after the last epoch. For small gradients "
        f"GAF acts like a learning rate {ALPHA * BETA:g} times as large, so one rate for both would be no comparison.",
        alt="Validation loss over the learning rate with and without GAF",
    )


def _gradients(run: Run, images: Tensor, labels: Tensor) -> Figure:
    """Gradients of the plain arm's trained network on one batch, before and after."""
    model = run.model.cpu()
    weights = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    gradients = torch.autograd.grad(model.loss((images, labels)), weights)
    pictures, words, grows_below = [], [], crossover("atan", ALPHA, BETA)
    for name, g in zip(("hidden layer", "readout"), gradients, strict=True):
        samples = {"before": g.numpy(), "after": atan(g, ALPHA, BETA).numpy()}
        pictures.append(to_svg(histograms(samples, title=f"Gradient, {name}", xlabel="size of an element")))
        enlarged = ((g.abs() < grows_below) & (g != 0)).float().mean().item()
        near_bound = saturated(g, "atan", ALPHA, BETA).float().mean().item()
        words.append(
            f"in the {name}, {100 * enlarged:.1f} % of the elements grow, {100 * near_bound:.1f} % come near the bound"
        )
    return Figure(
        pictures,
        f"Gradients of a network trained without GAF, on one batch, before and after activation: {'; '.join(words)}. "
        f"Elements below {grows_below:.3f} grow; zeros stay zero. What lies beyond the axis is counted in its ends.",
        alt="Histograms of gradient elements before and after activation",
    )


def _spikes(run: Run, images: Tensor, classes: Sequence[str]) -> Figure:
    spikes = run.model.cpu().hidden_spikes(images)
    rate, dead = FiringRate(), DeadNeurons()
    rate.update(spikes)
    dead.update(spikes)
    pictures = [
        to_svg(spike_raster(spikes[:, index], title=f"Spikes for: {classes[index]}", ylabel="hidden neuron"))
        for index in range(2)
    ]
    return Figure(
        pictures,
        "Spikes of the hidden neurons of a network trained with GAF, for two validation images. Over a batch of "
        f"{len(images)}, a neuron fires in {100 * rate.compute():.0f} % of the time steps, and "
        f"{100 * dead.compute():.0f} % never fire.",
        alt="Spike rasters of the hidden layer",
    )
