"""Every combination of schedule, proximity, ADMM and clipping is a composition that searches."""

from __future__ import annotations

import itertools

import pytest
from test_differentiable_resume import finished, strategy_of
from tiny_lab import lab

from searchbench.errors import StudyError
from searchbench.strategies.differentiable import Admm, ClippedLinear, ZeroOne, ZeroOneLinear
from searchbench.strategies.differentiable.papers import darts, fair_darts
from searchbench.strategies.differentiable.papers_prime import (
    SCHEDULES,
    darts_admm,
    darts_cs,
    darts_fimt,
    darts_grid,
    darts_pr,
    darts_prime,
)

GRID = [
    {"schedule": schedule, "proximity": rho, "admm": admm, "clipped": clipped}
    for schedule, rho, admm, clipped in itertools.product(SCHEDULES, (0.0, 0.1), (0.0, 0.1), (False, True))
]


@pytest.mark.parametrize("cell", GRID, ids=lambda cell: " ".join(map(str, cell.values())))
def test_every_cell_of_the_grid_searches_and_hands_over_an_architecture(cell):
    metered = lab()
    search, _ = finished(strategy_of("darts-grid", 1, **cell).start(metered.scenario), metered)
    assert metered.final.architecture in metered.scenario.space
    assert bool(search._session.trained.alpha.isfinite().all())


def test_the_corners_of_the_grid_are_the_papers():
    assert darts_grid() == darts()
    assert darts_grid(schedule="constant") == darts_cs()
    assert darts_grid(schedule="fisher") == darts_fimt()
    assert darts_grid(proximity=0.1) == darts_pr()
    assert darts_grid(admm=0.1) == darts_admm()
    assert darts_grid(schedule="fisher", proximity=0.1) == darts_prime()
    assert darts_grid(schedule="fisher", proximity=0.1, clipped=True) == darts_prime(clipped=True)


def test_admm_and_clipping_go_with_any_schedule():
    found = darts_grid(schedule="fisher", admm=0.1, clipped=True)
    assert isinstance(found.relax, ClippedLinear)
    assert found.regularise == (Admm(0.1),)
    assert found.alphas.weight_decay == 0.0


@pytest.mark.parametrize("wrong", [{"schedule": "fishy"}, {"proximity": -1.0}, {"admm": -0.1}])
def test_impossible_cells_are_refused(wrong):
    with pytest.raises(StudyError, match=next(iter(wrong))):
        darts_grid(**wrong)


def test_fair_darts_has_its_control():
    assert fair_darts().regularise == (ZeroOne(10.0),)
    assert fair_darts(linear=True).regularise == (ZeroOneLinear(10.0),)
