"""The snippets of the page on spectral learning run, one after the other, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from lightning_neuro._lightning import ROOT

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "spectral_rnn.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*litlogger.*")
def test_snippets_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(snippets) == PAGE.count("```python") > 1
    names = {}
    for snippet in snippets:
        short = snippet.replace("from pytorch_lightning", f"from {ROOT}")
        exec(compile(short, "spectral_rnn.md", "exec"), names)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        if not target.startswith("http"):
            assert (DOCS / target).exists(), target
