"""Gather, from what the store holds, the evidence that the checklist judges. What was not recorded stays None: it
never passes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from searchbench.reports.ablation import levels_of, parts_of
from searchbench.reports.evidence import ArmEvidence, Evidence, RedeclaredEvidence, StatisticsEvidence, TableEvidence
from searchbench.reports.leaderboard import Block
from searchbench.reports.sampling import kind_of
from searchbench.results.history import History
from searchbench.results.records import CheckRecord, RunRecord, StudyRecord

if TYPE_CHECKING:
    from searchbench.results.digests import Digest

CURVE = "incumbent chosen and drawn on validation (the test is read once, at the end)"
MIN_FOR_BEST_OF = 4
"""Searches from which the report draws what the best of n would show."""
UNTUNED = "untuned defaults"
WALL_CLOCK = ("seconds", "device_s", "host_s")


def gather(
    study: StudyRecord,
    block: Block,
    runs: Sequence[RunRecord],
    digests: Mapping[str, Digest] | None,
    *,
    history: History | None = None,
    reported: int = 0,
    checks: Sequence[CheckRecord] = (),
) -> Evidence:
    """The evidence of one problem of a study.

    Args:
        study: all that was ever declared of it.
        block: its leaderboard of the problem.
        runs: the runs in that block.
        digests: what their recordings say in short, by run id; None where they were not read.
        history: its declarations; None takes `study` for the only one.
        reported: published rows shown beside.
        checks: what became of reruns and of rebuilding the study from a bundle.
    """
    spec = study.declared
    history = history or History((study,), (0,))
    problem = next(p for p in spec["problems"] if p["label"] == block.problem)
    planned = [entry for entry in spec.get("planned", []) if entry["problem"] == block.problem]
    budget = spec.get("budget", {})
    own: dict[str, list[RunRecord]] = {}
    for run in runs:
        own.setdefault(run.strategy, []).append(run)
    arms = tuple(
        _arm(spec, study.provenance, problem, block, name, mine, planned, digests) for name, mine in own.items()
    )
    return Evidence(
        arms=arms,
        manifest_runs=len(planned),
        stored_runs=sum(run.status != "infra" for run in runs),
        failures_printed=True,
        declared=_declared(spec.get("comparison")),
        declared_at=_time(history.first.created),
        redeclared=_redeclared(history),
        first_run_at=min((at for run in runs if (at := _time(run.started)) is not None), default=None),
        tasks=tuple(p["label"] for p in spec["problems"]),
        tuned_on=None if any(arm.tuning is None for arm in arms) else _tuned_on(spec, list(own)),
        claims_limited=True,
        statistics=_statistics(block, has_curve=digests is not None, wall_clock=any(a in WALL_CLOCK for a in budget)),
        table=_table(spec, problem),
        reported_rows=reported,
        probe=_probe(checks),
        probe_said=_last_said(checks, "rerun"),
        by_arrival=any(given.get("order") == "arrival" for given in spec.get("given", {}).get("problems", ())),
        rebuilt=None if not (kept := [c for c in checks if c.kind == "rebuild"]) else kept[-1].passed,
        rebuilt_said=_last_said(checks, "rebuild"),
        imported=bool(spec.get("imported")),
    )


def _arm(
    spec: Mapping[str, Any],
    kept: Mapping[str, Any],
    problem: Mapping[str, Any],
    block: Block,
    name: str,
    runs: Sequence[RunRecord],
    planned: Iterable[Mapping[str, Any]],
    digests: Mapping[str, Digest] | None,
) -> ArmEvidence:
    seeds = tuple(entry["replicate"] for entry in planned if entry["strategy"] == name)
    judged = sorted((run for run in runs if run.judged), key=lambda run: run.replicate)
    well = [run for run in runs if run.ok]
    budget = spec.get("budget", {})
    axis = next(iter(budget), None)
    commit = kept.get("commit")
    parts, design = _parts(spec, name)
    known = digests or {}
    stretches = [(run.replicate, own) for run in runs if run.run_id in known for own in known[run.run_id].stretches]
    return ArmEvidence(
        name=name,
        kind=kind_of(runs[0].description),
        space=_hash(problem.get("space")),
        split=_hash([problem.get("task"), problem["fingerprint"]]),
        pipeline=_hash(problem.get("judge")),
        protocol=runs[0].protocol,
        seeds=seeds,
        evaluation_seeds=seeds,  # streams of their own (role and replicate), so nothing else is to be recorded
        statuses=tuple(_ending(run) for run in runs) + ("missing",) * max(0, len(seeds) - len(runs)),
        scores=tuple(run.test_error for run in judged),
        test_reads=tuple(1 for run in runs if run.test_status is not None),  # one outcome is kept per run
        test_reads_in_search=0,  # the searching process holds no judge
        selected_on="validation",
        selector="what the search recommends at its end",
        budget_unit=axis,
        spent=tuple(_allotted(run, axis, budget, known) for run in well) if axis else (),
        stretches=tuple(f"seed {replicate}" for replicate, _ in stretches),
        runs=tuple(f"seed {run.replicate}" for run in well),
        notes=_notes(runs),
        cost_search=_mean(run.cost.seconds for run in well),
        cost_validate=0.0 if well else None,  # validation is paid from the search's budget
        cost_final=_mean(run.judge_cost.seconds for run in judged),
        tuning=_tuning(spec, name),
        tuned_here=_tuned_here(spec, problem["label"], name),
        configurations=round(max(1.0, _mean(run.cost.evaluations for run in well) or 1.0)),
        incumbents=None if digests is None else tuple(values for _, values in stretches),
        reached=tuple(_reached(run, axis, budget, known) for run in well) if axis else (),
        hardware=_one(run.host for run in runs),
        versions=_hash(kept.get("packages")),
        clean_commit=None if commit is None else not str(commit).endswith("+changes"),
        lock=_hash(kept.get("packages")),
        config_stored=True,
        components=max(1, len(parts)),
        ablation=design if len(parts) > 1 else None,
        relative_improvement=any(name in sampled.improvements for sampled in block.sampled),
    )


def _notes(runs: Sequence[RunRecord]) -> tuple[str, ...]:
    """What stands in the records beside their numbers, each once, with the seed or the number of runs."""
    by_note: dict[str, list[int]] = {}
    for run in runs:
        for note in run.notes:
            by_note.setdefault(note, []).append(run.replicate)
    return tuple(
        f"{f'seed {seeds[0]}' if len(seeds) == 1 else f'{len(seeds)} runs'} {note}" for note, seeds in by_note.items()
    )


def _ending(run: RunRecord) -> str:
    return run.status if run.judged or not run.ok else f"judging: {run.test_status}"


def _allotted(run: RunRecord, axis: str, budget: Mapping[str, float], digests: Mapping[str, Digest]) -> float:
    """What a run had to spend: all of the budget where it could not afford its next step.

    The budget ended it then, or it ended by itself with less left than its dearest step so far took.
    """
    limit, spent = float(budget[axis]), float(getattr(run.cost, axis))
    dearest = digests[run.run_id].steps.get(axis, 0.0) if run.run_id in digests else 0.0
    ended_by_it = run.ended == "budget" or (spent < limit and limit - spent < dearest)
    return limit if ended_by_it else spent


def _reached(run: RunRecord, axis: str, budget: Mapping[str, float], digests: Mapping[str, Digest]) -> float:
    return _allotted(run, axis, budget, digests) / float(budget[axis]) if budget[axis] else 1.0


def _parts(spec: Mapping[str, Any], name: str) -> tuple[frozenset[str], Any]:
    plan = spec.get("ablation")
    if not plan:
        return frozenset(), None
    parts = parts_of(plan)
    whole = len(set(parts.values())) == math.prod(len(own) for own in levels_of(plan).values())
    return parts.get(name, frozenset()), "factorial" if whole else "partial"


def _tuning(spec: Mapping[str, Any], name: str) -> str | None:
    """Defaults are untuned; for parameters set in the study nothing says where they come from."""
    declared = spec.get("tuning") or {}
    if name in declared:
        return _tuned(declared[name])
    given = dict(spec.get("given", {}).get("strategies", ())).get(name)
    if isinstance(given, Mapping) and set(given) == {"use"}:
        return UNTUNED
    return "" if declared else None


def _tuned(own: Mapping[str, Any]) -> str:
    if not own.get("parameters"):
        return f"settings of {own['source']}"
    cost = ", ".join(f"{amount:g} {axis}" for axis, amount in own["cost"].items())
    return f"{', '.join(own['parameters'])} tuned on {', '.join(own['tasks'])} for {cost}"


def _tuned_on(spec: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    """Problems, and tasks that are none of the study's, on which any of these strategies was tuned."""
    declared = spec.get("tuning") or {}
    tasks = [task for name in names if name in declared for task in declared[name].get("tasks", ())]
    return tuple(dict.fromkeys(place for task in tasks for place in _problems_of(spec, task) or [task]))


def _problems_of(spec: Mapping[str, Any], task: str) -> list[str]:
    """Labels of the problems on a task, by the task's name or the problem's label."""
    labels = [problem["label"] for problem in spec["problems"]]
    given = spec.get("given", {}).get("problems", [])
    tasks = [entry.get("task") for entry in given] if len(given) == len(labels) else [None] * len(labels)
    names = [entry.get("use") if isinstance(entry, Mapping) else entry for entry in tasks]
    return [label for label, name in zip(labels, names, strict=True) if task in (label, name)]


def _tuned_here(spec: Mapping[str, Any], problem: str, name: str) -> str:
    """Seeds of the study with which a strategy was tuned on this problem; all of them where it does not say."""
    own = (spec.get("tuning") or {}).get(name, {})
    if not any(problem in _problems_of(spec, task) for task in own.get("tasks", ())):
        return ""
    seeds, mine = list(own.get("seeds", ())), set(spec.get("seeds", ()))
    both = [seed for seed in seeds if seed in mine]
    if seeds and not both:
        return ""
    return f"{problem} with seeds {', '.join(map(str, both))}" if both else f"{problem} with seeds that are not said"


def _declared(plan: Mapping[str, Any] | None) -> frozenset[str]:
    if not plan:
        return frozenset()
    found = {"primary metric", "family", "looks"}  # the judge's test error; the others have declared defaults
    found |= {"baseline"} if plan.get("baseline") is not None else set()
    found |= {"delta"} if plan.get("rope") is not None else set()
    return frozenset(found)


def _probe(checks: Sequence[CheckRecord]) -> Literal["identical", "differs"] | None:
    """Whether runs that were rerun came out the same; one that ever differed is not outweighed by others."""
    reruns = [check for check in checks if check.kind == "rerun"]
    if not reruns:
        return None
    return "identical" if all(check.passed for check in reruns) else "differs"


def _last_said(checks: Sequence[CheckRecord], kind: str) -> str:
    """What the last check of a kind said, the last failed one where any failed, and when."""
    own = [check for check in checks if check.kind == kind]
    counted = [check for check in own if not check.passed] if kind == "rerun" else []
    shown = (counted or own)[-1:]
    return f"{shown[0].said} ({shown[0].made[:10]})" if shown else ""


def _redeclared(history: History) -> RedeclaredEvidence:
    """What was declared anew after results were there, the first and the last declaration side by side."""
    grown = history.looks_taken > 1
    return RedeclaredEvidence(
        looks_taken=history.looks_taken,
        looks_declared=history.looks_declared,
        seeds=history.side_by_side("seeds") if grown or history.left_out else "",
        left_out="; ".join(history.left_out),
        comparison=history.side_by_side("comparison") if history.changed else "",
        versions=history.mixed,
    )


def _statistics(block: Block, *, has_curve: bool, wall_clock: bool) -> StatisticsEvidence:
    family = block.verdicts.versus
    tested = [a for a in family.answers if a.p is not None and a.status != "refused"] if family is not None else []
    return StatisticsEvidence(
        expected_best=any(row.n >= MIN_FOR_BEST_OF for row in block.rows),
        correction="Holm" if family is not None else None,
        family_size=len(family.answers) if family is not None else None,
        p_values=len(tested),
        with_effect=sum(a.effect is not None for a in tested),
        with_interval=sum(a.interval is not None for a in tested),
        with_n=sum(a.n > 0 for a in tested),
        curve=CURVE if has_curve else None,
        wall_clock_compared=wall_clock,
    )


def _table(spec: Mapping[str, Any], problem: Mapping[str, Any]) -> TableEvidence | None:
    estimator = problem.get("estimator")
    if not isinstance(estimator, Mapping) or not str(estimator.get("class", "")).endswith(":Table"):
        return None
    labels = [p["label"] for p in spec["problems"]]
    given = spec.get("given", {}).get("problems", [])
    written = given[labels.index(problem["label"])]["estimator"] if len(given) == len(labels) else {}
    path = written.get("path") if isinstance(written, Mapping) else None
    repeats = len(estimator.get("validation", ()))
    drawn = "the one recorded repeat" if repeats == 1 else f"one of {repeats} repeats, drawn by the noise seed"
    name = PurePath(path).name if path else "built-in table"
    return TableEvidence(name=name, version=f"fingerprint {problem['fingerprint']}", sampling=drawn)


def _hash(value: Any) -> str | None:
    if value is None:
        return None
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def _one(values: Iterable[str]) -> str | None:
    found = set(values)
    return found.pop() if len(found) == 1 else " / ".join(sorted(found)) or None


def _time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
