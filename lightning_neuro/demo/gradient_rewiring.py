"""Demonstration of Grad R: the same network trained with all its synapses, and with most of them pruned on the way."""

from collections.abc import Sequence
from statistics import fmean

import torch

from lightning_neuro.common.plotting import curves, histograms, to_svg
from lightning_neuro.common.report import Figure, Section, Table
from lightning_neuro.demo.comparison import PLAIN, Arm, Comparison, Outcome
from lightning_neuro.demo.results import accuracy_words, learning_curves, verdict
from lightning_neuro.gradient_rewiring import GradientRewiring, export_sparse, measure_sparse

SPARSITY = 0.9
NO_BREAK = "\N{NO-BREAK SPACE}"


def rewiring() -> GradientRewiring:
    """Prune to the target in half of the training, and let the rest of it fine-tune what is left."""
    return GradientRewiring(SPARSITY, freeze_after=2 / 3, trim=True, verbose=False)


def demonstrate(comparison: Comparison) -> Section:
    """Train with and without Grad R and tell what came of it."""
    outcomes = comparison.run([PLAIN, Arm("with Grad R", lambda: [rewiring()])])
    rewired = outcomes[1]
    comparison.tell(f"{rewired.arm.name}: test accuracy {accuracy_words(rewired.test_accuracy)}")
    return Section(
        "Gradient rewiring (Grad R)",
        [
            f"While the network learns, weak synapses are removed and needed ones grow back, until {SPARSITY:.0%} of "
            "them are absent; in the last third of the training the connections stay and only their weights learn. A "
            "controller, which is ours and not the paper's, sets the pull that removes synapses.",
            verdict("Grad R", *outcomes),
            _results(outcomes),
            learning_curves(outcomes),
            _connections(rewired),
            _benefit(rewired),
        ],
    )


def _callbacks(outcome: Outcome) -> list[GradientRewiring]:
    return [callback for run in outcome.runs for callback in run.callbacks if isinstance(callback, GradientRewiring)]


def _results(outcomes: Sequence[Outcome]) -> Table:
    connected = ["100 %", f"{100 * fmean(c.connectivity()['total'] for c in _callbacks(outcomes[1])):.2f} %"]
    rows = [
        (o.arm.name, accuracy_words(o.test_accuracy).replace(" ", NO_BREAK), share.replace(" ", NO_BREAK), rate)
        for o, share, rate in zip(outcomes, connected, (f"{o.learning_rate:g}" for o in outcomes), strict=True)
    ]
    return Table(
        ["arm", "test accuracy", "connectivity", "learning rate"],
        rows,
        "Mean ± standard deviation over seeds; images, steps and the search for the learning rate as above. "
        "Connectivity is the fraction of weights that are not zero.",
    )


def _connections(outcome: Outcome) -> Figure:
    """How connectivity fell, and where theta ended."""
    callbacks = _callbacks(outcome)
    names = [name for name in callbacks[0].connectivity() if name != "total"]
    fell = {
        layer: [[100 * epoch[f"connectivity/{name}"] for epoch in c.history] for c in callbacks]
        for layer, name in zip(("hidden layer", "readout"), names, strict=True)
    }
    theta = {
        layer: callbacks[0].projections[0].theta[name].numpy()
        for layer, name in zip(("hidden layer", "readout"), names, strict=True)
    }
    return Figure(
        [
            to_svg(curves(fell, title="Connectivity (%)", xlabel="epoch")),
            to_svg(histograms(theta, title="Theta after training", xlabel="theta; above 0 connected")),
        ],
        "Left: fraction of synapses that are there, per layer. Right: theta, the hidden strength behind each weight; "
        "a synapse is there where it is above zero, and may come back while it is below.",
        alt="Connectivity over the epochs, and a histogram of theta",
    )


def _benefit(outcome: Outcome) -> Table:
    """What the sparse network saves, measured on this machine."""
    model = outcome.runs[0].model.cpu().eval()
    images = torch.rand(100, model.in_features, generator=torch.Generator().manual_seed(0))
    report = measure_sparse(model, export_sparse(model), images)
    rows = [
        ("file, bytes", report.dense_bytes, report.sparse_bytes),
        ("forward pass of 100 images, ms", report.dense_ms, report.sparse_ms),
    ]
    return Table(
        ["one trained network", "dense", "sparse", "gain"],
        [(what, _short(dense), _short(sparse), f"{dense / sparse:.1f} times") for what, dense, sparse in rows],
        "The same network with its weights as sparse matrices. Outputs differ by at most "
        f"{report.largest_difference:.1g}. Of a network this small, a pass is mostly neurons and not synapses.",
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"
