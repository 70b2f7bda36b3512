import importlib.util

import pytest

from lightning_neuro.safe_mutation.tasks import environments


def test_registering_twice_is_harmless():
    gymnasium = pytest.importorskip("gymnasium")
    assert environments.register_environments()
    assert environments.register_environments()
    assert set(environments.ENVIRONMENTS) <= set(gymnasium.registry)


def test_without_gymnasium_nothing_is_registered(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not environments.register_environments()
