"""What runs hold: declared for all, for a problem, a strategy or the judge; refused where it cannot be had."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

import pytest

import searchbench as sb
from searchbench.errors import StudyError
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.resources import Placement, Resources
from searchbench.harness.declared.study import study_from_spec
from searchbench.harness.declared.study_file import study_from_mapping
from searchbench.harness.driving.batches import RunBatches
from searchbench.harness.driving.placing import check_placing, needs
from searchbench.harness.executors.local import LocalExecutor

BASE: dict[str, Any] = {
    "name": "placed",
    "seeds": 2,
    "budget": {"evaluations": 5},
    "problems": [{"space": "nasbench201", "task": "digits", "estimator": "table", "label": "nb"}],
    "strategies": [{"use": "random"}, {"use": "regularized-evolution", "label": "RE", "population": 3, "sample": 2}],
}
PLACED = {
    "cpus": 2,
    "judge": {"gpus": 1},
    "problems": {"nb": {"memory_gb": 3}},
    "strategies": {"RE": {"gpus": 0.5, "cpus": 4, "custom": {"fast": 1}}},
}


def study(resources: Any = None) -> sb.Study:
    return study_from_mapping(BASE if resources is None else {**BASE, "resources": resources})


def test_what_is_said_of_a_strategy_counts_more_than_of_its_problem_and_of_everything() -> None:
    specs = {spec.contestant.label: spec for spec in plan(study(PLACED)).runs}
    assert specs["random"].needs == Resources(cpus=2, memory_gb=3)
    assert specs["RE"].needs == Resources(cpus=4, gpus=0.5, memory_gb=3, custom={"fast": 1})
    assert specs["RE"].judge_needs == Resources(cpus=2, gpus=1, memory_gb=3)
    assert specs["RE"].needs.amounts() == {"CPU": 4, "GPU": 0.5, "memory": 3e9, "fast": 1}


def test_they_are_no_part_of_a_runs_identity_and_survive_the_declaration() -> None:
    placed, bare = study(PLACED), study()
    assert [s.run_id for s in plan(placed).runs] == [s.run_id for s in plan(bare).runs]
    assert "resources" not in bare.spec()
    assert study_from_spec(placed.spec()).resources == placed.resources


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"cpus": -1}, "`resources.cpus` must be a number from 0 on"),
        ({"gpus": "one"}, "`resources.gpus` must be a number"),
        ({"gpus": 1.5}, "a share of one card or whole cards"),
        ({"memory_gb": float("inf")}, "`resources.memory_gb` must be"),
        ({"custom": {"fast": True}}, "`resources.custom.fast` must be"),
        ({"custom": 3}, "`resources.custom` must be a table"),
        ({"gpu": 1}, "has no key `gpu`; did you mean `gpus`"),
        ({"judge": {"gpuz": 1}}, "`resources.judge` has no key"),
        ({"strategies": {"REE": {"gpus": 1}}}, "names `REE`; did you mean `RE`"),
        ({"problems": {"nb": 3}}, "must be a table"),
        (4, "`resources` must be a table"),
    ],
)
def test_impossible_resources_are_refused(given: Any, rule: str) -> None:
    with pytest.raises(StudyError, match=rule):
        study(given)


def test_what_no_node_can_hold_is_named_with_the_most_there_is() -> None:
    nodes = [{"CPU": 8.0, "memory": 16e9}, {"CPU": 2.0, "GPU": 1.0, "memory": 64e9}]
    assert not Resources(cpus=2, gpus=1, memory_gb=50).lacking(nodes)
    assert Resources(gpus=2).lacking(nodes) == "`gpus` 2 (most on one node: 1)"
    assert Resources(memory_gb=128).lacking(nodes) == "`memory_gb` 128 (most on one node: 64)"
    assert Resources(custom={"tpu": 1}).lacking(nodes) == "`tpu` 1 (most on one node: 0)"
    assert Resources(cpus=8, gpus=1).lacking(nodes) == "`cpus` 8, `gpus` 1 on one node"  # each is there, not together


def test_a_study_that_can_never_be_placed_is_refused_and_nothing_is_written(tmp_path: Any) -> None:
    with pytest.raises(StudyError, match=r"can never be placed here: it needs `gpus` 64 \(most on one node: \d+\)"):
        sb.run(study({"judge": {"gpus": 64}}), tmp_path / "s.db", workers=0, progress=False)
    assert LocalExecutor().lacking(Resources(memory_gb=1e9)) == ""
    with pytest.raises(StudyError, match="`fast`"):
        sb.run(study({"custom": {"fast": 1}}), tmp_path / "s.db", workers=0, progress=False)
    found = sb.run(study({"cpus": 1}), tmp_path / "s.db", workers=0, progress=False)
    assert (found.runs()["status"] == "ok").all()


def test_what_a_cluster_may_add_counts_as_if_it_were_there(tmp_path: Any) -> None:
    wanted = {"judge": {"gpus": 64}}
    declared = study({**wanted, "nodes": [{"cpus": 2, "gpus": 64}]})
    check_placing(plan(declared).runs, LocalExecutor(), declared.resources.nodes)
    assert study_from_spec(declared.spec()).resources.nodes == declared.resources.nodes
    smaller = study({**wanted, "nodes": [{"gpus": 8}, {"custom": {"fast": 1}}]})
    with pytest.raises(
        StudyError, match=r"can never be placed .* declare the nodes that it adds \(`resources.nodes`\)"
    ):
        check_placing(plan(smaller).runs, LocalExecutor(), smaller.resources.nodes)
    with pytest.raises(StudyError, match=r"`resources.nodes` must be a list such as"):
        study({"nodes": {"gpus": 8}})
    with pytest.raises(StudyError, match=r"`resources.nodes` has no key `gpu`"):
        study({"nodes": [{"gpu": 8}]})


def test_runs_that_hold_other_resources_do_not_travel_together() -> None:
    specs = plan(study({"strategies": {"RE": {"cpus": 0.5}}})).runs
    batches = RunBatches(workers=1)
    for spec in specs:
        batches.timed("search", spec, 0.001)
    ordered = deque(sorted(specs, key=lambda spec: spec.contestant.label))
    first = batches.take("search", ordered, lambda spec: spec, partial(needs, "search"))
    assert len({spec.contestant.label for spec in first}) == 1


def test_a_search_whose_evaluations_are_placed_apart_holds_no_card_while_it_waits() -> None:
    problem = sb.Objective(lambda config: config["x"], {"x": sb.Float(0, 1)}, parallel=4, label="f")
    asked = sb.Study("s", problem, ["random"], 1, sb.Budget(evaluations=8), resources={"gpus": 1, "cpus": 8})
    (spec,) = plan(asked).runs
    assert needs("search", spec) == Resources(cpus=1)
    assert spec.needs == Resources(cpus=8, gpus=1)


def test_nothing_declared_is_one_processor() -> None:
    assert Placement().search("p", "s") == Resources()
    assert Resources().amounts() == {"CPU": 1}
