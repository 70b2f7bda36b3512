"""The snippets of the two pages on ST-RSBP run, one after the other, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

from lightning_neuro._lightning import ROOT

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["st_rsbp.md", "bptt_and_st_rsbp.md"]


@pytest.mark.filterwarnings("ignore:.*litlogger.*")
@pytest.mark.parametrize("page", PAGES)
def test_snippets_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("nir")
    text = (DOCS / page).read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(snippets) == text.count("```python") > 1
    names = {}
    for snippet in snippets:
        short = snippet.replace("from pytorch_lightning", f"from {ROOT}").replace("max_epochs=12", "fast_dev_run=2")
        exec(compile(short, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", (DOCS / page).read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (DOCS / target).exists(), target
