"""The report of a user's own run."""

import importlib
import re

import pytest
import torch
from support.small_runs import RUNS

from lightning_neuro._lightning import ROOT
from lightning_neuro.cli import main
from lightning_neuro.run_report import write_run_report
from lightning_neuro.run_report.files import find_runs, look_at, read_metrics

CSVLogger = importlib.import_module(f"{ROOT}.loggers").CSVLogger


def run(name, folder, version=0, steps=15):
    """Train, and leave what a user's run leaves."""
    made = RUNS[name](steps)
    logger = CSVLogger(folder, name="", version=version, flush_logs_every_n_steps=1)
    keep = importlib.import_module(f"{ROOT}.callbacks").ModelCheckpoint(every_n_train_steps=5, save_top_k=-1)
    made.fit(folder, steps, callbacks=[keep], logger=logger, log_every_n_steps=1)
    return folder / f"version_{version}"


@pytest.mark.parametrize(
    ("name", "title", "metric"),
    [
        ("GradientRewiring", "Rewiring", "rewiring/connectivity/total"),
        ("STRSBP", "ST-RSBP", "st_rsbp/"),
        ("SafeMutation", "SM-G", "fitness/champion"),
        ("MeasureCallback", "Reservoir measures", "measure/kernel_rank"),
    ],
)
def test_each_method_has_a_section_of_what_it_logged(name, title, metric, tmp_path):
    html = write_run_report(run(name, tmp_path)).read_text("utf-8")
    assert f"<h2>{title}</h2>" in html
    assert metric in html
    assert html.count("<svg") >= 1
    assert "step=15.ckpt" in html
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", html)  # it loads nothing


def test_several_runs_stand_beside_each_other(tmp_path):
    for version in (2, 10):
        run("ReservoirModule, sgd", tmp_path, version)
    names = [each.name for each in find_runs(tmp_path)]
    assert names == ["version_2", "version_10"]
    html = write_run_report(tmp_path, tmp_path / "page.html").read_text("utf-8")
    assert "2 runs beside each other" in html
    assert "± 0" in html  # both had one seed


def test_metrics_are_read_up_to_where_a_line_was_cut(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,loss,step\n0,1.5,10\n0,,20\n1,nan,30\n1,0.5,40\n2,0.")
    assert read_metrics(path) == {"loss": [(10, 1.5), (40, 0.5)]}
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"must have a column 'step', .* got \['a', 'b'\]"):
        read_metrics(path)


def test_damaged_checkpoints_are_listed_and_not_fatal(tmp_path):
    home = run("ReservoirModule, sgd", tmp_path)
    (whole,) = home.rglob("*step=5.ckpt")
    assert look_at(whole).step == 5
    assert look_at(whole).weights > 400
    content = bytearray(whole.read_bytes())
    whole.write_bytes(content[: len(content) // 2])
    assert "cut short" in look_at(whole).damage
    assert "cut short" in write_run_report(home).read_text("utf-8")


def test_a_strangers_checkpoint_is_not_executed(tmp_path):
    torch.save({"state_dict": {}, "call": print}, tmp_path / "strange.ckpt")
    assert "Nothing in it was executed" in look_at(tmp_path / "strange.ckpt").damage


def test_the_command_writes_the_page_and_tells_mistakes_in_a_line(tmp_path, capsys):
    (tmp_path / "metrics.csv").write_text("epoch,train_loss,step\n0,1.5,10\n1,0.5,20\n")
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"Report: {(tmp_path / 'report' / 'index.html').resolve()}\n"
    assert main(["report", str(tmp_path / "none")]) == 2
    assert re.fullmatch(
        r"lightning-neuro: report: there is no folder '.*none'\. Correct the path\.\n", capsys.readouterr().err
    )
    (tmp_path / "empty").mkdir()
    assert main(["report", str(tmp_path / "empty")]) == 2
    assert "must hold metrics.csv or checkpoints, got neither" in capsys.readouterr().err
