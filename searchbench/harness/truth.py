"""What architectures that supernets scored are worth when they are trained alone: by a problem's judge, or by a table.

A table answers at once. A judge that trains is asked for as many architectures as the user pays for, under two of the
study's seeds, so that there is a noise ceiling; its verdicts are kept in the store, under a name of their own, and are
asked for once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from searchbench.cost import Cost
from searchbench.errors import InputError
from searchbench.harness.declared.components import canonical_json, fingerprint
from searchbench.harness.declared.constraint import Measures
from searchbench.harness.declared.plan import RunSpec, plan
from searchbench.harness.declared.trust import recorded_study
from searchbench.harness.driving.jobs import judge, judge_job
from searchbench.harness.session import executor
from searchbench.results.inherited import Truth
from searchbench.results.records import RunRecord, StudyRecord, outcome_columns, timestamp
from searchbench.results.store import open_store
from searchbench.seeds import Seeds
from searchbench.spaces.space import Architecture, Space
from searchbench.tables.table import Table
from searchbench.trial import Outcome

JUDGEMENTS = 2
"""Trainings of an architecture by a judge that trains."""

Answers = Mapping[str, Sequence[float]]
"""Values to minimise, by the architecture's key; NaN where a measurement failed."""


@runtime_checkable
class Repeated(Protocol):
    """A live estimator or judge that looks up repeated trainings."""

    def repeats(self, architecture: Architecture) -> Sequence[float]:
        """Each by itself, in a fixed order; none where nothing is recorded."""


def by_table(
    study: StudyRecord, problem: str, notations: Mapping[str, str], table: str, *, trust: bool = False
) -> Truth:
    """Validation errors that a table records, its repeats one by one.

    Args:
        study, problem: whose space the architectures are of.
        notations: architectures in the space's notation, by key.
        table: a table's name or path; its columns are those of `Table`.

    Raises:
        InputError: there is no such table, or it is not of this space.
    """
    resolved = _spec(study, problem, trust).problem.resolve()
    opened = Table(table).open(resolved.space, resolved.task, Seeds(study.name, 0))
    parsed = _parsed(resolved.space, notations)
    found = {key: opened.repeats(architecture) for key, architecture in parsed.items()}
    return _truth(f"validation error in the table `{table}`", found, parsed, resolved.measures)


def by_judge(
    store: str | Path,
    study: StudyRecord,
    problem: str,
    notations: Mapping[str, str],
    *,
    at_most: int | None = None,
    workers: int | None = None,
    trust: bool = False,
) -> Truth:
    """Test errors by the problem's own judge.

    Args:
        store: path or URL; written to where a judge trains.
        study, problem: whose judge is asked.
        notations: architectures in the space's notation, by key.
        at_most: architectures that a judge that trains is asked for, the first in the given order; those judged before
            are known. None: none beyond those.
        workers: processes at a time, as for `run`.
        trust: whether code that the study names, and that is not the package's own, may be imported.

    Raises:
        InputError: the problem is made of objects that only existed where it was declared, it is not trusted, or a
            judgement failed as a whole.
    """
    spec = _spec(study, problem, trust)
    resolved = spec.problem.resolve()
    opened = resolved.judge.open(resolved.space, resolved.task, Seeds(study.name, spec.replicate))
    parsed = _parsed(resolved.space, notations)
    if isinstance(opened, Repeated):
        found: Answers = {key: opened.repeats(architecture) for key, architecture in parsed.items()}
    else:
        found = _judged(store, study, spec, notations, at_most, workers)
    return _truth("test error by the judge", found, parsed, resolved.measures)


def _spec(study: StudyRecord, problem: str, trust: bool) -> RunSpec:
    specs = [spec for spec in plan(recorded_study(study.declared, trust=trust)).runs if spec.problem.name == problem]
    if not specs:
        raise InputError(f"study `{study.name}` plans no run on problem `{problem}` any more.")
    return specs[0]


def _parsed(space: Space, notations: Mapping[str, str]) -> dict[str, Architecture]:
    return {key: space.parse(text) for key, text in notations.items()}


def _truth(name: str, found: Answers, parsed: Mapping[str, Architecture], measures: Measures) -> Truth:
    """Architectures with as many good answers as the best answered have; the others are missing."""
    good = {key: tuple(value for value in own if math.isfinite(value)) for key, own in found.items()}
    repeats = max(map(len, good.values()), default=0)
    whole = {key: own for key, own in good.items() if own and len(own) == repeats}
    counted = measures.space.networks is not None
    sizes = {
        key: (measures.of("params", parsed[key]), measures.of("macs", parsed[key])) if counted else (math.nan, math.nan)
        for key in whole
    }
    return Truth(name, whole, sizes, missing=len(parsed) - len(whole))


# -- a judge that trains -------------------------------------------------------------------------------------------


def _judged(
    where: str | Path,
    study: StudyRecord,
    spec: RunSpec,
    notations: Mapping[str, str],
    at_most: int | None,
    workers: int | None,
) -> Answers:
    name = f"{study.name} (sample judged)"
    known = spec.problem.resolve().fingerprint
    with open_store(where) as opened:
        recorded = {run.run_id: run for run in opened.runs(name, recordings=False)}
    specs = [replace(spec, study=study.name, replicate=seed) for seed in _seeds(study)]
    wanted = list(notations)[: at_most or 0]
    ids = {(key, s.replicate): fingerprint([known, study.name, s.replicate, key]) for key in notations for s in specs}
    missing = [(key, s) for key in wanted for s in specs if ids[key, s.replicate] not in recorded]
    if missing:
        with open_store(where, write=True) as opened:

            def keep(key: str, s: RunSpec, outcome: Outcome) -> None:
                run = _record(name, known, ids[key, s.replicate], s, key, notations[key], outcome)
                opened.add_run(run)
                recorded[run.run_id] = run

            _ask(missing, notations, keep, workers)
    found = {key: [recorded.get(ids[key, s.replicate]) for s in specs] for key in notations}
    return {key: [run.test_error for run in own if run is not None] for key, own in found.items()}


def _seeds(study: StudyRecord) -> list[int]:
    """The study's first seeds; where it has one only, the number after it too."""
    seeds: list[int] = study.declared["seeds"]
    return [*seeds, max(seeds) + 1][:JUDGEMENTS]


def _ask(
    missing: Iterable[tuple[str, RunSpec]],
    notations: Mapping[str, str],
    keep: Callable[[str, RunSpec, Outcome], None],
    workers: int | None,
) -> None:
    with executor(workers) as chosen:
        out = {chosen.submit("judge", judge, [judge_job(s, notations[key])]): (key, s) for key, s in missing}
        while out:
            for finished in chosen.wait(timeout_s=0.5):
                key, s = out.pop(finished.ticket)
                if not isinstance(finished.results, list):
                    raise InputError(
                        f"the judgement of {notations[key]} was lost: {finished.results.reason}; ask again."
                    )
                keep(key, s, finished.results[0])


def _record(
    study: str, problem: str, run_id: str, spec: RunSpec, key: str, notation: str, outcome: Outcome
) -> RunRecord:
    now = timestamp()
    return RunRecord.flat(
        run_id=run_id,
        study=study,
        strategy="sample",
        description="",
        problem=spec.problem.name,
        fingerprint=problem,
        budget=canonical_json({}),
        replicate=spec.replicate,
        status="ok",
        ended="finished",
        cost=Cost(),
        trials=b"",
        started=now,
        finished=now,
        architecture=notation,
        architecture_key=key,
        **outcome_columns(outcome),
    )
