"""The pages keep their word: their snippets run, their tables are those of the records, their links lead somewhere."""

import importlib
import re
from pathlib import Path

import pytest

from lightning_neuro._lightning import ROOT

FOLDER = Path(__file__).parents[1]
DOCS = FOLDER / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts and "gallery" not in page.parts)
SNIPPETS = {page.stem: re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL) for page in PAGES}
RUN = ["clipping", "model_pruning", "evotorch", "echo_state_network"]


@pytest.mark.filterwarnings("ignore:.*litlogger.*")
@pytest.mark.parametrize("name", RUN)
def test_snippets_of_migration_pages_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert SNIPPETS[name]
    code = "\n".join(SNIPPETS[name]).replace("from pytorch_lightning", f"from {ROOT}")
    exec(compile(code, f"{name}.md", "exec"), {})


def test_a_sweep_runs_as_the_page_on_scale_says():
    sweep = next(code for code in SNIPPETS["scale"] if "joblib" in code)
    exec(compile(sweep.replace('backend="loky"', 'backend="threading"'), "scale.md", "exec"), {})


def test_pages_of_methods_say_what_each_must():
    for name in ("gradient_activation", "gradient_rewiring", "st_rsbp", "safe_mutation", "spectral_rnn", "reservoir"):
        text = (DOCS / f"{name}.md").read_text("utf-8")
        assert "| symbol |" in text, name
        for heading in (r"## Use", r"## (Limits|When not to use it)", r"## Where we differ from the paper"):
            assert re.search(heading, text), f"{name}: {heading}"


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            # The gallery is made by the build.
            if not target.startswith("http") and not target.startswith("gallery/"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_table_of_benchmarks_is_that_of_the_records(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER / "benchmarks")
    table = importlib.import_module("table")
    assert table.PAGE.read_text("utf-8") == table.page(table.RESULTS)
    assert table.SCALE.read_text("utf-8") == table.scale(table.RESULTS)


def test_ratios_stand_against_each_peer_and_the_floor(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER / "benchmarks")
    times = {"snnTorch": 10.0, "ours": 5.0, "norse": 20.0, "floor: sums": 2.0}
    rows = [{"name": n, "threads": 1, "median_ms": ms, "ratio": ms / 10, "target": None} for n, ms in times.items()]
    head, _, first, ours, *_ = importlib.import_module("table").section(rows)
    assert head == "|  | threads | median, ms | first | norse | floor: sums | wanted |"
    assert ours == "| ours | 1 | 5 | 0.5 | 0.25 | 2.5 |  |"
    assert first.startswith("| snnTorch | 1 | 10 | 1 | 0.5 | 5 |")


def test_the_table_of_what_works_is_written_from_tests_that_are_there(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    table = importlib.import_module("compatibility_table")
    assert not table.missing()
    assert table.PAGE.read_text("utf-8") == table.page()
    assert table.README.read_text("utf-8") == table.readme()
    for part, row in table.CELLS.items():
        assert list(row) == list(table.COLUMNS), part
        for words, _, test in row.values():
            assert test or words.startswith("does not apply: "), (part, words)


def test_every_public_component_has_every_guarantee_or_a_reason(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    table = importlib.import_module("guarantee_table")
    assert not table.missing()
    assert table.PAGE.read_text("utf-8") == table.page()


def test_a_component_without_a_row_and_an_empty_cell_are_found(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    table = importlib.import_module("guarantee_table")
    rows = {name: dict(row) for name, row in table.ROWS.items() if name != "SORN"}
    rows["STRSBP"]["two ranks"] = ""
    monkeypatch.setattr(table, "ROWS", rows)
    assert table.missing() == ["a row for SORN", "two ranks of STRSBP"]
