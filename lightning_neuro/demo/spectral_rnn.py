"""Demonstration of spectral learning: a recurrent network found by moments, and as a start for gradient descent."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import torch
from torch import Tensor, nn

from lightning_neuro.common.plotting import curves, to_svg
from lightning_neuro.common.report import Figure, Section, Table
from lightning_neuro.demo.comparison import Comparison
from lightning_neuro.spectral_rnn import SpectralRNN
from lightning_neuro.spectral_rnn import torch as spectral_torch
from lightning_neuro.spectral_rnn.alarms import SpectralWarning
from lightning_neuro.spectral_rnn.learned import Diagnostics
from lightning_neuro.spectral_rnn.model import PolynomialModel

INPUTS, UNITS, OUTPUTS = 10, 3, 4
SERIES, STEPS, NOISE, COUPLING = 600, 32, 0.3, 0.12
OPTIMIZER_STEPS, LOOK_EVERY, BATCH, RATE = 150, 10, 64, 0.01
MOST_SEEDS, ENOUGH_EPOCHS = 3, 5
MOMENTS, REFINED, RANDOM, STARTED = "moments only", "moments, refined", "BPTT, random start", "BPTT, spectral start"


@dataclass(frozen=True)
class Data:
    """Series to learn from and to test on, `(B, T, D)`, and the error that the noise alone makes."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor
    floor: float

    def error(self, net: nn.Module) -> float:
        """Return the mean squared test error, in units of the floor."""
        with torch.no_grad():
            missed = net(self.test_x)[0] - self.test_y
        return float(missed.square().mean()) / self.floor


@dataclass(frozen=True)
class Learned:
    """What one arm left behind: its error in units of the floor, at the end and on the way, and the seconds it took."""

    error: float
    seconds: float
    curve: list[float]


def demonstrate(comparison: Comparison) -> Section:
    """Learn the same networks all ways, and tell what came of it."""
    fast = comparison.plan.epochs < ENOUGH_EPOCHS
    steps, count = (OPTIMIZER_STEPS // 5, SERIES // 4) if fast else (OPTIMIZER_STEPS, SERIES)
    arms: dict[str, list[Learned]] = {name: [] for name in (MOMENTS, REFINED, RANDOM, STARTED)}
    diagnostics: list[Diagnostics] = []
    for seed in range(min(comparison.plan.seeds, MOST_SEEDS)):
        comparison.tell(f"spectral learning, seed {seed}")
        data = _draw(seed, count)
        for name, learn in _ways(data, seed, steps, diagnostics).items():
            arms[name].append(learn())
    return Section(
        "Spectral learning of recurrent networks",
        [
            f"Random quadratic networks of {UNITS} neurons turn {INPUTS} Gaussian inputs into {OUTPUTS} outputs, to "
            f"which noise is added. {count} series of {STEPS} steps are there to learn from. Spectral learning takes "
            "moments of outputs and of the score of the inputs apart as tensors: no gradient, no learning rate. "
            "Refinement of the moments' residual is ours. Gradient descent is Adam through time on the same kind of "
            "network, "
            f"{steps} steps with learning rate {RATE:g}, from random weights and from the moments.",
            _results(arms),
            _pictures(arms, diagnostics[0]),
            "What the node itself says of the first data set: " + _told(diagnostics[0]),
        ],
    )


def _draw(seed: int, count: int) -> Data:
    rng = np.random.default_rng(seed)
    shapes = (UNITS, INPUTS), (UNITS, UNITS), (UNITS, OUTPUTS)
    a, u, c = (rng.standard_normal(shape) for shape in shapes)
    a, u = (each / np.linalg.norm(each, axis=1)[:, None] for each in (a, u))
    net = PolynomialModel(a, COUPLING * u, c)
    x = rng.standard_normal((2 * count, STEPS, INPUTS))
    clean = np.stack(net.predict_all(list(x)))
    kept = np.isfinite(clean).all((1, 2))
    noisy = clean[kept] + NOISE * rng.standard_normal(clean[kept].shape)
    inputs, outputs = torch.as_tensor(x[kept]).float(), torch.as_tensor(noisy).float()
    return Data(inputs[:count], outputs[:count], inputs[count:], outputs[count:], NOISE**2)


def _ways(data: Data, seed: int, steps: int, told: list[Diagnostics]) -> dict[str, Callable[[], Learned]]:
    def spectral(refine: int) -> tuple[spectral_torch.PolynomialRNN, float]:
        node, started = SpectralRNN(UNITS, refine=refine, seed=0), time.perf_counter()
        with warnings.catch_warnings():
            # A short run has few data; what the warnings say stands in the diagnostics.
            warnings.simplefilter("ignore", SpectralWarning)
            node.fit(data.x.double().numpy(), data.y.double().numpy())
        spent = time.perf_counter() - started
        if refine:
            told.append(node.diagnostics_)
        return node.to_torch().float(), spent

    def by_moments(refine: int) -> Learned:
        net, seconds = spectral(refine)
        error = data.error(net)
        return Learned(error, seconds, [error])

    def descent(*, started: bool) -> Learned:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net, before = spectral_torch.PolynomialRNN(INPUTS, UNITS, OUTPUTS, max_abs_state=1e3), 0.0
            if started:
                net, before = spectral(0)
            return _descend(data, net, before, seed, steps)

    return {
        MOMENTS: lambda: by_moments(0),
        REFINED: lambda: by_moments(6),
        RANDOM: lambda: descent(started=False),
        STARTED: lambda: descent(started=True),
    }


def _descend(data: Data, net: nn.Module, seconds: float, seed: int, steps: int) -> Learned:
    generator, optimizer = torch.Generator().manual_seed(seed), torch.optim.Adam(net.parameters(), lr=RATE)
    curve = [data.error(net)]
    for step in range(1, steps + 1):
        started = time.perf_counter()
        rows = torch.randint(len(data.x), (BATCH,), generator=generator)
        optimizer.zero_grad()
        nn.functional.mse_loss(net(data.x[rows])[0], data.y[rows]).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        seconds += time.perf_counter() - started
        if step % LOOK_EVERY == 0:
            curve.append(data.error(net))
    return Learned(curve[-1], seconds, curve)


def _results(arms: dict[str, list[Learned]]) -> Table:
    rows = []
    for name, runs in arms.items():
        errors = [run.error for run in runs]
        spread = f" ± {stdev(errors):.3f}" if len(errors) > 1 else ""
        rows.append([name, f"{fmean(errors):.3f}{spread}", f"{fmean(run.seconds for run in runs):.2f} s"])
    return Table(
        ["arm", "test error, in units of the noise", "time to learn"],
        rows,
        f"Mean ± standard deviation over {len(next(iter(arms.values())))} networks; 1 is what the network that made "
        "the data would get. The learning rate was not searched for, and another may suit gradient descent better.",
    )


def _pictures(arms: dict[str, list[Learned]], diagnostics: Diagnostics) -> Figure:
    both = {name: [np.log10(run.curve) for run in arms[name]] for name in (RANDOM, STARTED)}
    steps = [LOOK_EVERY * place for place in range(len(arms[RANDOM][0].curve))]
    spectrum = diagnostics.plot().get_figure()
    return Figure(
        [
            to_svg(curves(both, title="Error over the floor, log10", xlabel="step of Adam", x=steps)),
            to_svg(spectrum),  # type: ignore[arg-type]  # a plot of ours is in a figure of its own
        ],
        "Left: gradient descent from both starts; thick: mean over networks, thin: each. Right: singular values of the "
        f"moment; those of the {UNITS} neurons stand out of the noise.",
        alt="Learning curves of gradient descent, and singular values",
    )


def _told(diagnostics: Diagnostics) -> str:
    lines = [" ".join(line.split()) for line in diagnostics.table().splitlines()]
    return "; ".join(line for line in lines if line) + "."
