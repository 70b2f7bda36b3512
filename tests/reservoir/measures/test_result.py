import json
import math

import matplotlib as mpl
import numpy as np
import pytest

from lightning_neuro.reservoir.measures.result import Measure

mpl.use("Agg")


def test_a_nat_is_1_over_ln_2_bits_and_back():
    measure = Measure("x", np.array([1.0, 2.0]), unit="nats", curve=np.ones(3), null=np.full(4, 0.5))
    bits = measure.to("bits")
    assert bits.unit == "bits"
    np.testing.assert_allclose(bits.value, np.array([1.0, 2.0]) / math.log(2))
    np.testing.assert_allclose(bits.curve, 1 / math.log(2))
    np.testing.assert_allclose(bits.null, 0.5 / math.log(2))
    np.testing.assert_allclose(bits.to("nats").value, measure.value)
    assert measure.unit == "nats"


def test_the_same_unit_leaves_every_digit():
    assert float(Measure("x", 0.1, unit="bits").to("bits")) == 0.1


def test_refusals():
    with pytest.raises(ValueError, match="without unit"):
        Measure("x", 1.0).to("bits")
    with pytest.raises(ValueError, match="one of 'nats', 'bits'"):
        Measure("x", 1.0, unit="nats").to("hartley")
    with pytest.raises(TypeError, match=r"shape \(2,\)"):
        float(Measure("x", np.ones(2)))


def test_to_dict_is_strict_json():
    measure = Measure(
        "x",
        np.array([np.nan, -np.inf, 1.0]),
        params={"function": np.tanh, "sizes": (np.int64(3), 2.0)},
        details={1: None},
    )
    found = json.loads(json.dumps(measure.to_dict(), allow_nan=False))
    assert found["value"] == ["nan", "-inf", 1.0]
    assert found["params"] == {"function": "tanh", "sizes": [3, 2.0]}
    assert found["details"] == {"1": None}


def test_plots_show_the_numbers():
    curve = Measure("c", 1.0, curve=np.array([[1.0, 0.5], [0.2, 0.1]]), curve_at=np.array([3, 4]), curve_label="delay")
    lines = curve.plot().lines
    assert [list(line.get_ydata()) for line in lines] == [[1.0, 0.5], [0.2, 0.1]]
    assert list(lines[0].get_xdata()) == [3, 4]
    pairs = Measure("pairs", np.eye(3), unit="bits").plot()
    np.testing.assert_array_equal(pairs.images[0].get_array(), np.eye(3))
    null = Measure("n", 0.7, null=np.linspace(0, 0.1, 20)).plot()
    assert sum(patch.get_height() for patch in null.patches) == 20
    units = Measure("units", np.array([0.1, 0.2])).plot()
    assert [patch.get_height() for patch in units.patches] == [0.1, 0.2]


def test_plot_draws_into_given_axes():
    axes = Measure("c", 1.0, curve=np.ones(2)).plot()
    assert Measure("d", 2.0, curve=np.zeros(2)).plot(axes) is axes
    assert len(axes.lines) == 2
