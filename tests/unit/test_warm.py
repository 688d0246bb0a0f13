"""Searches that begin with what an earlier study found."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from searchbench.errors import DataMissing, StudyError, TableError
from searchbench.harness.declared.components import Use, describe, make
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies import STRATEGIES
from searchbench.strategies.evolution import RegularizedEvolution
from searchbench.strategies.model_based import ModelBased, RandomAndNear
from searchbench.strategies.reinforce import Reinforce
from searchbench.strategies.surrogates import Forest
from searchbench.strategies.warm import warm_start
from searchbench.testing import Stage, fly
from searchbench.testing.rehearsal import scenario

CELLS = nasbench201()
FOREST = ModelBased(Forest(5), candidates=RandomAndNear(20, 5), initial=8)
EVOLUTION = RegularizedEvolution(6, 3)


@pytest.fixture
def earlier(tmp_path: Path) -> str:
    """Ten trials, the value of the k-th k/10; one failed, one stands twice."""
    drawn = fly(STRATEGIES.factory("random")(False), Stage(CELLS, 10), 1).asked
    lines = [f"{p.architecture},{(number + 1) / 10}" for number, p in enumerate(drawn)]
    lines[3] = f"{drawn[3].architecture},"
    lines.append(f"{drawn[0].architecture},0.3")
    path = tmp_path / "earlier.csv"
    path.write_text("\n".join(["architecture,value", *lines]) + "\n")
    return str(path)


def test_recorded_values_stand_for_initial_designs(earlier: str) -> None:
    strategy = warm_start(FOREST, earlier)
    search: Any = strategy.start(scenario(Stage(CELLS, 20), strategy, 0))
    measured = search._inner._measured
    assert [value for value, _ in measured] == [0.2, 0.2, 0.3, math.inf, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert search._inner._designed == 0
    assert search.ask().architecture.key not in {a.key for _, a in measured}
    assert search._inner._designed == 0  # a model's choice already


def test_accuracies_are_turned_round(earlier: str) -> None:
    values = list(warm_start(FOREST, earlier, higher_is_better=True).earlier[0].recorded(CELLS).values())
    assert values[:3] == [-0.2, -0.2, -0.3]


def test_the_file_is_part_of_the_identity_its_place_is_not(earlier: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(Path(earlier).read_bytes())
    first, second = (make(Use("warm-start", strategy={"use": "gp"}, path=p), STRATEGIES) for p in (earlier, str(copy)))
    assert describe(first) == describe(second)
    copy.write_text(copy.read_text().replace("0.5", "0.6"))
    assert describe(warm_start("gp", str(copy))) != describe(second)
    with pytest.raises(StudyError, match="have changed since"):
        second.start(scenario(Stage(CELLS, 5), second, 0))


def test_several_tables_agree_on_the_best_by_their_mean_ranks(earlier: str, tmp_path: Path) -> None:
    known = list(warm_start(FOREST, earlier).earlier[0].recorded(CELLS))
    second = tmp_path / "second.csv"
    rows = [f"{a},{v}" for a, v in zip(known[:6], [9, 1, 5, 0, 7, 7], strict=True)]
    second.write_text("\n".join(["architecture,value", *rows]))
    strategy = warm_start(EVOLUTION, [earlier, str(second)], designs=3)
    search: Any = strategy.start(scenario(Stage(CELLS, 5), strategy, 0))
    # finite in both: 0, 1, 2, 4, 5, of values .2 .2 .3 .5 .6 (ranks 1.5 1.5 3 4 5) and 9 1 5 7 7 (5 1 2 3.5 3.5)
    assert [search.ask().architecture for _ in range(3)] == [known[1], known[2], known[0]]
    with pytest.raises(StudyError, match="values of 2 tables cannot be taken as one"):
        warm_start(FOREST, [earlier, str(second)])


def test_what_cannot_be_learnt_from_is_refused(earlier: str, tmp_path: Path) -> None:
    where = scenario(Stage(CELLS, 5), FOREST, 0)
    assert "must learn" in str(warm_start(Reinforce(), earlier).unsupported(where))
    assert warm_start(EVOLUTION, earlier).unsupported(where) is None
    with pytest.raises(DataMissing, match=r"nowhere\.csv"):
        warm_start(FOREST, str(tmp_path / "nowhere.csv"))
    with pytest.raises(StudyError, match="`designs` must be"):
        warm_start(FOREST, earlier, designs=-1)
    with pytest.raises(TableError, match="`accuracy`"):
        warm_start(FOREST, earlier, value="accuracy").earlier[0].recorded(CELLS)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("architecture,value\nnothing,0.1\n")
    with pytest.raises(TableError, match="row 1, column `architecture`"):
        warm_start(FOREST, str(wrong)).earlier[0].recorded(CELLS)
