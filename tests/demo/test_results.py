import pytest
from scipy.stats import ttest_rel

from lightning_neuro.demo.comparison import Arm, Outcome
from lightning_neuro.demo.results import accuracy_words, verdict


def outcome(*accuracies: float) -> Outcome:
    return Outcome(Arm("arm"), {0.1: [1.0]}, 0.1, [], list(accuracies))


def test_accuracy_words_know_the_spread():
    assert accuracy_words([0.80, 0.82, 0.84]) == "82.0 ± 2.0 %"


def test_no_difference_is_called_none():
    said = verdict("GAF", outcome(0.80, 0.82, 0.81), outcome(0.81, 0.81, 0.81))
    assert "+0.0 points" in said
    assert "No difference was shown." in said


@pytest.mark.parametrize(
    ("plain", "activated", "better"),
    [
        ((0.80, 0.82, 0.81), (0.85, 0.89, 0.865), "So GAF did better"),
        ((0.85, 0.89, 0.865), (0.80, 0.82, 0.81), "So training without GAF did better"),
    ],
)
def test_a_clear_difference_is_told_whichever_way_it_came_out(plain, activated, better):
    said = verdict("GAF", outcome(*plain), outcome(*activated))
    assert better in said
    interval = ttest_rel(activated, plain).confidence_interval(0.95)
    assert f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f} points" in said


def test_one_seed_is_no_proof():
    assert "says nothing about chance" in verdict("GAF", outcome(0.8), outcome(0.9))
