"""The snippets of the page on reservoirs run, one after the other, and its links lead somewhere."""

import re
from pathlib import Path

from lightning_neuro._lightning import ROOT

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reservoir.md").read_text(encoding="utf-8")


def test_snippets_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(snippets) == PAGE.count("```python") > 0
    names = {}
    for snippet in snippets:
        exec(compile(snippet.replace("from pytorch_lightning", f"from {ROOT}"), "reservoir.md", "exec"), names)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        if not target.startswith("http"):
            assert (DOCS / target).exists(), target
