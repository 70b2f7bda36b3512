import numpy as np
import pytest

from lightning_neuro.common.report import Figure, Table
from lightning_neuro.demo import reservoir
from lightning_neuro.demo.comparison import Comparison, Plan


@pytest.fixture(scope="module")
def section():
    return reservoir.demonstrate(Comparison(Plan(epochs=2, seeds=1), tell=lambda line: None))


def test_it_tells_all_arms_and_shows_every_picture(section):
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == list(reservoir.ARMS)
    assert all(float(cell) > 0 for row in table.rows for cell in row[1:])
    figures = [block for block in section.blocks if isinstance(block, Figure)]
    titles = (
        ("Outputs of the units", "Phase portrait"),
        ("Memory", "Capacity by degree"),
        ("Active information storage", "Transfer entropy"),
        ("SORN, as drawn", "SORN, organised"),
    )
    for figure, expected in zip(figures, titles, strict=True):
        assert [f">{title}<" in picture for title, picture in zip(expected, figure.pictures, strict=True)] == [True] * 2


def test_readouts_are_chosen_before_the_test_and_tested_after():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((600, 1))
    targets = inputs.copy()
    targets[450:] += rng.standard_normal((150, 1))  # nothing before the test tells of it
    chosen, tested = reservoir.Task(inputs, targets, 300, 450).errors(inputs)
    assert chosen < 1e-6
    assert tested == pytest.approx(2**-0.5, abs=0.1)


def test_every_arm_begins_with_the_weights_of_the_plain_one_or_says_otherwise():
    task = reservoir._task(reservoir.NARMA, 900, 0)
    arms = reservoir._arms(reservoir.Options(0.9, 0.3), task, 0)
    for node in arms.values():
        node.run(task.inputs[:1])
    weights = {arm: node.W.toarray() if hasattr(node.W, "toarray") else node.W for arm, node in arms.items()}
    plain, edge = weights[reservoir.PLAIN], weights[reservoir.EDGE]
    np.testing.assert_array_equal(weights[reservoir.PLASTIC], plain)
    scale = edge[plain != 0] / plain[plain != 0]
    np.testing.assert_allclose(scale, scale[0])
    assert (np.count_nonzero(weights[reservoir.PERMUTED], axis=0) == 1).all()
