import json

import numpy as np
import pytest
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.guided import STOPS, HomeostaticRate, InformationStorageLeak

U = np.random.default_rng(0).uniform(-1, 1, (500, 1))


@pytest.fixture(scope="module")
def report():
    node = Reservoir(20, sr=0.9, input_connectivity=1.0, seed=0)
    return HomeostaticRate(target=0.3).fit(node, U)


def test_it_is_frozen_and_tells_how_it_ended(report):
    with pytest.raises(AttributeError):
        report.value = 1.0
    assert report.stopped in STOPS
    assert report.controller == "HomeostaticRate"
    assert report.rule.startswith("ours")
    assert report.settings["target"] == 0.3


def test_the_best_epoch_is_the_one_with_the_least_error(report):
    assert report.best == int(np.argmin(report.history["error"]))
    assert report.error == report.history["error"][report.best]
    assert report.value == report.history["mean_rate"][report.best]
    rates = abs(report.reservoir.run(U)[100:]).mean(axis=0)
    np.testing.assert_allclose(rates, report.details["rates"], rtol=1e-12)


def test_it_goes_into_json(report):
    found = json.loads(json.dumps(report.to_dict()))
    assert found["stopped"] == report.stopped
    assert len(found["history"]["values"]["error"]) == len(report.history)
    assert len(found["parameters"]["scaling"]) == 20


def test_its_picture_shows_the_steered_quantity_and_the_target(report):
    axes = report.plot()
    assert axes.get_ylabel() == "mean rate"
    np.testing.assert_allclose(axes.lines[0].get_ydata(), report.history["mean_rate"])
    assert axes.lines[-1].get_ydata()[0] == 0.3
    several = report.history.plot(names=["smallest_rate", "largest_rate"])
    assert len(several.get_legend().get_texts()) == 2


def test_the_best_is_kept_where_later_epochs_are_worse():
    node = Reservoir(20, sr=0.9, lr=0.5, seed=0)
    controller = InformationStorageLeak(target=0.4, learning_rate=3.0, tolerance=1e-6, epochs=12)
    report = controller.fit(node, U)
    assert report.stopped == "all epochs used"
    assert not report.reached
    assert report.best < len(report.history) - 1
    assert report.error == report.history["error"].min()
