"""Faults drawn with a seed, on a table, in one process: nothing of the sound runs is lost, doubled or changed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("seed", [3])
def test_faults_of_all_kinds_do_no_harm_to_sound_runs(tmp_path: Path, seed: int) -> None:
    from benchmarks.faults import happen

    outcomes = list(happen(seed, 16, tmp_path, kinds=("table",), workers=(0,)))
    assert len(outcomes) == 16
    assert not [outcome for outcome in outcomes if not outcome.harmless]
