"""A problem's constraint: every strategy keeps to it, and an impossible one is said before anything is searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.constraint import Constraint
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.problem import Problem
from searchbench.harness.declared.study import Study, study_from_spec
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.run import run_judge, run_search
from searchbench.results.columns import read_trials

SPACE = Use(
    "mobile-proxyless",
    zero=False,
    stem=4,
    first=4,
    channels=(4, 6),
    layers=(2, 1),
    strides=(2, 2),
    last=8,
    stem_stride=1,
)
BLOCKS = ("k3e3", "k3e6", "k5e3", "k5e6", "k7e3", "k7e6")
TRAIN = Use("train", epochs=1, subset=0.1)


@pytest.fixture
def table(tmp_path: Path) -> Use:
    path = tmp_path / "blocks.csv"
    lines = ["block,latency_ms", "fixed,1"]
    lines += [f"layer {layer}={block},{1 + at}" for layer in (1, 2, 3) for at, block in enumerate(BLOCKS)]
    path.write_text("\n".join(lines) + "\n")
    return Use("block-table", path=str(path))


def study(problem: Problem, strategy: Any, evaluations: int = 12, **budget: float) -> Study:
    limits = budget or {"evaluations": evaluations}
    return Study("constrained", [problem], [strategy], seeds=1, budget=Budget(**limits))


def searched(problem: Problem, strategy: Any, **more: Any) -> tuple[Any, Any, Any]:
    spec = plan(study(problem, strategy, **more)).runs[0]
    return spec, (found := run_search(spec)), read_trials(found.trials).to_pylist()


STRATEGIES = [
    "random",
    Use("regularized-evolution", population=4, sample=2),
    "local-search",
    "grid",
    Use("nsga2", population=4),
    Use("mnasnet", metric="latency_ms", target=6.0, strategy="random"),
    Use("forest", initial=4, trees=5),
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_every_trial_and_the_find_keep_to_the_limit(table: Use, strategy: Any) -> None:
    problem = Problem(SPACE, "digits", Use("zero-cost", proxy="params"), latency=table, constraint={"latency_ms": 8.0})
    _, found, trials = searched(problem, strategy)
    assert found.status == "ok", found.error
    assert trials
    assert all(trial["status"] == "ok" and trial["metric_latency_ms"] <= 8.0 for trial in trials)
    latency = problem.resolve().measures.latency
    assert latency is not None
    assert latency(problem.resolve().space.parse(found.architecture)) <= 8.0


def test_what_is_proposed_beyond_the_limit_fails_and_is_charged(table: Use) -> None:
    problem = Problem(SPACE, "digits", Use("zero-cost", proxy="params"), latency=table, constraint={"latency_ms": 8.0})
    _, found, trials = searched(problem, Use("reinforce"))
    failed = [trial for trial in trials if trial["status"] != "ok"]
    assert failed, "a controller writes architectures of its own"
    assert all("breaks the constraint: latency_ms" in trial["error"] for trial in failed)
    assert len(trials) == found.cost.evaluations == 12


def test_what_is_recommended_beyond_the_limit_is_not_taken(table: Use) -> None:
    problem = Problem(SPACE, "digits", TRAIN, latency=table, constraint={"latency_ms": 8.0})
    resolved = problem.resolve()
    from searchbench.harness.running.run import open_lab

    spec = plan(study(problem, "random")).runs[0]
    lab: MeteredLab = open_lab(spec, spec.seeds(spec.contestant.make()))
    legal = resolved.searched.sample(lab.scenario.seeds.rng("init"))
    lab.recommend(legal)
    lab.recommend(resolved.space.architecture(("k7e6",) * 3))
    assert lab.final is not None
    assert lab.final.architecture == legal
    assert lab.record.refused == "latency_ms 19 > 8"


@pytest.mark.parametrize(
    ("constraint", "says"),
    [
        ({"latency_ms": 3.9}, r"`latency_ms` of at most 3.9: the least found is 4 \(.*raise the limit"),
        ({"macs": 10}, "`macs` of at most 10: the least found is"),
        ({"params": 10}, "`params` of at most 10"),
        ({"macs": 1e9, "flops": 3}, "no limit `flops`"),
        ({}, "a limit on one of params, macs, latency_ms"),
        ({"macs": -1}, "positive"),
        ("small", "must be a table"),
    ],
)
def test_an_impossible_constraint_is_said_before_anything_is_searched(table: Use, constraint: Any, says: str) -> None:
    with pytest.raises(StudyError, match=says):
        plan(study(Problem(SPACE, "digits", TRAIN, latency=table, constraint=constraint), "random"))


def test_a_limit_on_latency_needs_a_latency() -> None:
    with pytest.raises(StudyError, match="the problem has no latency"):
        Problem(SPACE, "digits", TRAIN, constraint={"latency_ms": 5.0}).resolve()


def test_limits_that_can_each_be_kept_but_not_together_are_refused(tmp_path: Path) -> None:
    """The quickest block is the one of most weights."""
    path = tmp_path / "reversed.csv"
    lines = ["block,latency_ms", "fixed,1"]
    lines += [f"layer {layer}={block},{6 - at}" for layer in (1, 2, 3) for at, block in enumerate(BLOCKS)]
    path.write_text("\n".join(lines) + "\n")
    free = Problem(SPACE, "digits", TRAIN, latency=Use("block-table", path=str(path))).resolve()
    least = free.measures.of("params", free.space.architecture(("k3e3",) * 3))
    both = Problem(
        SPACE,
        "digits",
        TRAIN,
        latency=Use("block-table", path=str(path)),
        constraint={"latency_ms": 5.0, "params": least},
    )
    with pytest.raises(StudyError, match="keeps to all"):
        both.resolve()


def test_constraint_and_latency_belong_to_the_problem_and_are_written_down(table: Use) -> None:
    plain = Problem(SPACE, "digits", TRAIN)
    timed = Problem(SPACE, "digits", TRAIN, latency=table)
    limited = Problem(SPACE, "digits", TRAIN, latency=table, constraint={"latency_ms": 8.0})
    assert len({p.resolve().fingerprint for p in (plain, timed, limited)}) == 3
    again = study_from_spec(study(limited, "random").spec())
    assert again.problems[0] == limited
    assert again.problems[0].constraint == Constraint(latency_ms=8.0)
    assert "latency" not in study(plain, "random").spec()["given"]["problems"][0]


def test_the_judges_verdict_reports_the_latency_too(table: Use) -> None:
    problem = Problem(SPACE, "digits", TRAIN, judge=Use("train", epochs=1), latency=table)
    spec, found, _ = searched(problem, "random", evaluations=1)
    outcome = run_judge(spec, found.architecture)
    assert outcome.status == "ok", outcome.error
    assert outcome.metrics["latency_ms"] == problem.resolve().measures.latency(  # type: ignore[misc]
        problem.resolve().space.parse(found.architecture)
    )


@pytest.mark.parametrize("strategy", ["spos", "proxyless"])
def test_searches_that_train_a_supernet_hand_over_a_legal_network(table: Use, strategy: str) -> None:
    more: dict[str, Any] = {"cost": 1.0, "of": "latency_ms", "warmup": 0.0} if strategy == "proxyless" else {}
    problem = Problem(SPACE, "digits", TRAIN, latency=table, constraint={"latency_ms": 14.0})
    _, found, _ = searched(problem, Use(strategy, epochs=2, **more), macs=3e8)
    assert found.status == "ok", found.error
    resolved = problem.resolve()
    assert resolved.space.parse(found.architecture) in resolved.searched


def test_a_search_by_latencies_is_skipped_where_there_is_none() -> None:
    made = plan(study(Problem(SPACE, "digits", TRAIN), Use("proxyless", cost=1.0, of="latency_ms")))
    assert "the problem declares none" in made.skipped[0].reason
