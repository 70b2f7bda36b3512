"""Write docs/compatibility.md and the table of the README: what works with what, each cell with the test that shows it.

`python docs/compatibility_table.py` runs those tests first and writes nothing unless all pass; `--no-run` only looks
whether they are there. No cell is empty: it works, is refused, or does not apply for a reason.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE, README = ROOT / "docs" / "compatibility.md", ROOT / "README.md"
BEGIN, END = "<!-- what works with what: docs/compatibility_table.py -->\n", "<!-- end of it -->\n"
COLUMNS = ("16-mixed", "bf16", "DDP", "accumulation", "clipping", "manual", "several", "compile", "resume")
GAF, REWIRING, SPIKING = (
    f"tests/{folder}/test_callback.py" for folder in ("gradient_activation", "gradient_rewiring", "spiking")
)
TRAINER, RANKS = "tests/trainer/test_{}.py", "tests/distributed/test_{}.py"
SAME = "test_the_wrapper_does_what_the_callback_does"
EQUAL = "test_two_ranks_stay_equal_and_equal_one_process"
Cell = tuple[str, str, str]  # words, file, test
OWN_STEPS: Cell = ("does not apply: it steps by hand itself", "", "")
AUTOMATIC: Cell = ("does not apply: it is automatic", "", "")
ONE_OPTIMIZER: Cell = ("does not apply: it has one", "", "")
BEFORE: Cell = ("does not apply: it acts before the first step", "", "")

CELLS: dict[str, dict[str, Cell]] = {
    "GradientActivation": {
        "16-mixed": ("yes; fused optimizers refused", GAF, "test_16_mixed_activates_true_gradients_and_skips_overflow"),
        "bf16": ("yes", GAF, "test_bf16_mixed_stays_near_full_precision"),
        "DDP": ("yes", RANKS.format("gradient_activation"), "test_p11_two_ranks_stay_equal_and_equal_one_process"),
        "accumulation": ("yes", GAF, "test_p10_accumulated_halves_equal_one_full_batch"),
        "clipping": ("activates, then clips", GAF, "test_p12_callback_activates_first_and_lightning_clips_afterwards"),
        "manual": ("yes", GAF, "test_p19_acts_on_the_chosen_optimizer_only_in_manual_optimisation"),
        "several": ("yes", GAF, "test_two_callbacks_act_on_two_optimizers"),
        "compile": ("yes", GAF, "test_compiled_module_trains_as_the_plain_one"),
        "resume": ("bit-identical", GAF, "test_p16_resume_after_a_crash_at_any_step_is_bit_identical"),
    },
    "GradientActivationOptimizer": {
        "16-mixed": ("yes, fused too", GAF, "test_p13_wrapper_is_right_with_a_fused_optimizer_under_16_mixed"),
        "bf16": ("yes", GAF, SAME),
        "DDP": ("yes", RANKS.format("gradient_activation"), "test_p11_two_ranks_stay_equal_and_equal_one_process"),
        "accumulation": ("yes", GAF, SAME),
        "clipping": ("clips, then activates", GAF, "test_p12_wrapper_activates_what_lightning_has_clipped"),
        "manual": ("yes", GAF, SAME),
        "several": ("yes", GAF, SAME),
        "compile": ("yes", GAF, "test_the_wrapper_trains_a_compiled_module"),
        "resume": ("bit-identical", GAF, "test_p16_resume_after_a_crash_at_any_step_is_bit_identical"),
    },
    "GradientRewiring, DeepRewiring": {
        "16-mixed": ("yes", REWIRING, "test_p11_16_mixed_overflow_leaves_theta_alone"),
        "bf16": ("yes", REWIRING, "test_bf16_mixed_stays_projected_and_near_full_precision"),
        "DDP": ("yes", RANKS.format("gradient_rewiring"), "test_p10_two_ranks_stay_equal_and_equal_one_process"),
        "accumulation": ("yes", REWIRING, "test_p12_accumulation_rewires_once_per_real_step"),
        "clipping": ("clips, then rewires", REWIRING, "test_clipped_gradients_move_theta"),
        "manual": ("yes", REWIRING, "test_p13_manual_steps_stay_projected_between_them"),
        "several": ("yes; the target holds for each", REWIRING, "test_p13_manual_steps_stay_projected_between_them"),
        "compile": ("yes", REWIRING, "test_p20_compiled_module_trains_as_the_plain_one"),
        "resume": ("bit-identical", REWIRING, "test_p09_resume_after_a_crash_at_any_step_is_bit_identical"),
    },
    "STRSBP": {
        "16-mixed": ("refused", TRAINER.format("st_rsbp"), "test_float16_mixed_is_refused"),
        "bf16": ("computes in single", TRAINER.format("st_rsbp"), "test_bfloat16_mixed_computes_in_the_type_of_the_weights"),
        "DDP": ("yes", RANKS.format("st_rsbp"), EQUAL),
        "accumulation": ("its argument", TRAINER.format("st_rsbp"), "test_accumulation_equals_the_larger_batch"),
        "clipping": ("its argument", TRAINER.format("st_rsbp"), "test_clipping_comes_after_callbacks"),
        "manual": OWN_STEPS,
        "several": ONE_OPTIMIZER,
        "compile": ("runs, uncompiled", TRAINER.format("st_rsbp"), "test_a_compiled_module_learns_the_same"),
        "resume": ("bit-identical", TRAINER.format("st_rsbp"), "test_resumed_training_is_bit_identical"),
    },
    "SafeMutation": {
        "16-mixed": ("refused", TRAINER.format("safe_mutation"), "test_precisions_that_go_wrong_are_refused_by_name"),
        "bf16": ("evaluates in it", TRAINER.format("safe_mutation"), "test_bfloat16_evaluates_individuals_but_does_not_mutate_them"),
        "DDP": ("yes", RANKS.format("safe_mutation"), EQUAL),
        "accumulation": ("refused", TRAINER.format("safe_mutation"), "test_gradients_are_not_there_to_be_clipped_or_gathered"),
        "clipping": ("refused", TRAINER.format("safe_mutation"), "test_gradients_are_not_there_to_be_clipped_or_gathered"),
        "manual": OWN_STEPS,
        "several": ("does not apply: it needs none", "", ""),
        "compile": ("runs, uncompiled", TRAINER.format("safe_mutation"), "test_a_compiled_module_evolves_the_same"),
        "resume": ("bit-identical", TRAINER.format("safe_mutation"), "test_p12_a_resumed_run_equals_one_that_never_stopped"),
    },
    "SpectralInit": {
        "16-mixed": ("yes; a CPU takes bf16", TRAINER.format("spectral_rnn"), "test_it_starts_and_trains_in_any_precision"),
        "bf16": ("yes", TRAINER.format("spectral_rnn"), "test_it_starts_and_trains_in_any_precision"),
        "DDP": ("yes", RANKS.format("spectral_rnn"), "test_two_ranks_write_the_weights_of_one"),
        "accumulation": BEFORE,
        "clipping": BEFORE,
        "manual": ("yes", TRAINER.format("spectral_rnn"), "test_several_optimizers_go_on_from_the_start"),
        "several": ("yes", TRAINER.format("spectral_rnn"), "test_several_optimizers_go_on_from_the_start"),
        "compile": ("yes", TRAINER.format("spectral_rnn"), "test_compiled_nets_start_and_train"),
        "resume": ("left alone", TRAINER.format("spectral_rnn"), "test_a_resumed_run_is_left_alone_and_equals_one_that_never_stopped"),
    },
    "SpectralRNNModule": {
        "16-mixed": ("yes; a CPU takes bf16", TRAINER.format("spectral_rnn"), "test_it_starts_and_trains_in_any_precision"),
        "bf16": ("yes", TRAINER.format("spectral_rnn"), "test_it_starts_and_trains_in_any_precision"),
        "DDP": ("yes", RANKS.format("spectral_rnn"), "test_two_ranks_write_the_weights_of_one"),
        "accumulation": ("yes", TRAINER.format("spectral_rnn"), "test_accumulation_and_clipping_act_on_the_gradients_of_the_mean"),
        "clipping": ("its argument, or the Trainer's", TRAINER.format("spectral_rnn"), "test_accumulation_and_clipping_act_on_the_gradients_of_the_mean"),
        "manual": AUTOMATIC,
        "several": ONE_OPTIMIZER,
        "compile": ("yes", TRAINER.format("spectral_rnn"), "test_compiled_nets_start_and_train"),
        "resume": ("bit-identical", TRAINER.format("spectral_rnn"), "test_a_resumed_run_is_left_alone_and_equals_one_that_never_stopped"),
    },
    "ReservoirModule": {
        "16-mixed": ("yes; reservoir and ridge keep their precision", TRAINER.format("reservoir"), "test_precision_of_mixed_kinds_changes_nothing"),
        "bf16": ("yes; likewise", TRAINER.format("reservoir"), "test_precision_of_mixed_kinds_changes_nothing"),
        "DDP": ("yes; sums are added up", RANKS.format("reservoir"), "test_two_ranks_give_the_weights_and_the_choice_of_one"),
        "accumulation": ("yes", TRAINER.format("reservoir"), "test_accumulation_and_clipping_leave_it_alone"),
        "clipping": ("yes", TRAINER.format("reservoir"), "test_accumulation_and_clipping_leave_it_alone"),
        "manual": AUTOMATIC,
        "several": ONE_OPTIMIZER,
        "compile": ("yes; the reservoir runs uncompiled", TRAINER.format("reservoir"), "test_a_compiled_module_learns_the_same"),
        "resume": ("bit-identical", TRAINER.format("reservoir"), "test_a_run_resumed_within_an_epoch_equals_one_that_never_stopped"),
    },
    "SpikingStateReset": {
        "16-mixed": ("yes", TRAINER.format("spiking_state_reset"), "test_mixed_precision_equals_a_loop_written_out"),
        "bf16": ("yes", TRAINER.format("spiking_state_reset"), "test_mixed_precision_equals_a_loop_written_out"),
        "DDP": ("yes", TRAINER.format("spiking_state_reset"), "test_two_gloo_ranks_start_silent_and_equal_one_process"),
        "accumulation": ("yes", SPIKING, "test_accumulated_gradients"),
        "clipping": ("yes", TRAINER.format("spiking_state_reset"), "test_accumulation_and_clipping_see_silent_starts"),
        "manual": ("yes", SPIKING, "test_manual_steps_inside_a_batch_keep_the_state"),
        "several": ("yes", TRAINER.format("spiking_state_reset"), "test_two_optimizers_in_manual_optimization_equal_one"),
        "compile": ("yes", SPIKING, "test_compiled_model"),
        "resume": ("bit-identical", SPIKING, "test_resume_within_and_at_the_end_of_an_epoch_is_bit_identical"),
    },
}  # fmt: skip


def tests() -> Iterator[tuple[str, str]]:
    """Return file and name of every test that stands behind a cell."""
    yield from dict.fromkeys((file, test) for row in CELLS.values() for _, file, test in row.values() if test)


def missing() -> list[str]:
    """Return the tests that are named here and no longer there."""
    return [f"{file}::{test}" for file, test in tests() if not re.search(rf"def {test}\(", (ROOT / file).read_text())]


def table() -> str:
    """Return the table alone."""
    heads = ["several optimizers" if column == "several" else column for column in COLUMNS]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for part, row in CELLS.items():
        names = ", ".join(f"`{name}`" for name in part.split(", "))
        lines.append(f"| {names} | {' | '.join(row[column][0] for column in COLUMNS)} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page."""
    lines = [
        "# What works with what\n",
        "Written by `docs/compatibility_table.py`, which runs the tests below; do not edit. What does not apply has no",
        "test. The tests of precision run on a CPU.\n",
        table(),
        "## The tests\n",
    ]
    for part, row in CELLS.items():
        shown = [f"* {column}: `{row[column][1]}::{row[column][2]}`" for column in COLUMNS if row[column][2]]
        lines += [f"### {part}\n", *shown, ""]
    return "\n".join(lines).rstrip() + "\n"


def readme() -> str:
    """Return the README with the table of now."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-run", action="store_true")
    if gone := missing():
        print("No such test:", *gone, sep="\n  ")
        return 1
    if not parser.parse_args(arguments).no_run:
        command = [sys.executable, "-m", "pytest", "-q", *(f"{file}::{test}" for file, test in tests())]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            return 1
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
