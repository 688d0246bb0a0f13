"""Everything a report says about one study, computed once: leaderboard, checklists, ablation, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from searchbench.reports.ablation import Ablation
from searchbench.reports.ablation import build as build_ablation
from searchbench.reports.across import Across, across
from searchbench.reports.checklist import Checklist, checklist
from searchbench.reports.gathering import gather
from searchbench.reports.leaderboard import Leaderboard, build, current_runs
from searchbench.reports.measured import declared_metric
from searchbench.reports.ranking import ProxyRanking
from searchbench.reports.ranking import build as build_rankings
from searchbench.reports.sampling import build as build_sampled
from searchbench.reports.sampling import kind_of
from searchbench.reports.standing import Declared
from searchbench.reports.tradeoff import Tradeoff
from searchbench.reports.tradeoff import build as build_tradeoffs
from searchbench.results.history import Caveat, History
from searchbench.results.records import CheckRecord, RunRecord, StudyRecord
from searchbench.results.store import ResultStore

if TYPE_CHECKING:
    from searchbench.results.curves import Curves
    from searchbench.results.digests import Digest

AXES = ("evaluations", "epochs", "samples", "macs", "seconds", "host_s")
"""Cost axes that curves are drawn along, where anything was spent on them."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """One study, read and judged."""

    study: StudyRecord
    runs: tuple[RunRecord, ...]
    """All runs of the study, comparable or not."""
    current: Mapping[str, Sequence[RunRecord]]
    """By problem: the runs that are planned now and may be compared."""
    curves: Mapping[str, Mapping[str, Curves]]
    """By problem and axis: incumbents of those runs, in their order; empty where no axes were asked for."""
    board: Leaderboard
    checklists: Mapping[str, Checklist]
    """By problem."""
    ablations: tuple[Ablation, ...]
    across: Across | None
    """All problems together; None for fewer than two."""
    rankings: tuple[ProxyRanking, ...] = ()
    """What the searches knew against the judge, on each problem; empty where it was not asked for."""
    tradeoffs: tuple[Tradeoff, ...] = ()
    """Error against latency, MACs and parameters; empty where rankings were not asked for."""

    @property
    def spec(self) -> dict[str, Any]:
        """The declaration."""
        return self.study.declared

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """What all statements must be read with, each once; what removes a ranking stands with its problem."""
        found = dict.fromkeys(caveat for block in self.board.blocks for caveat in block.caveats)
        return tuple(caveat for caveat in found if caveat.kind != "refused")


def read(
    store: ResultStore,
    study: str | None = None,
    *,
    sort: str = "test_error",
    published: str | None = None,
    axes: Sequence[str] = (),
    rankings: bool = False,
) -> Dossier:
    """A study's dossier.

    Args:
        study: its name; None takes the one declared last.
        sort: column of the leaderboard.
        published: show the published rows of this task beside.
        axes: cost axes to draw curves along, beside those of the budget; none draws none.
        rankings: also correlate what the searches knew with what the judge found.

    Raises:
        StoreError: there is no such study.
        InputError: there is no such column, or nothing published for that task.
    """
    history = store.history(study)
    declared = history.whole
    runs, checks = tuple(store.runs(declared.name, recordings=False)), store.checks(declared.name)
    if axes or rankings or any(kind_of(run.description) == "random_sampling" for run in runs):
        runs = tuple(store.runs(declared.name))
    current, _ = current_runs(declared, runs)
    board = build(declared, runs).with_samples(
        {
            p: build_sampled(own, declared_metric(declared.declared, p), Declared.of(declared.declared, "", p).level)
            for p, own in current.items()
        }
    )
    if published is not None:
        board = board.with_published(published)
    curves = {label: _curves(own, _axes(declared.declared, axes)) for label, own in current.items()} if axes else {}
    digests = store.digests(declared.name)
    checklists = {
        block.problem: _judged(declared, block, current, digests, history, len(board.reported), checks)
        for block in board.blocks
        if block.ranked
    }
    for label, found in checklists.items():
        if not found.ranking_allowed:
            why = "; ".join(f"{item.id} {item.check}: {item.evidence}" for item in found.blockers)
            board = board.without_ranking(why, label)
    checked = board.checked({label: found.summary for label, found in checklists.items()}).sorted(sort)
    return Dossier(
        study=declared,
        runs=runs,
        current=current,
        curves=curves,
        board=checked,
        checklists=checklists,
        ablations=tuple(build_ablation(declared, current)),
        across=across(checked),
        rankings=tuple(build_rankings(declared, current)) if rankings else (),
        tradeoffs=tuple(build_tradeoffs(declared, current)) if rankings else (),
    )


def _judged(
    study: StudyRecord,
    block: Any,
    current: Mapping[str, Sequence[RunRecord]],
    digests: Mapping[str, Digest],
    history: History,
    reported: int,
    checks: Sequence[CheckRecord],
) -> Checklist:
    own = current.get(block.problem, ())
    return checklist(gather(study, block, own, digests, history=history, reported=reported, checks=checks))


def _axes(spec: Mapping[str, Any], wanted: Sequence[str]) -> list[str]:
    from searchbench.results.curves import CURVE_AXES

    limited = [axis for axis in spec.get("budget", {}) if axis in CURVE_AXES] or ["evaluations"]
    return list(dict.fromkeys([*limited, *wanted]))


def _curves(runs: Sequence[RunRecord], axes: Sequence[str]) -> dict[str, Curves]:
    """Along every axis on which anything was spent."""
    from searchbench.results.curves import curves_along

    found = curves_along([run.trials for run in runs], axes)
    return {axis: c for i, (axis, c) in enumerate(found.items()) if i == 0 or (len(c.spent) and c.spent.max() > 0)}
