"""The leaderboard: how every strategy of a study did, from the store alone.

One object, and every rendering of it (terminal, Markdown, LaTeX, CSV, JSON) shows the same numbers: mean ± std of
independent searches, how many there were and how many failed, what they cost, and what the statistics layer says of
them (intervals, rank intervals, tests against the declared baseline, or why it refuses). Comparable runs stand in one
block: same problem fingerprint, same protocol, same budget, and planned by the study under any of its declarations.
Anything else stands in a separate block that ranks nothing.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchbench.errors import InputError, did_you_mean
from searchbench.reports.derivations import derivations
from searchbench.reports.measured import declared_metric, natural
from searchbench.reports.rows import COLUMNS, SHORT_NAMES, SUMMED_AXES, Row
from searchbench.reports.sampling import Sampled
from searchbench.reports.standing import MAX_FAILED_SHARE, ArmVerdicts, Declared, Standing, judge_standings
from searchbench.reports.summary import mean, summarise
from searchbench.results.history import Caveat
from searchbench.results.imported.beside import published, read_rows, to_spec
from searchbench.results.records import DEFAULT_PROTOCOL, RunRecord, StudyRecord
from searchbench.results.store import ResultStore

MAIN = "test_error_mean"
"""The column of `Row.values` that holds what is ranked by."""

if TYPE_CHECKING:
    import pandas as pd

    from searchbench.statistics import Row as PublishedRow


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that may be looked at side by side."""

    problem: str
    fingerprint: str
    protocol: str
    budget: str
    """Canonical JSON of the limits."""
    ranked: bool
    """Whether these are the runs the study plans now; a block that is not is never sorted by a result."""
    rows: tuple[Row, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    """Strategies that cannot run on the problem, with the rule they break."""
    failures: tuple[tuple[str, str, int], ...] = ()
    """Strategy, last line of what ended its runs, and how many it ended."""
    verdicts: ArmVerdicts = field(default_factory=lambda: ArmVerdicts({}), compare=False)
    """What was asked of these runs and answered."""

    noted: tuple[str, ...] = ()
    """What stands in the records of runs beside their numbers: strategy, how many, and what."""
    derived: tuple[str, ...] = ()
    """By which protocol searches derived what they handed over, where an edge may take `none`."""
    withheld: str = ""
    """Why comparable runs are not ranked all the same; empty where they are."""
    checklist: str = ""
    """`Checklist 24/28, 3 warn, 1 fail: C07`; empty where nothing was checked."""
    sampled: tuple[Sampled, ...] = field(default=(), compare=False)
    """What was drawn at random and never selected."""

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """What every statement about the block must be read with."""
        return self.verdicts.caveats

    @property
    def missing(self) -> int:
        """Planned runs not recorded yet."""
        return sum(row.missing for row in self.rows)

    def sorted(self, key: str, descending: bool) -> Block:
        """The block with its rows in the order of a column."""
        better_is_more = self.verdicts.metric.better == "higher" and key in ("test_error_mean", "value_mean")
        order = _order(key, descending=descending, better_is_more=better_is_more)
        return replace(self, rows=tuple(sorted(self.rows, key=order)))

    def withheld_for(self, why: str) -> Block:
        """The block's numbers without ranks and tests."""
        caveats = (Caveat("refused", why), *self.caveats)
        kinds = tuple(dict.fromkeys(caveat.kind for caveat in caveats))
        rows = tuple(replace(row, standing=Standing(row.standing.estimate, caveats=kinds)) for row in self.rows)
        bare = replace(self.verdicts, versus=None, family=None, standings={}, notes=(), caveats=caveats)
        return replace(self, ranked=False, rows=rows, verdicts=bare, withheld=why)


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """All blocks of a study."""

    study: str
    revision: int
    blocks: tuple[Block, ...]
    sorted_by: str = "test_error_mean"
    reported: tuple[PublishedRow, ...] = ()
    """Published numbers shown beside the measured ones, never ranked with them."""

    def without_ranking(self, why: str, problem: str | None = None) -> Leaderboard:
        """The board's numbers, with nothing ranked and nobody called better; of one problem, or of all."""
        return replace(
            self, blocks=tuple(b.withheld_for(why) if problem in (None, b.problem) else b for b in self.blocks)
        )

    def checked(self, summaries: Mapping[str, str]) -> Leaderboard:
        """The board with the checklist's line beside each problem's comparable runs."""
        return replace(
            self,
            blocks=tuple(
                replace(b, checklist=summaries.get(b.problem, "")) if b.ranked or b.withheld else b for b in self.blocks
            ),
        )

    def with_samples(self, sampled: Mapping[str, tuple[Sampled, ...]]) -> Leaderboard:
        """The board with what was drawn at random on each problem beside its comparable runs."""
        return replace(
            self,
            blocks=tuple(replace(b, sampled=sampled.get(b.problem, ())) if b.ranked else b for b in self.blocks),
        )

    def with_published(self, task: str) -> Leaderboard:
        """The board with published rows beside: those known of a task ("CIFAR-10" …), or those of a file of one's own.

        Raises:
            InputError: nothing published is known for it, or the file holds no such rows.
        """
        if Path(task).is_file():
            own = to_spec(read_rows(Path(task)), Path(task).name)
            metric = self.blocks[0].verdicts.metric.name if self.blocks else "score"
            return replace(self, reported=published(own, metric))
        from searchbench.errors import StatisticsError
        from searchbench.statistics.published import rows

        try:
            return replace(self, reported=rows(task))
        except StatisticsError as error:
            raise InputError(str(error)) from None

    def sorted(self, by: str) -> Leaderboard:
        """The board with its ranked blocks sorted by a column: lowest first, highest first with a leading "-". What
        is measured goes by its direction: the best first, the worst with "-".

        Raises:
            InputError: there is no such column.
        """
        name = by.removeprefix("-")
        own = {self.named(key): key for key in COLUMNS} | {self.named("test_error_mean").removesuffix("_mean"): MAIN}
        key = own.get(name) or (name if name in COLUMNS else SHORT_NAMES.get(name))
        if key is None:
            raise InputError(f"cannot sort by `{name}`; {did_you_mean(name, [*own, *SHORT_NAMES])}")
        descending = by.startswith("-")
        blocks = tuple(b.sorted(key, descending) if b.ranked else b for b in self.blocks)
        return replace(self, blocks=blocks, sorted_by=("-" if by.startswith("-") else "") + key)

    def named(self, column: str) -> str:
        """What a column of `Row.values` is called here: those of the test error by the name of what was measured,
        `score` where problems measure different things."""
        names = {block.verdicts.metric.key for block in self.blocks} or {"test_error"}
        return column.replace("test_error", names.pop() if len(names) == 1 else "score")

    def records(self) -> list[dict[str, Any]]:
        """A plain mapping per row: where it stands, what was measured, and its `Row.values`, as they are `named`."""
        return [
            {
                "study": self.study,
                "problem": block.problem,
                "ranked": block.ranked,
                "protocol": block.protocol,
                "budget": block.budget,
                "fingerprint": block.fingerprint,
                "source": "imported" if "imported" in block.verdicts.kinds else "measured",
            }
            | measured_values(block)
            | {self.named(key): value for key, value in row.values().items()}
            for block in self.blocks
            for row in block.rows
        ] + [self._published(row) for row in self.reported]

    def _published(self, row: PublishedRow) -> dict[str, Any]:
        """A published row in its own unit (`metric` names it); it has no rank and no test."""
        place = {"study": self.study, "problem": row.key.task, "ranked": False, "protocol": str(row.key.protocol)}
        place |= {"budget": row.key.budget, "fingerprint": "", "source": "reported", "strategy": row.name}
        mean, std = self.named(MAIN), self.named("test_error_std")
        numbers = {"n": row.n or math.nan, mean: row.mean, std: _known(row.std)}
        place |= {"metric": row.key.metric, "unit": "", "better": "lower"}
        return place | numbers | {"marks": row.marks, "reference": row.reference}

    def to_frame(self) -> pd.DataFrame:
        """A row per strategy and block, then the published ones."""
        import pandas as pd

        return pd.DataFrame(self.records())


def leaderboard(store: ResultStore, study: str | None = None, *, sort: str = "test_error") -> Leaderboard:
    """The leaderboard of a study, the one declared last without a name.

    Raises:
        StoreError: there is no such study.
        InputError: there is no such column to sort by.
    """
    declared = store.history(study).whole
    return build(declared, store.runs(declared.name, recordings=False)).sorted(sort)


def build(study: StudyRecord, runs: Iterable[RunRecord]) -> Leaderboard:
    """Blocks of a study's runs, the planned ones first in the order the problems are declared.

    Args:
        study: all that was ever declared of it (`History.whole`).
        runs: all its runs.
    """
    spec = study.declared
    current, other = current_runs(study, runs)
    groups: dict[tuple[str, ...], list[RunRecord]] = {}
    for run in other:
        groups.setdefault((run.problem, run.fingerprint, run.protocol, run.budget), []).append(run)
    blocks = [
        _current_block(spec, Declared.of(spec, problem=p["label"]), p, current.get(p["label"], []))
        for p in spec.get("problems", [])
    ]
    blocks += [_other_block(key, group) for key, group in sorted(groups.items())]
    beside = published(spec.get("reported", ()), blocks[0].verdicts.metric.name if blocks else "score")
    return Leaderboard(study.name, study.revision, tuple(blocks), reported=beside)


def current_runs(study: StudyRecord, runs: Iterable[RunRecord]) -> tuple[dict[str, list[RunRecord]], list[RunRecord]]:
    """Runs that may be compared, by problem: those that the study plans, or ever planned. And all the others."""
    spec = study.declared
    planned = {entry["run_id"]: entry["strategy"] for entry in spec.get("planned", [])}
    metrics = {p["label"]: declared_metric(spec, p["label"]) for p in spec.get("problems", [])}
    current: dict[str, list[RunRecord]] = {}
    other: list[RunRecord] = []
    for run in runs:
        mine = run.run_id in planned if planned else _declared(spec, run)
        if mine and run.protocol == DEFAULT_PROTOCOL and run.problem in metrics:
            label = planned.get(run.run_id, run.strategy)  # another, where it was described otherwise at the time
            own = natural(run, metrics[run.problem])
            current.setdefault(run.problem, []).append(own if label == run.strategy else replace(own, strategy=label))
        else:
            other.append(run)
    return current, other


def _declared(spec: Mapping[str, Any], run: RunRecord) -> bool:
    """Whether a run belongs to a declaration that lists no run ids."""
    problems = {p["label"]: p["fingerprint"] for p in spec.get("problems", [])}
    return problems.get(run.problem) == run.fingerprint and _same_json(run.budget, spec.get("budget"))


def _same_json(text: str, value: object) -> bool:
    try:
        return bool(json.loads(text) == value)
    except ValueError:
        return False


def _current_block(
    spec: Mapping[str, Any], declared: Declared, problem: Mapping[str, Any], runs: Sequence[RunRecord]
) -> Block:
    label = problem["label"]
    plan = Counter(entry["strategy"] for entry in spec.get("planned", []) if entry["problem"] == label)
    by_strategy: dict[str, list[RunRecord]] = {strategy: [] for strategy in plan}
    for run in runs:
        by_strategy.setdefault(run.strategy, []).append(run)
    missing = sum(max(0, plan[strategy] - len(own)) for strategy, own in by_strategy.items())
    verdicts = judge_standings(by_strategy, _planned_seeds(spec, label, runs), declared)
    verdicts = verdicts.under(declared.caveats + incomplete(missing, sum(plan.values())))
    return Block(
        problem=label,
        fingerprint=problem["fingerprint"],
        protocol=DEFAULT_PROTOCOL,
        budget=runs[0].budget if runs else json.dumps(spec.get("budget", {})),
        ranked=True,
        rows=tuple(_row(s, own, verdicts, missing=max(0, plan[s] - len(own))) for s, own in by_strategy.items()),
        skipped=tuple((s["strategy"], s["reason"]) for s in spec.get("skipped", []) if s["problem"] == label),
        failures=_failures(runs),
        noted=noted(runs),
        derived=derivations(problem, runs),
        verdicts=verdicts,
    )


def measured_values(block: Block) -> dict[str, str]:
    """What a block's numbers are, flat: in data a share is a share, whatever it is shown as."""
    metric = block.verdicts.metric
    return {"metric": metric.name, "unit": metric.unit, "better": metric.better}


def incomplete(missing: int, planned: int) -> tuple[Caveat, ...]:
    """The caveat of runs that were planned and are not there; none where all are."""
    return (Caveat("incomplete", f"{missing} of {planned} planned runs are not recorded yet"),) if missing else ()


def _planned_seeds(spec: Mapping[str, Any], problem: str, runs: Sequence[RunRecord]) -> list[int]:
    planned = [entry["replicate"] for entry in spec.get("planned", []) if entry["problem"] == problem]
    return list(dict.fromkeys([*spec.get("seeds", ()), *planned] or sorted(run.replicate for run in runs)))


def _other_block(key: tuple[str, ...], runs: Sequence[RunRecord]) -> Block:
    problem, fingerprint, protocol, budget = key
    by_strategy: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs:
        by_strategy.setdefault((run.strategy, run.description), []).append(run)
    rows = []
    for (strategy, _), own in sorted(by_strategy.items()):  # of one label under two descriptions, each by itself
        rows.append(_row(strategy, own, judge_standings({strategy: own}, (), Declared(), compare=False)))
    return Block(
        problem,
        fingerprint,
        protocol,
        budget,
        ranked=False,
        rows=tuple(rows),
        failures=_failures(runs),
        noted=noted(runs),
    )


def _row(strategy: str, runs: Sequence[RunRecord], verdicts: ArmVerdicts, missing: int = 0) -> Row:
    ended_well = [run for run in runs if run.ok]
    judged = [run for run in runs if run.judged]
    costs = [run.cost for run in ended_well]
    return Row(
        strategy=strategy,
        total=len(runs),
        failed=len(runs) - len(ended_well),
        judge_failed=len(ended_well) - len(judged),
        missing=missing,
        test_error=summarise([run.test_error for run in judged]),
        value=summarise([run.value for run in judged]),
        params=mean(run.test_metrics.get("params", math.nan) for run in judged),
        macs=mean(run.test_metrics.get("macs", math.nan) for run in judged),
        cost={axis: mean(map(attrgetter(axis), costs)) for axis in SUMMED_AXES},
        standing=verdicts[strategy],
        metric=verdicts.metric,
        noted=sum(bool(run.notes) for run in runs),
    )


def noted(runs: Iterable[RunRecord]) -> tuple[str, ...]:
    """What stands in the records of runs beside their numbers: strategy, how many runs, and what."""
    found = Counter((run.strategy, note) for run in runs for note in run.notes)
    return tuple(f"{strategy}, {number} run{'s' * (number > 1)}: {note}" for (strategy, note), number in found.items())


def _failures(runs: Iterable[RunRecord]) -> tuple[tuple[str, str, int], ...]:
    said = Counter((run.strategy, _why(run)) for run in runs if not run.judged)
    return tuple((strategy, why, count) for (strategy, why), count in said.most_common())


def _why(run: RunRecord) -> str:
    """What ended a run, in a line."""
    return f"judging: {run.failure}" if run.ok else run.failure


def _order(key: str, *, descending: bool, better_is_more: bool = False) -> Callable[[Row], tuple[Any, ...]]:
    """Strategies without a judged run come last, unknown values before them. A mean that leaves out more than a fifth
    of the runs is not ranked by: it comes after all others.

    Test errors are in the order of the declared estimand, in which nobody stands above one shown better than it.
    """

    def standing(row: Row) -> tuple[Any, ...]:
        place, turned = row.standing.place, descending != better_is_more
        value = row.test_error.mean if key == MAIN else row.values()[key]
        if key == MAIN and place is not None:
            value, turned = float(place), descending  # the first place is the best, whichever way the numbers go
        if isinstance(value, str):
            return (row.n == 0, False, [-ord(c) for c in value] if descending else value, row.strategy)
        unknown = math.isnan(value) or (key == MAIN and row.failed_share > MAX_FAILED_SHARE)
        return (row.n == 0, unknown, 0.0 if unknown else -value if turned else value, row.strategy)

    return standing


def _known(value: float | None) -> float:
    return math.nan if value is None else value
