import pytest

from lightning_neuro.common.report import Figure, Table
from lightning_neuro.demo import spectral_rnn
from lightning_neuro.demo.comparison import Comparison, Plan


@pytest.fixture(scope="module")
def section():
    return spectral_rnn.demonstrate(Comparison(Plan(epochs=2, seeds=1), tell=lambda line: None))


def test_it_tells_all_arms_and_shows_what_they_did(section):
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == [
        spectral_rnn.MOMENTS,
        spectral_rnn.REFINED,
        spectral_rnn.RANDOM,
        spectral_rnn.STARTED,
    ]
    (figure,) = (block for block in section.blocks if isinstance(block, Figure))
    assert len(figure.pictures) == 2
    assert section.blocks[-1].endswith(".")


def test_the_floor_is_what_the_truth_would_get():
    data = spectral_rnn._draw(0, 50)
    assert data.floor == spectral_rnn.NOISE**2
    assert data.x.shape == (50, spectral_rnn.STEPS, spectral_rnn.INPUTS)
    assert not data.x.equal(data.test_x[:50])
