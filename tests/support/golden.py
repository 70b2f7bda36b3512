import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

GOLDEN = Path(__file__).parent.parent / "golden"


def load(file: str) -> dict[str, Any]:
    """A recorded file."""
    return json.loads((GOLDEN / f"{file}.json").read_text())


def cases(*files: str) -> list[Any]:
    """Every case of some recorded files as a pytest parameter: (case, its inputs)."""
    recordings = {file: load(file) for file in files}
    return [
        pytest.param(case, recorded["inputs"][case["inputs"]], id=f"{file}-{case['name']}")
        for file, recorded in recordings.items()
        for case in recorded["cases"]
    ]


def tensors(values: dict[str, Any], dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Nested lists by name as tensors by name."""
    return {name: torch.tensor(value, dtype=torch.float64).to(dtype) for name, value in values.items()}


def assert_recorded(found: dict[str, Tensor], expected: dict[str, Any], tolerance: float) -> None:
    """Compare by name, relative to max(1, |x|), as the recordings were checked."""
    for name, values in expected.items():
        torch.testing.assert_close(
            found[name].detach().double(), torch.tensor(values, dtype=torch.float64), rtol=tolerance, atol=tolerance
        )
