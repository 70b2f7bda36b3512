import re
from pathlib import Path

import pytest

from lightning_neuro._lightning import ROOT

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*litlogger.*")
def test_the_example_of_the_readme_learns_and_reaches_its_sparsity(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [snippet] = re.findall(r"```python\n([^`]*GradientRewiring\([^`]*)```", README)
    found: dict = {}
    exec(compile(snippet.replace("from pytorch_lightning", f"from {ROOT}"), "README.md", "exec"), found)
    assert float(found["accuracy"]) > 0.85
    assert 1 - found["rewiring"].connectivity()["total"] == pytest.approx(0.9, abs=0.005)
