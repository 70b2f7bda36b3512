"""The snippets of the page on SM-G run, one after the other, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from lightning_neuro._lightning import ROOT

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "safe_mutation.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*litlogger.*")
def test_snippets_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("gymnasium")
    snippets = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(snippets) == PAGE.count("```python") > 1
    names = {}
    for snippet in snippets:
        short = snippet.replace("from pytorch_lightning", f"from {ROOT}").replace("max_steps=20", "max_steps=1")
        exec(compile(short, "safe_mutation.md", "exec"), names)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        if not target.startswith("http"):
            assert (DOCS / target).exists(), target
