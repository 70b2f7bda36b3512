import subprocess
import sys
from importlib import metadata

import pytest

from lightning_neuro import doctor
from lightning_neuro.cli import main


@pytest.fixture
def sound(monkeypatch):
    """Nothing is imported in other processes: a test of the rest need not wait for it."""
    monkeypatch.setattr(doctor, "import_error", lambda module: "")


@pytest.fixture
def installed(monkeypatch):
    """Let a test say which versions there are."""
    versions = {}

    def version(name):
        if versions.get(name) is None and name in versions:
            raise metadata.PackageNotFoundError(name)
        return versions.get(name) or real(name)

    real = metadata.version
    monkeypatch.setattr(doctor.metadata, "version", version)
    return versions


def test_it_tells_versions_devices_and_data_and_finds_nothing_wrong_here(sound, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_NEURO_DATA", str(tmp_path))
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    for words in (metadata.version("torch"), "CPU", str(tmp_path), "digits", "No known conflict"):
        assert words in told


def test_every_requirement_and_extra_is_in_it():
    needed = dict(doctor.versions())
    assert {"torch", "pytorch-lightning", "snntorch", "reservoirpy", "tensorly"} <= set(needed)
    optional = dict(doctor.optional_packages())
    assert {"jsonargparse", "matplotlib", "gymnasium", "numba"} <= set(optional)
    assert not {"pytest", "ruff", "sphinx"} & set(optional)


def test_a_missing_extra_is_told_with_what_to_install(installed):
    installed["gymnasium"] = None
    assert dict(doctor.optional_packages())["gymnasium"] == "missing: pip install 'lightning-neuro[evolution]'"


def test_versions_out_of_range_are_conflicts(installed, sound):
    installed["reservoirpy"] = "0.5.1"
    assert doctor.out_of_range() == ["reservoirpy 0.5.1 is not in <0.5,>=0.4. Try: pip install 'reservoirpy<0.5,>=0.4'"]


def test_a_compromised_release_comes_first(installed, sound, monkeypatch, capsys):
    installed["pytorch-lightning"] = "2.6.3"
    monkeypatch.setattr(doctor, "data_sets", lambda: [("digits", "found")])
    assert main(["doctor"]) == 1
    assert "1. pytorch-lightning 2.6.3 is a compromised release. Uninstall it at once" in capsys.readouterr().out


def test_what_cannot_be_imported_is_named_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "torchvision").mkdir()
    broken = "raise RuntimeError('operator torchvision::nms does not exist')"
    (tmp_path / "torchvision" / "__init__.py").write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "NEEDED", ("json",))
    (told,) = doctor.failing_imports()
    assert told.startswith("torchvision cannot be imported (RuntimeError: operator torchvision::nms does not exist)")
    assert told.endswith("pip uninstall torchvision")


def test_it_works_where_lightning_cannot_be_imported(tmp_path, monkeypatch):
    (tmp_path / "pytorch_lightning.py").write_text("raise ImportError('broken')")
    code = (
        "import sys; from lightning_neuro import doctor; doctor.BREAKS_OTHERS = {}; "
        "doctor.NEEDED = ('pytorch_lightning',); from lightning_neuro.cli import main; sys.exit(main(['doctor']))"
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1, done.stderr
    assert "Lightning  cannot be used: ImportError: broken" in done.stdout
    assert "pytorch_lightning cannot be imported (ImportError: broken)" in done.stdout
