from dataclasses import replace

import numpy as np
import pytest
from support.polynomial_nets import answers, random_net, random_series

from lightning_neuro.spectral_rnn import SpectralRNN
from lightning_neuro.spectral_rnn.learned import PICTURES, Diagnostics
from lightning_neuro.spectral_rnn.score_diagnostics import BROKEN

SOUND = Diagnostics(
    np.array([5.0, 2.0, 0.1]),
    {"moment": 2.5, "input_weights": 1.2, "output_cosine": 0.3, "decomposition_residual": 0.04},
    2,
    1000,
    10,
    0,
    0.0,
    dict.fromkeys(BROKEN, 0.5),
    [0.3, 0.1],
)


def remarks(diagnostics):
    return [line.split("! ")[1] for line in diagnostics.table().splitlines() if "! " in line]


def test_where_all_is_well_the_table_has_no_remark():
    assert remarks(SOUND) == []
    assert "5 2 | 0.1" in SOUND.table()
    assert "error after 1 steps" in SOUND.table()


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"singular_values": np.array([5.0, 0.2, 0.1])}, "the last neuron hardly stands out of the noise"),
        ({"recurrent_refused": True, "singular_values": np.array([5.0, 0.2, 0.1])}, "U by moments was refused"),
        ({"conditions": {"output_cosine": 0.99}}, "two neurons have parallel output weights and mix"),
        ({"conditions": {"spectral_radius": 1.2}}, "U was scaled to be stable"),
        ({"n_dropped": 1}, "exploded"),
        ({"exploded": 0.2}, "what the network predicts of these series"),
        ({"score_z": {"past": -7.0}}, "the inputs remember more than the score knows"),
        ({"errors": [1.5]}, "no better than the mean of the outputs"),
    ],
)
def test_each_doubt_is_one_remark(changes, remark):
    (found,) = remarks(replace(SOUND, **changes))
    assert remark in found


def test_every_picture_can_be_drawn_of_what_a_node_learned():
    x = random_series(20, 100)
    linear = SpectralRNN(2, activation="linear").fit(x, answers(random_net(0, coeffs=(0.0, 1.0)), x))
    quadratic = SpectralRNN(2, seed=0).fit(x, answers(random_net(0), x))
    for node in (linear, quadratic):
        assert f"{node.n_samples_}\n" in node.diagnostics_.table()
        for picture in PICTURES:
            node.diagnostics_.plot(picture=picture).figure.draw_without_rendering()
    assert len(quadratic.diagnostics_.plot().lines[0].get_xdata()) == 2
    with pytest.raises(ValueError, match="picture must be one of 'singular_values', 'errors', 'score_z', got 'all'"):
        quadratic.diagnostics_.plot(picture="all")


def test_a_linear_network_of_nothing_is_ill_conditioned():
    x = random_series(5, 100)
    node = SpectralRNN(2, activation="linear").fit(x, np.ones((5, 100, 2)))
    assert node.diagnostics_.conditions["moment"] == np.inf
    assert np.isfinite(node.run(x[0])).all()
