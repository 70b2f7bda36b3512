"""What every demonstration tells of its arms: accuracy in words, how sure one can be, and learning curves."""

from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.stats import t

from lightning_neuro.common.plotting import curves, to_svg
from lightning_neuro.common.report import Figure
from lightning_neuro.demo.comparison import Outcome

STEPS_PER_POINT = 10


def accuracy_words(accuracies: Sequence[float]) -> str:
    """Mean and sample standard deviation over seeds, in percent.

    >>> accuracy_words([0.8, 0.82])
    '81.0 ± 1.4 %'
    >>> accuracy_words([0.8])
    '80.0 %'
    """
    spread = f" ± {100 * stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    return f"{100 * fmean(accuracies):.1f}{spread} %"


def verdict(method: str, plain: Outcome, other: Outcome) -> str:
    """Say how an arm compares with plain training, whichever way it came out, and how sure one can be."""
    differences = [100 * (a - b) for a, b in zip(other.test_accuracy, plain.test_accuracy, strict=True)]
    mean, count = fmean(differences), len(differences)
    if count == 1:
        changed = f"With {method} the test accuracy changed by {mean:+z.1f} points"
        return f"{changed}: one seed, which says nothing about chance."
    low, high = paired_interval(differences)
    judgement = (
        "No difference was shown."
        if low <= 0 <= high
        else f"So {method if mean > 0 else f'training without {method}'} did better here, with these few seeds."
    )
    return (
        f"With {method} the test accuracy changed by {mean:+z.1f} points, averaged over {count} seeds; the 95 % "
        f"interval of Student's t is {low:+z.1f} to {high:+z.1f} points. {judgement}"
    )


def paired_interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % interval of Student's t for the mean of differences, one per seed; at least two.

    >>> [round(end, 1) for end in paired_interval([1.0, 2.0, 3.0])]
    [-0.5, 4.5]
    """
    mean, count = fmean(differences), len(differences)
    margin = float(t.ppf(0.975, count - 1)) * stdev(differences) / count**0.5
    return mean - margin, mean + margin


def learning_curves(outcomes: Sequence[Outcome]) -> Figure:
    """Training loss and validation accuracy of every seed."""
    loss = {o.arm.name: [_windows(run.train_loss) for run in o.runs] for o in outcomes}
    accuracy = {o.arm.name: [[100 * value for value in run.val_accuracy] for run in o.runs] for o in outcomes}
    steps = _windows(list(range(1, len(outcomes[0].runs[0].train_loss) + 1)))
    return Figure(
        [
            to_svg(curves(loss, title="Training loss", xlabel="step", x=steps)),
            to_svg(curves(accuracy, title="Validation accuracy (%)", xlabel="epoch")),
        ],
        f"Thick: mean over seeds; band: standard deviation; thin: every seed. The loss is averaged over "
        f"{STEPS_PER_POINT} steps.",
        alt=f"Training loss and validation accuracy: {', '.join(loss)}",
    )


def _windows(values: Sequence[float]) -> list[float]:
    """Means over whole windows of steps; a shorter training is one window."""
    size = min(STEPS_PER_POINT, len(values))
    return [fmean(values[start : start + size]) for start in range(0, len(values) - size + 1, size)]
