"""The page: what was run, what each method says of itself, and everything else that was logged."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from lightning_neuro import __version__
from lightning_neuro.common.plotting import INK, SERIES, blank, to_svg
from lightning_neuro.common.report import Figure, Section, Table, write_report
from lightning_neuro.run_report.files import Points, Run, find_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EVOLUTION = (
    *(
        "fitness/",
        "evaluations",
        "evaluator/",
        "genome/",
        "mutation/",
        "sensitivity/",
        "divergence",
        "floored",
        "broken",
    ),
    *("time/", "solved", "val/fitness", "val/solved", "test/fitness", "test/solved"),
)
# Which metrics belong to a method, by how their names begin, and what to look for in them.
METHODS = {
    "GAF": (
        ("gradient_activation/",),
        "How the gradients look before and after the function: where most of them saturate, only their signs count, "
        "and a larger alpha or a smaller beta keeps more.",
    ),
    "Rewiring": (
        ("rewiring/", "deep_rewiring/"),
        "The share of synapses that are there, and how many went and came in an epoch. A net in which none come any "
        "more has settled; many empty rows or columns are neurons that were cut off.",
    ),
    "ST-RSBP": (
        ("st_rsbp/",),
        "Firing rates of the layers, gains that were clamped, and samples whose silent target neuron was taught. Rates "
        "at 0 or at their limit learn nothing.",
    ),
    "SM-G": (
        EVOLUTION,
        "Fitness of the population and its champion. The divergence says how far children are from their parents in "
        "what they do; a large floored share makes safe mutations plain ones.",
    ),
    "Spectral learning": (
        ("spectral/",),
        "What the moments said of the net that training began with: singular values apart from the noise, and its "
        "error before and after.",
    ),
    "Reservoir measures": (("measure/", "ridge"), "What the measures said of the reservoir or layer."),
}
MOST_LINES = len(SERIES)


def write_run_report(folder: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Path:
    r"""Write a page about a run, or about several beside each other, and return where it lies.

    Args:
        folder: what Lightning left behind: `metrics.csv` of a CSVLogger, `config.yaml` or `hparams.yaml`,
            `checkpoints/*.ckpt`; or a folder above several of them, such as `lightning_logs`.
        out: the file to write; `folder/report/index.html` where left out.

    Raises:
        FileNotFoundError: no such folder, or nothing of a run in it.
        ValueError: a metrics.csv that no logger of Lightning wrote.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "metrics.csv").write_text("step,train_loss\n1,0.5\n2,0.25\n")
    ...     "0.25" in write_run_report(folder).read_text("utf-8")
    True
    """
    home = Path(folder)
    runs = find_runs(home)
    target = home / "report" / "index.html" if out is None else Path(out)
    words = "One run" if len(runs) == 1 else f"{len(runs)} runs beside each other"
    return write_report(
        target,
        f"Report of {home.resolve().name}",
        [_settings(runs), *_metrics(runs), _checkpoints(runs)],
        lead=f"{words}, read from logs and checkpoints by lightning_neuro {__version__}.",
    )


def _settings(runs: Sequence[Run]) -> Section:
    rows = [
        (run.name, str(len(run.metrics)), _last_step(run), str(len(run.checkpoints)), ", ".join(run.settings) or "none")
        for run in runs
    ]
    table = Table(["run", "metrics", "last step", "checkpoints", "settings"], rows)
    first = next((run for run in runs if run.settings), None)
    if first is None:
        return Section("What was run", [table, "No settings were saved: save_hyperparameters() in a module does that."])
    lines = [line for text in list(first.settings.values())[:1] for line in _with_parents(text)]
    listed = Table(["setting", "value"], lines, f"Settings of {first.name} that are not empty.")
    return Section("What was run", [table, listed] if lines else [table])


def _with_parents(text: str) -> list[tuple[str, str]]:
    r"""Return names and values of YAML that Lightning wrote, each name behind those that it stands under.

    >>> _with_parents("model:\n  init_args:\n    beta: 0.9\nseed: 0\n")
    [('model.init_args.beta', '0.9'), ('seed', '0')]
    """
    above: list[tuple[int, str]] = []
    found = []
    for line in text.splitlines():
        name, colon, value = line.lstrip(" -").partition(":")
        if not colon:
            continue
        depth = len(line) - len(line.lstrip(" -"))
        above = [*((d, parent) for d, parent in above if d < depth), (depth, name.strip())]
        if value.strip() not in ("", "null", "{}", "[]"):
            found.append((".".join(parent for _, parent in above), value.strip()))
    return found


def _last_step(run: Run) -> str:
    steps = [points[-1][0] for points in run.metrics.values()]
    return f"{max(steps):.0f}" if steps else ""


def _metrics(runs: Sequence[Run]) -> list[Section]:
    names = list(dict.fromkeys(name for run in runs for name in run.metrics))
    sections, told = [], set()
    for title, (beginnings, meaning) in METHODS.items():
        chosen = [name for name in names if name.startswith(beginnings)]
        told |= set(chosen)
        if chosen:
            sections.append(Section(title, [meaning, _table(runs, chosen), _curves(runs, chosen)]))
    rest = [name for name in names if name not in told]
    if rest:
        sections.insert(0, Section("Training", [_table(runs, rest), _curves(runs, rest)]))
    return sections


def _table(runs: Sequence[Run], names: Iterable[str]) -> Table:
    rows = []
    for name in names:
        series = [run.metrics[name] for run in runs if name in run.metrics]
        values = [[value for _, value in points] for points in series]
        looks = (lambda each: each[0], min, max, lambda each: each[-1])
        rows.append((name, *(_spread([look(each) for each in values]) for look in looks), str(len(series))))
    return Table(
        ["metric", "first", "lowest", "highest", "last", "runs"],
        rows,
        "" if len(runs) == 1 else "Mean ± standard deviation over runs.",
    )


def _spread(values: Sequence[float]) -> str:
    words = f"{fmean(values):.4g}"
    return words if len(values) == 1 else f"{words} ± {stdev(values):.2g}"


def _curves(runs: Sequence[Run], names: Sequence[str]) -> Figure:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_family(name), []).append(name)
    pictures = [_picture(runs, title, group[:MOST_LINES]) for title, group in groups.items()]
    dropped = sum(max(0, len(group) - MOST_LINES) for group in groups.values())
    more = f" {dropped} more stand in the table only." if dropped else ""
    told = "Over optimizer steps." if len(runs) == 1 else "Over optimizer steps; all runs of a metric share its colour."
    return Figure(pictures, told + more, alt=f"Curves of {', '.join(names)}")


def _family(name: str) -> str:
    """Return what metrics of one kind have in common: their name without the stage or the layer.

    >>> _family("val_loss"), _family("train_loss_epoch"), _family("rewiring/connectivity/net.0.weight")
    ('loss', 'loss', 'rewiring/connectivity')
    """
    if "/" in name:
        return name.rpartition("/")[0] if name.count("/") > 1 else name
    for stage in ("train_", "val_", "test_"):
        name = name.removeprefix(stage)
    return name.removesuffix("_epoch").removesuffix("_step")


def _picture(runs: Sequence[Run], title: str, names: Sequence[str]) -> str:
    figure, axes = blank(title, "step", "")
    for name, colour in zip(names, SERIES, strict=False):
        for place, points in enumerate(run.metrics[name] for run in runs if name in run.metrics):
            _draw(axes, points, colour, name.removeprefix(f"{title}/") if place == 0 else None)
    if len(names) > 1:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return to_svg(figure)


def _draw(axes: "Axes", points: Points, colour: str, label: str | None) -> None:
    marker = "o" if len(points) < 30 else ""
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.4, marker=marker, markersize=3, label=label)


def _checkpoints(runs: Sequence[Run]) -> Section:
    rows = [
        (
            f"{run.name}: {one.name}" if len(runs) > 1 else one.name,
            f"{one.size / 1e6:.3g} MB",
            "" if one.epoch is None else str(one.epoch),
            "" if one.step is None else str(one.step),
            f"{one.weights:,}" if not one.damage else "",
            one.damage or ", ".join(one.callbacks) or "none",
        )
        for run in runs
        for one in run.checkpoints
    ]
    if not rows:
        return Section("Checkpoints", ["There are none."])
    return Section("Checkpoints", [Table(["file", "size", "epoch", "step", "numbers", "callbacks, or damage"], rows)])
