"""Write docs/guarantees.md: every public component against every guarantee, and the test that shows it.

`python docs/guarantee_table.py` prints the table and writes the page; `--run` runs the tests first, and writes nothing
unless all pass. A cell is a test, "refused" with a test, or the reason why the guarantee does not apply.
"""

import argparse
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "guarantees.md"
COLUMNS = (
    "killed and resumed", "damaged checkpoints", "16-mixed", "two ranks", "compiled", "copied and pickled",
    "nothing leaks", "odd arguments",
)  # fmt: skip
FOLDERS = (
    "gradient_activation",
    "gradient_rewiring",
    "spiking",
    "st_rsbp",
    "safe_mutation",
    "spectral_rnn",
    "reservoir",
)
OURS = "tests/guarantees/test_{}.py"
KILLED = (OURS.format("killed"), "test_killed_at_twenty_moments_and_resumed_it_ends_as_if_it_had_never_been")
DAMAGED = (OURS.format("damaged_checkpoints"), "test_a_flipped_bit_is_refused_or_changes_nothing")
LEAKS = (OURS.format("leaks"), "test_nothing_grows_over_two_hundred_steps")
HOLDS = (OURS.format("leaks"), "test_nodes_hold_on_to_nothing")
COPIED = (OURS.format("copies"), "test_a_copy_of_what_has_not_run_runs_like_it")
NODES = (OURS.format("copies"), "test_nodes_are_copied_with_all_that_they_learned")
FUZZ = (OURS.format("fuzz"), "test_odd_arguments_give_a_result_or_an_error_that_was_promised")
TRAINED = {
    "killed and resumed": KILLED,
    "damaged checkpoints": DAMAGED,
    "copied and pickled": COPIED,
    "nothing leaks": LEAKS,
    "odd arguments": FUZZ,
}
NUMPY = "numpy on one processor"
NODE = {
    "killed and resumed": "no run of its own: pickled between calls",
    "damaged checkpoints": "writes no checkpoint",
    "16-mixed": f"{NUMPY}, in double precision",
    "two ranks": f"{NUMPY}",
    "compiled": f"{NUMPY}",
    "copied and pickled": NODES,
    "nothing leaks": HOLDS,
    "odd arguments": FUZZ,
}
GAF, REWIRING = (f"tests/{folder}/test_callback.py" for folder in ("gradient_activation", "gradient_rewiring"))
RANKS, TRAINER = "tests/distributed/test_{}.py", "tests/trainer/test_{}.py"
EQUAL = "test_two_ranks_stay_equal_and_equal_one_process"
Cell = str | tuple[str, str] | tuple[str, str, str]  # a reason; file, test; file, test, word

ROWS: dict[str, dict[str, Cell]] = {
    "GradientActivation": TRAINED | {
        "16-mixed": (GAF, "test_16_mixed_activates_true_gradients_and_skips_overflow"),
        "two ranks": (RANKS.format("gradient_activation"), "test_p11_two_ranks_stay_equal_and_equal_one_process"),
        "compiled": (GAF, "test_compiled_module_trains_as_the_plain_one"),
    },
    "GradientActivationOptimizer": TRAINED | {
        "damaged checkpoints": "an optimizer is not told of files: the command and `read_checkpoint` look",
        "16-mixed": (GAF, "test_p13_wrapper_is_right_with_a_fused_optimizer_under_16_mixed"),
        "two ranks": (RANKS.format("gradient_activation"), "test_p11_two_ranks_stay_equal_and_equal_one_process"),
        "compiled": (GAF, "test_the_wrapper_trains_a_compiled_module"),
    },
    "GradientRewiring": TRAINED | {
        "16-mixed": (REWIRING, "test_p11_16_mixed_overflow_leaves_theta_alone"),
        "two ranks": (RANKS.format("gradient_rewiring"), "test_p10_two_ranks_stay_equal_and_equal_one_process"),
        "compiled": (REWIRING, "test_p20_compiled_module_trains_as_the_plain_one"),
    },
    "DeepRewiring": TRAINED | {
        "16-mixed": (REWIRING, "test_p11_16_mixed_overflow_leaves_theta_alone"),
        "two ranks": (RANKS.format("gradient_rewiring"), "test_p10_two_ranks_stay_equal_and_equal_one_process"),
        "compiled": (REWIRING, "test_p20_compiled_module_trains_as_the_plain_one"),
    },
    "SpikingStateReset": TRAINED | {
        "16-mixed": (TRAINER.format("spiking_state_reset"), "test_mixed_precision_equals_a_loop_written_out"),
        "two ranks": (TRAINER.format("spiking_state_reset"), "test_two_gloo_ranks_start_silent_and_equal_one_process"),
        "compiled": ("tests/spiking/test_callback.py", "test_compiled_model"),
    },
    "STRSBP": TRAINED | {
        "16-mixed": (TRAINER.format("st_rsbp"), "test_float16_mixed_is_refused", "refused"),
        "two ranks": (RANKS.format("st_rsbp"), EQUAL),
        "compiled": (TRAINER.format("st_rsbp"), "test_a_compiled_module_learns_the_same"),
    },
    "SafeMutation": TRAINED | {
        "16-mixed": (TRAINER.format("safe_mutation"), "test_precisions_that_go_wrong_are_refused_by_name", "refused"),
        "two ranks": (RANKS.format("safe_mutation"), EQUAL),
        "compiled": (TRAINER.format("safe_mutation"), "test_a_compiled_module_evolves_the_same"),
    },
    "SpectralInit": TRAINED | {
        "16-mixed": (TRAINER.format("spectral_rnn"), "test_it_starts_and_trains_in_any_precision", "as bf16"),
        "two ranks": (RANKS.format("spectral_rnn"), "test_two_ranks_write_the_weights_of_one"),
        "compiled": (TRAINER.format("spectral_rnn"), "test_compiled_nets_start_and_train"),
    },
    "SpectralRNNModule": TRAINED | {
        "16-mixed": (TRAINER.format("spectral_rnn"), "test_it_starts_and_trains_in_any_precision", "as bf16"),
        "two ranks": (RANKS.format("spectral_rnn"), "test_two_ranks_write_the_weights_of_one"),
        "compiled": (TRAINER.format("spectral_rnn"), "test_compiled_nets_start_and_train"),
    },
    "ReservoirModule": TRAINED | {
        "16-mixed": (TRAINER.format("reservoir"), "test_precision_of_mixed_kinds_changes_nothing"),
        "two ranks": (RANKS.format("reservoir"), "test_two_ranks_give_the_weights_and_the_choice_of_one"),
        "compiled": (TRAINER.format("reservoir"), "test_a_compiled_module_learns_the_same"),
    },
    "MeasureCallback": TRAINED | {
        "16-mixed": "measures states in double precision, outside of autocast",
        "two ranks": (TRAINER.format("measure_callback"), "test_two_ranks_log_what_the_first_one_measured"),
        "compiled": "measures after a step, and touches no graph",
    },
    "TorchReservoir": NODE | {
        "killed and resumed": "a torch module: what trains it resumes",
        "damaged checkpoints": "a torch module: what trains it looks",
        "16-mixed": (TRAINER.format("reservoir"), "test_precision_of_mixed_kinds_changes_nothing"),
        "two ranks": "a torch module without collectives",
        "compiled": (TRAINER.format("reservoir"), "test_a_compiled_module_learns_the_same"),
    },
    **dict.fromkeys(
        (
            "SelfOrganizingReservoir", "PermutationReservoir", "SORN", "SpectralRNN", "SpectralBiRNN",
            "SpectralTokenRNN", "PolynomialRNN",
        ),
        NODE,
    ),
    **dict.fromkeys(
        ("EdgeOfChaos", "CapacityMatch", "HomeostaticRate", "InformationStorageLeak", "TransferEntropyCoupling"),
        NODE | {
            "killed and resumed": "a value; `fit` leaves its reservoir as it was",
            "copied and pickled": (OURS.format("copies"), "test_controllers_are_values"),
            "nothing leaks": "a frozen value that keeps nothing",
        },
    ),
}  # fmt: skip


def components() -> set[str]:
    """Return every public callback, module and node, and what guides one."""
    from reservoirpy.node import Node

    from lightning_neuro._lightning import Callback, LightningModule
    from lightning_neuro.reservoir.guided import Controller

    kinds = (Node, Callback, LightningModule, Controller)
    found = set()
    for folder in FOLDERS:
        module = importlib.import_module(f"lightning_neuro.{folder}")
        public = {name: getattr(module, name) for name in module.__all__}
        found |= {name for name, one in public.items() if isinstance(one, type) and issubclass(one, kinds)}
    return found


def tests() -> Iterator[tuple[str, str]]:
    """Return file and name of every test that stands in a cell."""
    cells = (cell for row in ROWS.values() for cell in row.values() if not isinstance(cell, str))
    yield from dict.fromkeys((cell[0], cell[1]) for cell in cells)


def missing() -> list[str]:
    """Return what the table lacks: rows, cells, and tests that are no longer there."""
    lacking = [f"a row for {name}" for name in sorted(components() - ROWS.keys())]
    lacking += [f"{column} of {name}" for name, row in ROWS.items() for column in COLUMNS if not row.get(column)]
    gone = [(file, test) for file, test in tests() if not re.search(rf"def {test}\(", (ROOT / file).read_text())]
    return lacking + [f"{file}::{test}" for file, test in gone]


def table() -> list[str]:
    """Return the lines of the table: yes or refused with a number of its test, or the reason."""
    numbers = {test: place for place, test in enumerate(tests(), start=1)}
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, row in ROWS.items():
        cells = []
        for column in COLUMNS:
            cell = row[column]
            shown = cell if isinstance(cell, str) else f"{cell[2] if len(cell) == 3 else 'yes'} [{numbers[cell[:2]]}]"
            cells.append(shown)
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines


def page() -> str:
    """Return the page."""
    opening = [
        "# What is guaranteed\n",
        "Written by `docs/guarantee_table.py` (`make guarantees`); do not edit. A number names the test that shows it;",
        "where there is none, the guarantee does not apply, for the reason given.\n",
        "* **killed and resumed**: killed with SIGKILL at twenty random moments and resumed, a run ends bit for bit as one",
        "  that nobody killed. Checkpoints must not lie between the last batch of an epoch and its end: there Lightning",
        "  skips the validation and counts an epoch twice.",
        "* **damaged checkpoints**: cut short, with a flipped bit, or somebody's pickle: refused, never executed. Of files",
        "  that torch cannot open, a Trainer of its own passes on torch's error; `lightning-neuro` says it in a line.",
        "* **16-mixed**: with a gradient scaler, on a CPU; as bf16: without one. **two ranks**: gloo processes end as one process.",
        "* **nothing leaks**: over 200 steps no tensor, object or hook is left over, and the global random states stay.",
        "* **odd arguments**: drawn by hypothesis: a result without NaN, or an error that was promised.\n",
    ]
    listed = [f"{place}. `{file}::{test}`" for place, (file, test) in enumerate(tests(), start=1)]
    return "\n".join([*opening, *table(), "\n## The tests\n", *listed]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="store_true", help="run the tests first")
    options = parser.parse_args(arguments)
    if lacking := missing():
        print("Missing:", *lacking, sep="\n  ")
        return 1
    if options.run:
        others = (f"{file}::{test}" for file, test in tests() if not file.startswith("tests/guarantees/"))
        command = [sys.executable, "-m", "pytest", "-q", "tests/guarantees", *others]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            return 1
    print(*table(), sep="\n")
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
