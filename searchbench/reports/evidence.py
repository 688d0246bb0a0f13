"""What a study leaves behind for the checklist to judge: plain values, None where nothing was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ArmKind = Literal["search", "random_search", "random_sampling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEvidence:
    """One ranked strategy of one problem.

    Attributes:
        name: its label.
        kind: a search, random search at the same budget, or random sampling of architectures.
        space, split, pipeline: hashes of search space, data split and final-training recipe.
        protocol: protocol tag of its numbers.
        seeds: search seeds of its scheduled runs.
        evaluation_seeds: seeds of the final evaluations, recorded apart.
        statuses: how each scheduled run ended.
        scores: final metric per run that ended well.
        test_reads: how often the test metric was read per final architecture, after selection.
        test_reads_in_search: how often during the search.
        selected_on: split that chose the final architecture; `selector` names the rule.
        budget_unit, spent: declared unit and what each run spent of it.
        cost_search, cost_validate, cost_final: per-run costs of the end-to-end formula.
        tuning: "untuned defaults", or what was tuned and what it cost; empty where only that of others is declared.
        tuned_here: what of the study itself it was tuned on, its tasks with their seeds; empty for nothing.
        configurations: configurations tried before the reported one.
        incumbents: validation value of the incumbent over each stretch of a run at one fidelity, lower is better.
        stretches: the run of each of those stretches, in words.
        reached: share of the budget each trajectory reaches, by run.
        runs: those runs, in words.
        notes: what stands in the records of runs beside their numbers.
        hardware, versions: class of machine; hash of library versions.
        clean_commit, lock, config_stored: whether the source was clean, lockfile hash, configuration dumped.
        components: how many novel parts it combines; `ablation` is "factorial", "partial" or None.
        relative_improvement: whether its RI over random sampling is printed.
    """

    name: str
    kind: ArmKind = "search"
    space: str | None = None
    split: str | None = None
    pipeline: str | None = None
    protocol: str | None = None
    seeds: tuple[int, ...] = ()
    evaluation_seeds: tuple[int, ...] | None = None
    statuses: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    test_reads: tuple[int, ...] | None = None
    test_reads_in_search: int | None = None
    selected_on: str | None = None
    selector: str | None = None
    budget_unit: str | None = None
    spent: tuple[float, ...] = ()
    cost_search: float | None = None
    cost_validate: float | None = None
    cost_final: float | None = None
    tuning: str | None = None
    tuned_here: str = ""
    configurations: int | None = None
    incumbents: tuple[tuple[float, ...], ...] | None = None
    stretches: tuple[str, ...] = ()
    reached: tuple[float, ...] = ()
    runs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hardware: str | None = None
    versions: str | None = None
    clean_commit: bool | None = None
    lock: str | None = None
    config_stored: bool | None = None
    components: int = 1
    ablation: Literal["factorial", "partial"] | None = None
    relative_improvement: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEvidence:
    """A tabular or surrogate benchmark in use: `sampling` says how its seeds are drawn ("one draw", "average")."""

    name: str | None = None
    version: str | None = None
    sampling: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsEvidence:
    """What the printed comparisons carry.

    Attributes:
        correction: name of the multiple-comparison correction; family_size beside it.
        p_values, with_effect, with_interval, with_n: how many p-values are printed, and how many of them with each.
        curve: definition of the anytime curve ("Def. 7", "Def. 8"); None if only end points are shown.
        expected_best: whether the expected-best curve is available.
        wall_clock_compared: whether costs are compared in wall-clock time.
    """

    correction: str | None = None
    family_size: int | None = None
    p_values: int = 0
    with_effect: int = 0
    with_interval: int = 0
    with_n: int = 0
    curve: str | None = None
    expected_best: bool = False
    wall_clock_compared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeclaredEvidence:
    """What was declared anew after results were there; texts show the first and the last declaration side by side.

    Attributes:
        looks_taken, looks_declared: looks at growing data, and those declared before the first result.
        seeds: both lists of seeds, where they differ.
        left_out: what the last declaration has not any more.
        comparison: both comparisons, where they differ.
        versions: packages of which results were made with several versions.
    """

    looks_taken: int = 1
    looks_declared: int = 1
    seeds: str = ""
    left_out: str = ""
    comparison: str = ""
    versions: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A whole study.

    Attributes:
        arms: the ranked strategies.
        manifest_runs, stored_runs: runs scheduled and runs accounted for; `failures_printed` in the tables.
        declared: of primary metric, baseline, family, delta, looks: those declared before the first run.
        declared_at, first_run_at: times, seconds since the epoch.
        redeclared: what was declared anew after results were there.
        probe: outcome of rerunning one seed: "identical", "within tolerance", "differs".
        probe_said, rebuilt_said: what those checks said, and when.
        tasks, tuned_on: tasks compared on, and tasks that strategies were tuned on.
        claims_limited: whether aggregate claims are limited to the listed tasks.
        table: the tabular benchmark, if one is used.
        proxy_ceiling, proxy_floor: for a proxy study, whether noise ceiling and #params floor are shown; None = no
            proxy study.
        reported_rows, reported_ranked: rows taken from papers, and how many of them carry a rank or bold type.
        imported: whether the runs were made elsewhere, so that what only a harness sees cannot be known.
        by_arrival: whether evaluations under way at once were told as they ended, so that no rerun can be identical.
        rebuilt: whether the exported bundle rebuilt the leaderboard byte for byte.
    """

    arms: tuple[ArmEvidence, ...]
    manifest_runs: int | None = None
    stored_runs: int | None = None
    failures_printed: bool = False
    declared: frozenset[str] = frozenset()
    declared_at: float | None = None
    first_run_at: float | None = None
    redeclared: RedeclaredEvidence = RedeclaredEvidence()
    probe: Literal["identical", "within tolerance", "differs"] | None = None
    tasks: tuple[str, ...] = ()
    tuned_on: tuple[str, ...] | None = None
    claims_limited: bool = False
    statistics: StatisticsEvidence = StatisticsEvidence()
    table: TableEvidence | None = None
    proxy_ceiling: bool | None = None
    proxy_floor: bool | None = None
    reported_rows: int = 0
    reported_ranked: int = 0
    imported: bool = False
    rebuilt: bool | None = None
    probe_said: str = ""
    by_arrival: bool = False
    rebuilt_said: str = ""
