import subprocess
import sys
from importlib import metadata

import pytest

from lightning_neuro import GradientActivation, SpikingStateReset, _lightning
from lightning_neuro.callbacks_from_environment import ENVIRONMENT_VARIABLE, callbacks


def test_nothing_is_added_unless_asked(monkeypatch):
    for value in (None, "", " , "):
        monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
        if value is not None:
            monkeypatch.setenv(ENVIRONMENT_VARIABLE, value)
        assert callbacks() == []


def test_names_become_callbacks_in_their_order(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "state-reset, gaf")
    assert [type(callback) for callback in callbacks()] == [SpikingStateReset, GradientActivation]


def test_an_unknown_name_is_refused(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "gaf,nothing")
    with pytest.raises(ValueError, match=r"LIGHTNING_NEURO_CALLBACKS must name some of gaf, .*got 'nothing'"):
        callbacks()


@pytest.mark.parametrize("root", _lightning.ROOTS)
def test_both_copies_of_lightning_know_where_to_ask(root):
    (entry,) = (e for e in metadata.entry_points(group=f"{root}.callbacks_factory") if e.name == "lightning_neuro")
    assert entry.load() is callbacks


def test_a_trainer_gets_them(monkeypatch, make_trainer):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "gaf")
    assert any(isinstance(callback, GradientActivation) for callback in make_trainer().callbacks)
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    assert not any(isinstance(callback, GradientActivation) for callback in make_trainer().callbacks)


def test_asking_imports_nothing_heavy():
    code = (
        "import sys, lightning_neuro.callbacks_from_environment as factory; factory.callbacks(); "
        "print(*{'torch', 'reservoirpy', 'tensorly', 'snntorch', 'pytorch_lightning'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={}, check=True)
    assert done.stdout.strip() == ""
