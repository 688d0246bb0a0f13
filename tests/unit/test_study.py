"""Studies: what a user may write, and what wrong input gets."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import searchbench as sb
from searchbench import Budget, ComparisonPlan, Contestant, Problem, Study, Use  # noqa: F401  (evaluated from a repr)
from searchbench.errors import InputError, StudyError, UnknownName
from searchbench.harness.declared.limits import Limits  # noqa: F401  (what a printed study needs)
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.resources import Placement  # noqa: F401
from searchbench.harness.declared.study import study_from_spec
from searchbench.harness.declared.study_file import read_study

GOOD = """
name = "good"
seeds = [101, 102]
budget = { evaluations = 10 }
[[problems]]
space = { use = "nasbench201", channels = 4, cells = 1, stages = 1 }
task = "digits"
estimator = { use = "train", epochs = 1 }
[[strategies]]
use = "random"
[[strategies]]
use = "regularized-evolution"
label = "RE"
population = 5
sample = 2
[comparison]
baseline = "random"
alpha = 0.1
"""


def from_text(folder: Path, text: str) -> Study:
    path = folder / "study.toml"
    path.write_text(text)
    return read_study(path)


def test_a_study_file_becomes_the_study_it_declares(tmp_path: Path) -> None:
    study = from_text(tmp_path, GOOD)
    assert study.seeds == (101, 102)
    assert [c.label for c in study.strategies] == ["random", "RE"]
    assert study.comparison == ComparisonPlan(baseline="random", alpha=0.1)
    assert len(plan(study).runs) == 4


def test_a_study_prints_as_the_code_that_rebuilds_it(tmp_path: Path) -> None:
    study = from_text(tmp_path, GOOD)
    assert eval(repr(study)) == study
    assert hash(eval(repr(study))) == hash(study)
    assert pickle.loads(pickle.dumps(study)) == study


def test_a_recorded_declaration_rebuilds_the_study(tmp_path: Path) -> None:
    study = from_text(tmp_path, GOOD)
    again = study_from_spec(study.spec())
    assert [r.run_id for r in plan(again).runs] == [r.run_id for r in plan(study).runs]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds = [101, 102]", "seeds = 0"), "at least one replicate"),
        (("seeds = [101, 102]", "seeds = [1, 1]"), "stands 2 times in `seeds`"),
        (("seeds = [101, 102]", 'seeds = "three"'), "number of replicates or a list"),
        (("seeds = [101, 102]", "sedes = 2"), "did you mean `seeds`"),
        (("{ evaluations = 10 }", "{ evaluations = 0 }"), "must be positive"),
        (("{ evaluations = 10 }", "{ evaluations = -3 }"), "must be positive"),
        (("{ evaluations = 10 }", '{ evaluations = "many" }'), "must be a number"),
        (("{ evaluations = 10 }", "{ evaluation = 10 }"), "did you mean `evaluations`"),
        (("{ evaluations = 10 }", "{ }"), "must limit at least one"),
        (("{ evaluations = 10 }", "5"), "`budget` must be a table"),
        (('use = "random"', 'use = "radnom"'), "did you mean `random`"),
        (('use = "random"', 'label = "x"'), "table without `use`"),
        (('label = "RE"', 'label = "random"'), "the label `random` stands 2 times"),
        (('label = "RE"', 'label = " "'), "must be a text that is not empty"),
        (("population = 5", "populaton = 5"), "did you mean `population`"),
        (("population = 5", "population = 1"), "population"),
        (("population = 5", 'population = "big"'), "population"),
        (('task = "digits"', 'task = "digit"'), "did you mean `digits`"),
        (('task = "digits"', ""), "estimator `train` needs the problem's `task`"),
        (('task = "digits"', 'task = "digits"\nsplit = 3'), "a problem has no key `split`"),
        (("channels = 4", "channels = 0"), "must be a positive integer"),
        (("epochs = 1", "epochs = 0"), "epochs"),
        (("epochs = 1", "epoch = 1"), "did you mean `epochs`"),
        (('baseline = "random"', 'baseline = "randm"'), "did you mean `random`"),
        (("alpha = 0.1", "alpha = 1.5"), "must lie in"),
        (("alpha = 0.1", "alfa = 0.1"), "did you mean `alpha`"),
        (('name = "good"', 'name = ""'), "must be a text that is not empty"),
        (('name = "good"', "name = good"), "not valid TOML"),
    ],
    ids=lambda v: v if isinstance(v, str) else v[1][:24],
)
def test_wrong_input_gets_one_clear_message(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(InputError, match=message) as caught:
        from_text(tmp_path, GOOD.replace(change[0], change[1], 1)).spec()
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "quickstart.toml").write_text(GOOD)
    with pytest.raises(StudyError, match=r"did you mean `quickstart\.toml`"):
        read_study(tmp_path / "quikstart.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match="cannot be read"):
        read_study(path)


def test_adding_a_strategy_or_seed_changes_no_other_run(problem: Problem) -> None:
    few = Study("s", problem, ["random"], 2, Budget(evaluations=5))
    many = Study("s", problem, ["random", "local-search"], 4, Budget(evaluations=5))
    assert {r.run_id for r in plan(few).runs} < {r.run_id for r in plan(many).runs}


@pytest.mark.parametrize(
    "change",
    [{"budget": Budget(evaluations=6)}, {"duplicates": "cache"}, {"name": "t"}, {"strategies": {"x": "random"}}],
    ids=str,
)
def test_what_determines_a_run_changes_its_id(problem: Problem, change: dict[str, Any]) -> None:
    given = {"name": "s", "problems": problem, "strategies": ["random"], "seeds": 1, "budget": Budget(evaluations=5)}
    one, other = Study(**given), Study(**(given | change))  # type: ignore[arg-type]
    assert plan(one).runs[0].run_id != plan(other).runs[0].run_id


def test_the_fingerprint_follows_the_data_not_its_place(problem: Problem, table_path: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.csv"
    moved.write_bytes(table_path.read_bytes())
    same = Problem("nasbench201", "digits", Use("table", **dict(problem.estimator.parameters) | {"path": str(moved)}))
    assert same.resolve().fingerprint == problem.resolve().fingerprint
    changed = tmp_path / "changed.csv"
    changed.write_text(table_path.read_text().replace("0.3", "0.4", 1))
    other = Problem(
        "nasbench201", "digits", Use("table", **dict(problem.estimator.parameters) | {"path": str(changed)})
    )
    assert other.resolve().fingerprint != problem.resolve().fingerprint


@dataclass(frozen=True)
class NeedsTraining:
    """A strategy that cannot run on tables."""

    def start(self, scenario: sb.Scenario) -> Any:
        raise NotImplementedError

    def unsupported(self, scenario: sb.Scenario) -> str | None:
        return None if scenario.trains else "the estimator does not train, and this strategy trains a supernet"


def test_an_impossible_pairing_is_skipped_with_its_reason(problem: Problem) -> None:
    planned = plan(Study("s", problem, {"needs": NeedsTraining(), "random": "random"}, 2, Budget(evaluations=5)))
    assert [(s.strategy, s.problem) for s in planned.skipped] == [("needs", "cells")]
    assert "does not train" in planned.skipped[0].reason
    assert {r.contestant.label for r in planned.runs} == {"random"}


def test_an_object_that_is_no_strategy_is_refused(problem: Problem) -> None:
    with pytest.raises(StudyError, match=r"must have `start\(scenario\)`"):
        plan(Study("s", problem, {"x": Use("builtins:int")}, 1, Budget(evaluations=5)))


def test_a_plug_in_that_cannot_be_imported_says_so(problem: Problem) -> None:
    with pytest.raises(InputError, match="cannot be imported"):
        plan(Study("s", problem, ["no_such_module:Thing"], 1, Budget(evaluations=5)))
    with pytest.raises(UnknownName, match="did you mean"):
        plan(Study("s", problem, ["regularised-evolution"], 1, Budget(evaluations=5)))


def test_runs_are_planned_replicate_by_replicate(study: Study) -> None:
    assert [r.replicate for r in plan(study).runs] == [0, 0, 1, 1, 2, 2]


def test_a_comparison_names_its_estimand_and_refuses_an_unknown_one() -> None:
    assert ComparisonPlan().estimand == "mean"
    assert ComparisonPlan(estimand="iqm").estimand == "iqm"
    with pytest.raises(StudyError, match='one of "mean", "median", "iqm", "rank", but got \'mode\''):
        ComparisonPlan(estimand="mode")


RECORDED = GOOD.replace('task = "digits"\n', "").replace(
    '{ use = "train", epochs = 1 }', '{ use = "table", path = "nasbench201-digits" }'
)


def test_recorded_results_need_no_task(tmp_path: Path) -> None:
    study = from_text(tmp_path, RECORDED)
    (problem,) = study.problems
    assert problem.name == "nasbench201"
    assert "task" not in problem.given()
    assert study_from_spec(study.spec()) == study
    assert len(plan(study).runs) == 4


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('judge = "train"', "no task, so nothing can be trained"),
        ("constraint = { params = 1e5 }", "a constraint needs the problem's `task`"),
    ],
)
def test_what_reads_a_task_asks_for_it_where_results_are_recorded(tmp_path: Path, more: str, message: str) -> None:
    study = from_text(tmp_path, RECORDED.replace("[[strategies]]", f"{more}\n[[strategies]]", 1))
    with pytest.raises(StudyError, match=message):
        plan(study)
