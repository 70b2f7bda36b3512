"""The examples that combine two methods, shortened: what each of them claims is true."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lightning_neuro._lightning import ROOT

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = [
    pytest.mark.skipif(ROOT != "pytorch_lightning", reason="the examples name their Lightning package themselves"),
    pytest.mark.filterwarnings("ignore:.*litlogger.*"),
    pytest.mark.filterwarnings("ignore:GradientRewiring"),
    pytest.mark.filterwarnings("ignore:STRSBP. layer"),
]


@pytest.fixture
def load(monkeypatch):
    """Import an example, with pictures that are not shown."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", lambda: None)
    monkeypatch.syspath_prepend(EXAMPLES)

    def load_module(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load_module
    pyplot.close("all")


def test_gaf_acts_on_gradients_of_counts(load):
    example = load("gaf_with_st_rsbp")
    callback = example.GradientActivation("atan", alpha=0.1, beta=20.0)
    activated = example.train([callback], learning_rate=0.02, epochs=1)
    assert activated > 0.7  # ten classes
    assert activated != example.train([], learning_rate=0.02, epochs=1)


def test_a_spiking_net_rewires_its_recurrent_synapses_too(load):
    accuracy, connected = load("grad_r_with_st_rsbp").main(epochs=4)
    assert accuracy > 0.5
    assert connected["total"] == pytest.approx(0.2, abs=0.001)
    assert 0 < connected["network.layers.0.recurrent_weight"] < 0.5


def test_activated_gradients_rewire(load):
    found = load("gaf_with_grad_r").main(epochs=4)
    assert found["connectivity"] == pytest.approx(0.1, abs=0.001)
    assert min(found["both"], found["alone"]) > 0.8


def test_rewiring_after_a_spectral_start_finds_the_synapses_of_the_truth(load):
    error, truth, kept = load("spectral_start_then_rewiring").main(epochs=6)
    assert error < 0.1  # that of the noise is 0.09

    def neurons(rows: np.ndarray) -> set[tuple[int, ...]]:
        return {tuple(np.flatnonzero(row)) for row in rows}

    assert neurons(kept) == neurons(truth)


def test_an_evolved_readout_answers_better_on_steps_it_has_not_seen(load):
    found = load("evolved_readout").main(generations=25)
    assert found["after"] > max(found["before"], 0.6)
