import re
from pathlib import Path

import pytest

from lightning_neuro._lightning import ROOT

ROOT_FOLDER = Path(__file__).parent.parent
README = (ROOT_FOLDER / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore:.*litlogger.*")
@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.splitlines()[0])
def test_snippet_runs(snippet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet.replace("from pytorch_lightning", f"from {ROOT}"), "README.md", "exec"), {})


def test_there_are_snippets():
    assert len(SNIPPETS) == README.count("```python") > 1


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", README):
        if not target.startswith("http"):
            assert (ROOT_FOLDER / target).exists(), target
