"""Anytime incumbent curves as right-continuous step functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchbench.cost import Cost
from searchbench.errors import InputError
from searchbench.results.columns import TrialColumns
from searchbench.results.curves import CURVE_AXES, incumbent_curves
from searchbench.trial import FULL, Fidelity


def recorded(values: list[float], costs: list[float] | None = None) -> bytes:
    """A run whose incumbent is the best value so far; NaN values are failed trials."""
    columns, best = TrialColumns(), None
    for i, value in enumerate(values):
        if not math.isnan(value) and (best is None or value < values[best]):
            best = i
        at = i + 1 if costs is None else costs[i]
        columns.append("a", "k", FULL, "ok", value, spent=Cost(evaluations=i + 1, epochs=at), recommended=best)
    return columns.to_bytes()


def test_a_trial_counts_at_the_very_cost_it_ends_at() -> None:
    curves = incumbent_curves([recorded([0.5, 0.7, 0.2])])
    np.testing.assert_array_equal(curves.at([0.999, 1, 2.5, 2.999, 3, 9]), [[np.nan, 0.5, 0.5, 0.5, 0.2, 0.2]])
    assert curves.final() == [0.2]


def test_runs_of_different_lengths_share_a_grid() -> None:
    curves = incumbent_curves([recorded([0.5, 0.4, 0.3]), recorded([]), recorded([0.9])])
    values = curves.at([1, 2, 3])
    np.testing.assert_array_equal(values, [[0.5, 0.4, 0.3], [np.nan] * 3, [0.9] * 3])
    np.testing.assert_array_equal(curves.at([1, 2, 3], hold=False)[2], [0.9, np.nan, np.nan])
    np.testing.assert_array_equal(curves.ends, [3, np.nan, 1])


def test_failed_trials_leave_the_incumbent_and_free_ones_replace_it_at_once() -> None:
    curves = incumbent_curves([recorded([np.nan, 0.5, np.nan, 0.4, 0.3], costs=[1, 2, 3, 3, 3])], "epochs")
    np.testing.assert_array_equal(curves.at([1, 2, 2.9, 3]), [[np.nan, 0.5, 0.5, 0.3]])


def test_the_incumbent_is_what_the_search_recommends_not_the_lowest_value() -> None:
    columns = TrialColumns()
    columns.append("a", "k", FULL, "ok", 0.1, spent=Cost(evaluations=1), recommended=0)
    columns.append("b", "k", FULL, "ok", 0.2, spent=Cost(evaluations=2), recommended=1)
    np.testing.assert_array_equal(incumbent_curves([columns.to_bytes()]).at([1, 2]), [[0.1, 0.2]])


def test_recommendations_of_a_training_search_make_the_curve() -> None:
    columns = TrialColumns()
    columns.recommend("a", "k", 0.5, Cost(epochs=1.0))
    columns.append("b", "k", FULL, "ok", 0.9, spent=Cost(epochs=2.0))  # a trial on the way names no incumbent
    columns.recommend("c", "k", 0.3, Cost(epochs=3.0))
    columns.recommend("d", "k", math.nan, Cost(epochs=4.0))
    curves = incumbent_curves([columns.to_bytes()], "epochs")
    np.testing.assert_array_equal(curves.at([1, 2, 3, 4]), [[0.5, 0.5, 0.3, np.nan]])
    np.testing.assert_array_equal(incumbent_curves([columns.to_bytes()], "trials").at([0, 1]), [[0.5, np.nan]])


def test_sums_of_axes_are_axes_too() -> None:
    columns = TrialColumns()
    spent = Cost(train_samples=3, inference_samples=4, device_s=1.0, simulated_s=2.5)
    columns.append("a", "k", FULL, "ok", 0.1, spent=spent, recommended=0)
    ends = {axis: incumbent_curves([columns.to_bytes()], axis).ends[0] for axis in CURVE_AXES}
    assert (ends["samples"], ends["seconds"], ends["train_samples"], ends["trials"]) == (7, 3.5, 3, 1)


def test_an_unknown_axis_or_a_descending_grid_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown cost axis `epoch`; did you mean `epochs`"):
        incumbent_curves([], "epoch")
    with pytest.raises(ValueError, match="ascending"):
        incumbent_curves([recorded([0.1])]).at([2, 1])


def test_no_runs_give_no_curves() -> None:
    curves = incumbent_curves([])
    assert curves.at([1, 2]).shape == (0, 2)
    assert len(curves.grid()) == 0


def test_a_thinned_grid_keeps_both_ends_and_only_costs_that_occur() -> None:
    curves = incumbent_curves([recorded(list(np.linspace(1, 0, 1000)))])
    grid = curves.grid(50)
    assert len(grid) <= 50
    assert (grid[0], grid[-1]) == (1, 1000)
    assert set(grid) <= set(curves.spent)
    assert len(curves.grid(1000)) == 1000


_values = st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=12)


@given(runs=st.lists(_values, min_size=1, max_size=5), grid=st.lists(st.floats(0, 14), max_size=8).map(sorted))
def test_all_runs_at_once_equal_one_run_and_one_point_at_a_time(runs: list[list[float]], grid: list[float]) -> None:
    got = incumbent_curves([recorded(values) for values in runs]).at(grid)
    for s, values in enumerate(runs):
        for t, point in enumerate(grid):
            seen = [v for i, v in enumerate(values) if i + 1 <= point and not math.isnan(v)]
            np.testing.assert_array_equal(got[s, t], min(seen, default=math.nan))


def test_values_are_of_one_stretch_until_one_is_measured_at_a_higher_fidelity() -> None:
    def run(*epochs: float) -> bytes:
        columns = TrialColumns()
        for at, own in enumerate(epochs):
            spent = Cost(evaluations=at + 1)
            columns.append("a", "k", Fidelity(own), "ok", 0.5 - 0.1 * at, spent=spent, recommended=at)
        return columns.to_bytes()

    curves = incumbent_curves([run(1.0, 1.0, 4.0, 4.0), run(4.0, 4.0)])
    assert curves.stretch.tolist() == [1, 1, 2, 2, 1, 1]


def test_a_curve_that_is_not_held_ends_just_at_its_last_cost() -> None:
    curves = incumbent_curves([recorded([0.5, 0.4]), recorded([0.3])])
    held, ended = curves.at([1.0, 2.0, 3.0]), curves.at([1.0, 2.0, 3.0], hold=False)
    assert held.tolist() == [[0.5, 0.4, 0.4], [0.3, 0.3, 0.3]]
    np.testing.assert_array_equal(ended, [[0.5, 0.4, np.nan], [0.3, np.nan, np.nan]])
    assert curves.final().tolist() == [0.4, 0.3]
