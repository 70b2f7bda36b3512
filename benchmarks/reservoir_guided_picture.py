"""Draw how four controllers go to their targets, on one reservoir of 100 units: `docs/pictures/reservoir_guided.svg`.

From the top of the checkout:

OMP_NUM_THREADS=1 python benchmarks/reservoir_guided_picture.py
"""

from pathlib import Path

import numpy as np
from reservoirpy.nodes import Reservoir

from lightning_neuro.common import plotting
from lightning_neuro.reservoir.guided import (
    EdgeOfChaos,
    HomeostaticRate,
    InformationStorageLeak,
    TransferEntropyCoupling,
)

OUT = Path(__file__).parents[1] / "docs" / "pictures" / "reservoir_guided.svg"
NAMES = {
    "EdgeOfChaos": ["exponent"],
    "TransferEntropyCoupling": ["share_reached"],
    "InformationStorageLeak": ["mean_storage"],
    "HomeostaticRate": ["mean_rate", "smallest_rate", "largest_rate"],
}


def main() -> None:
    u = np.random.default_rng(3).uniform(-1, 1, (1000, 1))
    node = Reservoir(100, sr=0.6, input_scaling=0.1, input_connectivity=1.0, seed=3)
    near = Reservoir(100, sr=0.9, input_scaling=0.05, input_connectivity=1.0, seed=3)
    reports = [
        EdgeOfChaos().fit(node, u),
        TransferEntropyCoupling(max_history=8).fit(near, u, np.roll(u, 4)),
        InformationStorageLeak(target=0.5).fit(node, u),
        HomeostaticRate(target=0.2).fit(node, u),
    ]
    figure, _ = plotting.blank("", "", "")
    figure.clear()
    figure.set_size_inches(8.4, 5.4)
    for axes, report in zip(figure.subplots(2, 2).ravel(), reports, strict=True):
        names = NAMES[report.controller]
        report.history.plot(axes, names)
        axes.set_title(f"{report.controller}: {report.stopped}", loc="left", fontsize=10, color=plotting.INK)
        axes.set_xlabel("epoch", color=plotting.QUIET)
        axes.tick_params(colors=plotting.QUIET, labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        print(report.controller, report.stopped, round(report.value, 4), report.target, len(report.history))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(plotting.to_svg(figure))


if __name__ == "__main__":
    main()
