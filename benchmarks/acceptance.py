"""Everything that shows the black-box family to be right, in one command: known results, and known mathematics.

    SEARCHBENCH_DATA=… python benchmarks/acceptance.py [--seeds 300] [--workers 2]

First the real NAS-Bench-201 table (see `nasbench201_blackbox.py`): 8 strategies at 50, 100, 200 and 500 evaluations,
every mean beside the reference's with z = difference / standard error. Then what needs no data: counts, brackets,
closed forms, gradients, toys and invariants, each held by the tests named here, which this command runs. A line per
check, PASS or FAIL; exits with status 1 where one fails. Without the table its part is left out with a word.
"""

from __future__ import annotations

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from nasbench201_blackbox import REFERENCE, REFERENCE_RUNS, problem, search, show

import searchbench as sb

UNIT = Path(__file__).resolve().parent.parent / "tests" / "unit"


class Check(NamedTuple):
    """What is held, and the tests that hold it: file and name (every parametrisation of it)."""

    what: str
    tests: tuple[str, ...]


CHECKS = (
    Check(
        "136 of 256 one-block cells, 300 second blocks, 1,160 trainings of PNAS",
        (
            "test_pnas::test_one_block_cells_are_256_of_which_136_differ_and_a_second_block_can_be_one_of_300",
            "test_block_cells::test_unordered_second_blocks_are_300",
            "test_pnas::test_1160_cells_are_trained_and_no_two_of_them_compute_the_same",
        ),
    ),
    Check(
        "NASNet has 5.566e14 cells and 50 decisions; ENAS has 78, and 2 x 20 decisions",
        (
            "test_block_cells::test_the_spaces_have_as_many_cells_as_published",
            "test_block_cells::test_the_nasnet_controller_makes_fifty_decisions_and_enas_twenty_per_cell",
            "test_enas_spaces::test_the_macro_space_has_78_decisions_and_its_published_size",
        ),
    ),
    Check(
        "ENAS's controllers have 41,856, 41,733 and 41,344 parameters",
        ("test_enas::test_controllers_have_the_published_number_of_parameters",),
    ),
    Check(
        "Hyperband 4..108, eta 3: (27,9,3,1) (9,3,1) (6,2) (4), 1,620 epochs",
        (
            "test_halving::test_hyperband_brackets_of_nasbench101_are_the_published_ones",
            "test_halving::test_one_round_of_hyperband_asks_for_exactly_its_brackets",
        ),
    ),
    Check(
        "Hyperband as in the paper: ceilings, (27,9,3,1) (12,4,1) (6,2) (4)",
        ("test_halving::test_brackets_of_the_paper_start_the_ceiling",),
    ),
    Check(
        "ASHA with `slack` = 1 promotes at most floor(n / eta) + 1, in any order of finishing",
        ("test_halving::test_asha_never_promotes_more_than_one_beyond_its_share",),
    ),
    Check(
        "BOHB's model switches on after 2(d + 1) trainings of one length",
        ("test_bohb::test_model_switches_on_after_two_d_plus_two_trainings_of_one_length",),
    ),
    Check(
        "recorded learning curves: resuming is charged the increment only",
        (
            "test_learning_curve::test_multi_fidelity_search_on_recorded_curves_pays_for_increments_only",
            "test_recorded_curves::test_a_continued_training_is_charged_the_increment_alone",
            "test_recorded_curves::test_a_continued_training_goes_on_along_its_own_recorded_curve",
        ),
    ),
    Check(
        "EI, PI and LCB agree with numerical integration",
        ("test_model_based::test_closed_forms_agree_with_numerical_integration",),
    ),
    Check(
        "the Hamming kernel is positive definite",
        ("test_model_based::test_hamming_kernel_is_positive_definite_and_its_gradient_is_right",),
    ),
    Check(
        "TPE with hyperopt's split takes 2, 3, 5 and 25 of 20, 100, 400 and 10,000 trials",
        ("test_optuna_adapter::test_tpe_of_hyperopt_splits_off_a_quarter_of_the_root",),
    ),
    Check(
        "REINFORCE: gradients by finite differences, tabular and LSTM",
        (
            "test_reinforce::test_score_is_the_gradient_of_the_log_probability",
            "test_reinforce::test_every_row_of_a_score_sums_to_zero_and_inactive_rows_are_zero",
            "test_controlled::test_gradient_of_the_log_probability_agrees_with_finite_differences",
        ),
    ),
    Check(
        "anchor points: their formula, finite differences, recomputed probabilities, constant rewards, a bandit",
        (
            "test_anchors::test_skips_follow_the_formula_of_the_anchors",
            "test_anchors::test_gradient_of_the_log_probability_agrees_with_finite_differences",
            "test_anchors::test_sampled_log_probability_is_that_of_the_stored_sequence",
            "test_anchors::test_constant_reward_moves_nothing",
            "test_anchors::test_bandit_of_skips_is_solved",
        ),
    ),
    Check(
        "REINFORCE: a constant reward moves nothing in expectation",
        (
            "test_reinforce::test_expected_update_under_a_constant_reward_is_zero",
            "test_controlled::test_constant_reward_moves_nothing",
        ),
    ),
    Check(
        "REINFORCE and PPO solve a bandit whose arms differ by 0.1",
        (
            "test_reinforce::test_two_armed_bandit_converges_to_the_better_arm",
            "test_controlled::test_bandit_is_solved",
        ),
    ),
    Check(
        "PPO's ratio is 1 in the first pass",
        ("test_controlled::test_first_pass_of_ppo_has_ratio_one_and_the_gradient_of_reinforce",),
    ),
    Check(
        "regularized evolution: every member lives for P births",
        ("test_evolution::test_population_is_full_after_the_designs_and_every_member_lives_as_many_births",),
    ),
    Check(
        "OneMax of 100 bits after 1,000 models: evolution in [0.85, 0.95], random below 0.70",
        ("test_evolution::test_onemax_of_the_paper_is_climbed_by_evolution_and_not_by_random_search",),
    ),
    Check(
        "synflow ignores the data and scales with a layer",
        (
            "test_zero_cost::test_synflow_ignores_data_and_signs_and_leaves_the_network_as_it_was",
            "test_zero_cost::test_scaling_one_layer_scales_synflow_alike",
        ),
    ),
    Check(
        "snip is the gradient of a mask; NWOT's diagonal counts the rectified units",
        (
            "test_zero_cost::test_snip_is_the_sensitivity_to_a_mask_on_every_weight",
            "test_zero_cost::test_diagonal_of_the_code_kernel_counts_the_rectified_units",
        ),
    ),
)


def main() -> int:
    """Run both parts, print a line per check, tell whether all passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=REFERENCE_RUNS)
    parser.add_argument("--workers", type=int, default=2, help="processes on Ray; 0 runs everything in this one")
    asked = parser.parse_args()
    started = time.perf_counter()
    failed = known_results(asked.seeds, asked.workers) + known_mathematics()
    print(f"\n{'all passed' if not failed else f'{failed} failed'}, in {time.perf_counter() - started:.0f} s")
    return int(failed > 0)


def known_results(seeds: int, workers: int) -> int:
    """The table of means; the number of budgets at which one is off by more than three standard errors."""
    try:
        problem().resolve()
    except sb.SearchbenchError as error:
        print(f"NAS-Bench-201 is left out: {error}")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for evaluations, reference in REFERENCE.items():
            runs = search(evaluations, seeds, workers, Path(folder) / "results.db")
            print(f"\nNAS-Bench-201, CIFAR-10, test accuracy after {evaluations} evaluations, {seeds} seeds")
            worst = show(runs, reference)
            failed += worst > 3
            print(f"{'PASS' if worst <= 3 else 'FAIL'}  largest |z| {worst:.2f} (at most 3)")
    return failed


class Outcomes:
    """A plugin of pytest that counts outcomes by file and test name."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            path, _, name = report.nodeid.partition("::")
            key = f"{Path(path).stem}::{name.partition('[')[0]}"
            self.counts.setdefault(key, Counter())[report.outcome] += 1


def known_mathematics() -> int:
    """Run the tests of every check; the number of checks of which one did not pass, or does not exist."""
    named = [
        f"{UNIT / file}.py::{name}" for check in CHECKS for file, _, name in (t.partition("::") for t in check.tests)
    ]
    outcomes, told = Outcomes(), io.StringIO()
    with contextlib.redirect_stdout(told):
        pytest.main([*named, "-q", "-p", "no:cacheprovider", "--rootdir", str(UNIT.parent.parent)], plugins=[outcomes])
    print("\nWithout data")
    failed = 0
    for check in CHECKS:
        found = [outcomes.counts.get(test, Counter()) for test in check.tests]
        passed = all(set(counts) == {"passed"} for counts in found)
        failed += not passed
        print(f"{'PASS' if passed else 'FAIL'}  {check.what} ({sum(c.total() for c in found)} tests)")
    if failed:
        print(told.getvalue())
    return failed


if __name__ == "__main__":
    sys.exit(main())
