import re

import pytest

from lightning_neuro.demo import run_demo


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo") / "new", "digits", seeds=2, fast=True)


def test_report_holds_every_part(page):
    html = page.read_text(encoding="utf-8")
    for part in (
        "<title>lightning_neuro demonstration</title>",
        "the 8x8 digits of scikit-learn",
        "its numbers mean nothing",
        "Gradient activation (GAF)",
        "Training loss",
        "Validation accuracy",
        "Gradient, hidden layer",
        "Spikes for: ",
        "Spike-train level backpropagation (ST-RSBP)",
        "speed relative to BPTT",
        "ST-RSBP spikes for: ",
        "Safe mutations (SM-G)",
        "Fitness of the champion",
        "Sensitivity of the weights",
        "Best champion, SM-G-SUM",
        "Spectral learning of recurrent networks",
        "BPTT, spectral start",
        "Reservoirs: measures and self-organisation",
        "Phase portrait",
        "Capacity by degree",
        "lightning-neuro demo --data digits --seeds 2 --fast",
        ">torch<",
    ):
        assert part in html, part
    assert html.count("<svg") == 29
    assert re.search(r"<th scope=\"row\">with GAF</th><td>[\d.]+\N{NO-BREAK SPACE}±", html)
    assert page.name == "index.html"


def test_report_loads_nothing(page):
    html = page.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", html)
    assert not re.search(r"url\(\s*(?!#)", html)


def test_data_and_place_are_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lightning_neuro.demo.runner.METHODS", ())
    run_demo(tmp_path, "digits", seeds=1, fast=True)
    told = capsys.readouterr().out
    assert "Data: the 8x8 digits of scikit-learn\n" in told
    assert f"Report: {tmp_path.resolve() / 'index.html'}" in told


def test_a_place_that_cannot_be_written_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("lightning_neuro.demo.runner.METHODS", ())
    file = tmp_path / "taken"
    file.write_text("mine")
    for place, reason in ((file, "it is a file"), (file / "below", "Not a directory")):
        with pytest.raises(OSError, match=rf"demo: out must be a folder .* \({reason}\)\. Name another one\."):
            run_demo(place, "digits", seeds=1, fast=True)
    assert file.read_text() == "mine"


def test_looking_whether_a_place_can_be_written_leaves_nothing(tmp_path, monkeypatch):
    def stop(name):
        raise RuntimeError("stopped before training")

    monkeypatch.setattr("lightning_neuro.demo.runner.image_data", stop)
    with pytest.raises(RuntimeError, match="stopped before training"):
        run_demo(tmp_path / "new" / "report")
    assert list((tmp_path / "new" / "report").iterdir()) == []
