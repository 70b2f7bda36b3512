import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_neuro._lightning import ENVIRONMENT_VARIABLE

EXAMPLES = Path(__file__).parents[1] / "examples"
QUICK = {"safe_mutation.py": ["--generations", "2"], "evotorch_safe_mutation.py": ["--generations", "2"]}
# These have tests of their own, shorter and with what they claim: test_combined_examples.py.
COMBINED = {
    "gaf_with_st_rsbp.py",
    "grad_r_with_st_rsbp.py",
    "gaf_with_grad_r.py",
    "spectral_start_then_rewiring.py",
    "evolved_readout.py",
}
NEEDED = {"evotorch_safe_mutation.py": "evotorch"}


@pytest.mark.parametrize("name", sorted({path.name for path in EXAMPLES.glob("*.py")} - COMBINED))
def test_example_runs(name, tmp_path):
    if name in NEEDED and importlib.util.find_spec(NEEDED[name]) is None:
        pytest.skip(f"{NEEDED[name]} is not installed")
    # The examples name their Lightning package themselves, as a user's script does.
    environment = {key: value for key, value in os.environ.items() if key != ENVIRONMENT_VARIABLE}
    command = [sys.executable, str(EXAMPLES / name), *QUICK.get(name, [])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
