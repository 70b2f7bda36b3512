from pathlib import Path

from lightning_neuro.data.folders import data_root


def test_argument_wins_over_environment_over_default(monkeypatch):
    monkeypatch.setenv("LIGHTNING_NEURO_DATA", "from_environment")
    assert data_root("argument") == Path("argument")
    assert data_root(Path("argument")) == Path("argument")
    assert data_root() == Path("from_environment")
    monkeypatch.setenv("LIGHTNING_NEURO_DATA", "")
    assert data_root() == Path("data")
    monkeypatch.delenv("LIGHTNING_NEURO_DATA")
    assert data_root() == Path("data")


def test_home_is_expanded():
    assert data_root("~/sets") == Path.home() / "sets"
