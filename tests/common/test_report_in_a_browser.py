"""The report in a real browser, where there is one: nothing complains, pictures are seen, it fits a telephone."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from lightning_neuro.common.plotting import curves, histograms, spike_raster, to_svg
from lightning_neuro.common.report import Figure, Section, Table, write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
ASK = """<script>
const seen = [...document.querySelectorAll("svg")].filter(one => one.getBoundingClientRect().width > 100);
document.title = [document.documentElement.scrollWidth, innerWidth, seen.length].join(" ");
</script></body>"""


def page(folder):
    numbers = np.random.default_rng(0)
    pictures = [
        to_svg(curves({"plain": numbers.random((3, 9)), "activated": numbers.random((3, 9))}, title="Accuracy")),
        to_svg(histograms({"before": numbers.standard_normal(99)}, title="Gradients")),
        to_svg(spike_raster(numbers.random((30, 8)) > 0.8, title="Spikes")),
    ]
    table = Table(["a rather long name", "accuracy", "seconds per step"], [["plain", "81.3 ± 0.2 %", "0.01"]], "Why.")
    return write_report(
        folder / "index.html", "A title", [Section("A method", ["Words. " * 60, table, Figure(pictures, "A")])]
    )


def browse(path, width, *options):
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    done = subprocess.run(
        [*command, f"--window-size={width},900", *options, path.as_uri()], capture_output=True, text=True, timeout=60
    )
    assert "CONSOLE" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("width", [1200, 500])
def test_pictures_are_seen_and_nothing_sticks_out(width, tmp_path):
    path = page(tmp_path)
    path.write_text(path.read_text("utf-8").replace("</body>", ASK), "utf-8")
    wide, inner, pictures = map(
        int, re.search(r"<title>(\d+) (\d+) (\d+)</title>", browse(path, width, "--dump-dom")).groups()
    )
    assert pictures == 3
    assert wide <= inner <= width


@pytest.mark.parametrize(("scheme", "paper"), [("1", "light"), ("0", "dark")])
def test_it_follows_light_and_dark(scheme, paper, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    shot = tmp_path / "shot.png"
    browse(page(tmp_path), 800, f"--screenshot={shot}", f"--blink-settings=preferredColorScheme={scheme}")
    pixels = image.imread(shot)[..., :3]
    assert (pixels.mean() > 0.5) == (paper == "light")
    assert len(np.unique((pixels * 15).astype(int).reshape(-1, 3), axis=0)) > 10  # words, lines and pictures
