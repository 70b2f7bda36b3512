import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_neuro._lightning import ENVIRONMENT_VARIABLE

EXAMPLES = Path(__file__).parents[1] / "examples"
QUICK = {"safe_mutation.py": ["--generations", "2"], "evotorch_safe_mutation.py": ["--generations", "2"]}
NEEDED = {"evotorch_safe_mutation.py": "evotorch"}


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_example_runs(name, tmp_path):
    if name in NEEDED and importlib.util.find_spec(NEEDED[name]) is None:
        pytest.skip(f"{NEEDED[name]} is not installed")
    # The examples name their Lightning package themselves, as a user's script does.
    environment = {key: value for key, value in os.environ.items() if key != ENVIRONMENT_VARIABLE}
    command = [sys.executable, str(EXAMPLES / name), *QUICK.get(name, [])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
