"""Names to things: built-ins, other packages' entry points, paths, adapters, and what a wrong name gets."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest

from searchbench import Problem, Study, open_store, run
from searchbench.cost import Budget
from searchbench.errors import InputError, UnknownName, did_you_mean
from searchbench.registry import Entry, Registry
from searchbench.strategies import STRATEGIES

PLUGIN = """
from dataclasses import dataclass
from searchbench import Proposal

@dataclass(frozen=True)
class Walk:
    steps: int = 5
    def start(self, scenario):
        return Live(self.steps, scenario)

class Live:
    def __init__(self, steps, scenario):
        self.left, self.space, self.rng = steps, scenario.space, scenario.seeds.rng("search")
    def ask(self):
        self.left -= 1
        return Proposal(self.space.sample(self.rng)) if self.left >= 0 else None
    def tell(self, trial):
        pass
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package is installed, which publishes a strategy under an entry point."""
    (tmp_path / "walking.py").write_text(PLUGIN)
    info = tmp_path / "walking-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: walking\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[searchbench.strategies]\nrandom-walk = walking:Walk\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "walking", raising=False)


def test_a_strategy_of_another_package_is_found_by_its_entry_point(installed: None) -> None:
    assert "random-walk" in STRATEGIES.names()
    assert STRATEGIES.factory("random-walk")(steps=3).steps == 3
    with pytest.raises(UnknownName, match="did you mean `random-walk`"):
        STRATEGIES.factory("random-wakl")


def test_it_runs_in_a_study_beside_the_built_ins(installed: None, problem: Problem, tmp_path: Path) -> None:
    study = Study("s", problem, ["random", "random-walk"], 1, Budget(evaluations=9))
    run(study, tmp_path / "r.db", workers=0)
    with open_store(tmp_path / "r.db") as store:
        ended = {r.strategy: (r.status, r.ended, r.cost.evaluations) for r in store.runs("s")}
    assert ended == {"random": ("ok", "budget", 9), "random-walk": ("ok", "finished", 5)}


def test_a_path_names_any_object_that_can_be_imported(installed: None) -> None:
    assert STRATEGIES.factory("walking:Walk")().steps == 5
    with pytest.raises(InputError, match="walking:Run, which cannot be imported"):
        STRATEGIES.factory("walking:Run")
    with pytest.raises(InputError, match="must name a callable"):
        STRATEGIES.factory("walking:__doc__")


def test_an_adapter_gets_what_stands_behind_the_colon() -> None:
    registry = Registry("thing", "searchbench.things", {}, {"pair": Entry("builtins:dict", "pairs")})
    with pytest.raises(ValueError, match="dictionary update sequence"):
        registry.factory("pair:x")()
    assert registry.names() == {"pair:…": "pairs"}


@pytest.mark.parametrize("name", list(STRATEGIES.builtin))
def test_every_built_in_says_its_source_and_how_it_differs(name: str) -> None:
    factory = STRATEGIES.factory(name)
    parameters = inspect.signature(factory).parameters.values()
    if all(parameter.default is not parameter.empty for parameter in parameters):
        assert callable(factory().start)
    assert "Source:" in (factory.__doc__ or "")
    assert "Differs:" in (factory.__doc__ or "")


def test_did_you_mean_lists_everything_where_nothing_is_near() -> None:
    assert did_you_mean("zzz", ["b", "a"]) == "known: a, b."
    assert did_you_mean("zzz", []) == "known: none."


def test_every_built_in_strategy_has_the_family_that_it_is_listed_under() -> None:
    from searchbench.strategies import FAMILIES, STRATEGIES, SUPERNETS, family

    listed = [name for names in FAMILIES.values() for name in names]
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) <= set(STRATEGIES.builtin)
    over_supernets = [name for name in STRATEGIES.builtin if family(name) == SUPERNETS]
    assert all(".oneshot." in STRATEGIES.builtin[name].path for name in over_supernets)
    assert family("optuna:tpe") == "Libraries that compete"


def test_summaries_of_strategies_take_one_line_of_a_terminal_of_a_hundred_columns() -> None:
    longest = max(len(name) for name in STRATEGIES.builtin)
    too_long = {name: len(entry.summary) for name, entry in STRATEGIES.builtin.items() if len(entry.summary) > 72}
    assert (longest <= 24, too_long) == (True, {})
