"""Thirty machine-checked practices of fair comparison: PASS, WARN, FAIL or N-A, each with its evidence.

C01-C04, C09 and C17 are blocking: a FAIL there removes the ranking, not just a badge. Evidence that was not recorded
never passes: it warns, and fails where it would block.

Sources: BPn = Lindauer & Hutter (JMLR 2020), practice n; L&T = Li & Talwalkar (2019); Yang et al. (2020); Dodge et
al. (2019).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from searchbench.reports.evidence import ArmEvidence, Evidence
from searchbench.statistics.comparability import Protocol
from searchbench.statistics.power import min_pairs
from searchbench.statistics.random_baseline import MIN_ARCHITECTURES

BUDGET_TOLERANCE = 0.01
NAMED = 4
DECLARATIONS = {
    "primary metric": "`metric`", "baseline": "`baseline`", "family": "`family`", "delta": "`rope`", "looks": "`looks`"
}  # fmt: skip
"""What must be declared, and the key of the study file that does."""


NOT_IMPORTED = frozenset(
    {"C01", "C02", "C03", "C04", "C06", "C09", "C10", "C11", "C12", "C13", "C14", "C19", "C20", "C21", "C22", "C26"}
)
"""What only the harness that ran the searches can have seen; of imported runs it is not known."""
NOT_RECORDED = "imported, not recorded here"


class Verdict(StrEnum):
    """How one practice was met."""

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"
    NA = "N-A"


Found = tuple[Verdict, str]


@dataclass(frozen=True, slots=True)
class Item:
    """One judged practice.

    Attributes:
        id: "C01" … "C30".
        check: the practice, in one line.
        verdict: how it was met.
        evidence: what was seen.
        source: who asks for it.
        blocking: whether a FAIL removes the ranking.
    """

    id: str
    check: str
    verdict: Verdict
    evidence: str
    source: str
    blocking: bool


@dataclass(frozen=True, slots=True)
class Checklist:
    """All thirty items of one study."""

    items: tuple[Item, ...]

    def __getitem__(self, id: str) -> Item:
        return next(item for item in self.items if item.id == id)

    def of(self, verdict: Verdict) -> tuple[Item, ...]:
        """The items with this verdict."""
        return tuple(item for item in self.items if item.verdict is verdict)

    @property
    def blockers(self) -> tuple[Item, ...]:
        """Failed items that remove the ranking."""
        return tuple(item for item in self.of(Verdict.FAIL) if item.blocking)

    @property
    def ranking_allowed(self) -> bool:
        """Whether the leaderboard may carry ranks."""
        return not self.blockers

    @property
    def summary(self) -> str:
        """`Checklist 24/28, 3 warn, 1 fail: C07`; items that do not apply are left out of the count."""
        passed, warned, failed = (len(self.of(v)) for v in (Verdict.PASS, Verdict.WARN, Verdict.FAIL))
        text = f"Checklist {passed}/{passed + warned + failed}, {warned} warn, {failed} fail"
        named = ", ".join(item.id for item in self.of(Verdict.FAIL))
        tail = "" if self.ranking_allowed else "; ranking removed by " + ", ".join(i.id for i in self.blockers)
        return text + (f": {named}" if named else "") + tail


def checklist(evidence: Evidence) -> Checklist:
    """Judge every practice on the evidence of one study."""
    items = []
    for id, text, source, blocking, judge in CHECKS:
        unknown = evidence.imported and id in NOT_IMPORTED
        verdict, seen = (Verdict.NA, NOT_RECORDED) if unknown else judge(evidence)
        counted = judge is _accounted and None not in (evidence.manifest_runs, evidence.stored_runs)
        if blocking and verdict is Verdict.WARN and not counted:  # what is not known must not be ranked by
            verdict = Verdict.FAIL
        items.append(Item(id, text, verdict, seen, source, blocking))
    return Checklist(tuple(items))


def _shared(field: str) -> Callable[[Evidence], Found]:
    """Every ranked arm recorded `field`, and all the same."""

    def judge(e: Evidence) -> Found:
        if not e.arms:
            return Verdict.WARN, "no ranked arm"
        by_value: dict[str | None, list[str]] = {}
        for arm in e.arms:
            by_value.setdefault(getattr(arm, field), []).append(arm.name)
        if None in by_value:
            return Verdict.WARN, f"{field} not recorded for {_names(by_value[None])}"
        if len(by_value) > 1:
            return Verdict.FAIL, "; ".join(f"{field} {v}: {_names(n)}" for v, n in by_value.items())
        return Verdict.PASS, f"{field} {next(iter(by_value))} for all {len(e.arms)} arms"

    return judge


def _every(e: Evidence, met: Callable[[ArmEvidence], bool | None], what: str) -> Found:
    """PASS if `met` of every arm, FAIL where it is not, WARN where nothing was recorded."""
    seen = {arm.name: met(arm) for arm in e.arms}
    broken, unknown = [n for n, s in seen.items() if s is False], [n for n, s in seen.items() if s is None]
    if broken:
        return Verdict.FAIL, f"{what}: not for {_names(broken)}"
    if unknown or not seen:
        return Verdict.WARN, f"{what}: not recorded for {_names(unknown) or 'any arm'}"
    return Verdict.PASS, f"{what}: all {len(seen)} arms"


def _all_or_none(values: Iterable[bool | None]) -> bool | None:
    known = list(values)
    if any(v is False for v in known):
        return False
    return None if not known or any(v is None for v in known) else True


def _protocol(e: Evidence) -> Found:
    best = [a.name for a in e.arms if a.protocol == Protocol.BEST_ARCH_REEVALUATED]
    if best and len(best) < len(e.arms):
        return Verdict.FAIL, f"best-of rows among others: {_names(best)}"
    return _shared("protocol")(e)


def _seeds(e: Evidence) -> Found:
    compared = [a for a in e.arms if a.kind != "random_sampling"]
    if not compared or not all(a.seeds for a in compared):
        return Verdict.WARN, "seeds not recorded"
    again = e.redeclared
    if again.looks_taken > again.looks_declared or again.left_out:
        looks = f"look {again.looks_taken}, declared: {again.looks_declared}"
        return Verdict.FAIL, f"seeds declared anew after results were there ({looks}): {again.seeds}"
    fewest, need = min(len(a.seeds) for a in compared), min_pairs(0.05, max(1, len(compared) - 1))
    if len({tuple(sorted(a.seeds)) for a in compared}) > 1:
        return Verdict.FAIL, f"arms ran different seeds: {_names(f'{a.name} {list(a.seeds)}' for a in compared)}"
    if fewest < need:
        return Verdict.FAIL, f"{fewest} seeds per arm; {need} are needed for {len(compared)} arms"
    looks = f", look {again.looks_taken} of {again.looks_declared} declared" if again.looks_taken > 1 else ""
    return Verdict.PASS, f"{fewest} seeds per arm, the same list{looks}"


def _two_seeds(e: Evidence) -> Found:
    return _every(
        e, lambda a: None if a.evaluation_seeds is None else bool(a.seeds), "search and evaluation seed apart"
    )


def _random_search(e: Evidence) -> Found:
    arms = [a for a in e.arms if a.kind == "random_search"]
    if not arms:
        return Verdict.FAIL, "no random-search arm"
    return Verdict.PASS, f"random search: {_names(a.name for a in arms)}"


def _random_sampling(e: Evidence) -> Found:
    arms = [a for a in e.arms if a.kind == "random_sampling"]
    if not arms:
        return Verdict.FAIL, "no random-sampling arm"
    drawn = max(len(a.scores) for a in arms)
    if drawn < MIN_ARCHITECTURES:
        return Verdict.FAIL, f"{drawn} random architectures; {MIN_ARCHITECTURES} are needed"
    if not all(a.relative_improvement for a in e.arms if a.kind != "random_sampling"):
        return Verdict.WARN, "relative improvement not printed for every strategy"
    return Verdict.PASS, f"{drawn} random architectures, RI printed"


def _test_reads(e: Evidence) -> Found:
    def once(a: ArmEvidence) -> bool | None:
        if a.test_reads is None or a.test_reads_in_search is None:
            return None
        return a.test_reads_in_search == 0 and all(r == 1 for r in a.test_reads)

    return _every(e, once, "test metric read once, after selection")


def _selection(e: Evidence) -> Found:
    def on_validation(a: ArmEvidence) -> bool | None:
        if a.selected_on is None or a.selector is None:
            return None
        return a.selected_on == "validation"

    return _every(e, on_validation, "selected on validation by a declared rule")


def _budget(e: Evidence) -> Found:
    arms = [a for a in e.arms if a.kind != "random_sampling"]
    if not arms or any(a.budget_unit is None or not a.spent for a in arms):
        return Verdict.WARN, "budget not recorded for every arm"
    if len({a.budget_unit for a in arms}) > 1:
        return Verdict.FAIL, f"budgets in different units: {_names({str(a.budget_unit) for a in arms})}"
    least, most = min(min(a.spent) for a in arms), max(max(a.spent) for a in arms)
    seen = f"{least:g} to {most:g} {arms[0].budget_unit}"
    return (Verdict.PASS if most <= least * (1 + BUDGET_TOLERANCE) else Verdict.FAIL), seen


def _cost(e: Evidence) -> Found:
    def known(a: ArmEvidence) -> bool | None:
        parts = (a.cost_search, a.cost_validate)
        return None if None in parts else all(p is not None and math.isfinite(p) and p >= 0 for p in parts)

    return _every(e, known, "end-to-end cost k(T_search + T_valid) [+ T_final]")


def _tuning(e: Evidence) -> Found:
    what = "tuning cost or 'untuned defaults'"
    if here := [f"{a.name} on {a.tuned_here}" for a in e.arms if a.tuned_here]:
        return Verdict.FAIL, f"tuned on what is compared: {_names(here)}"
    if silent := [a.name for a in e.arms if a.tuning is None]:
        return Verdict.WARN, f"{what}: where settings are from is not declared ([tuning]) for {_names(silent)}"
    found = _every(e, lambda a: None if a.tuning is None else bool(a.tuning), what)
    if found[0] is not Verdict.PASS:
        return found
    said = [f"{a.name}: {a.tuning}" for a in e.arms if a.tuning and a.tuning != "untuned defaults"]
    return Verdict.PASS, "; ".join([f"untuned defaults: {len(e.arms) - len(said)} of {len(e.arms)} arms", *said])


def _tried(e: Evidence) -> Found:
    found = _every(e, lambda a: None if a.configurations is None else a.configurations >= 1, "configurations tried")
    if found[0] is Verdict.PASS and not e.statistics.expected_best:
        return Verdict.WARN, "configurations recorded, but no expected-best curve"
    return found


def _curve(e: Evidence) -> Found:
    if e.statistics.curve is None:
        return Verdict.FAIL, "end points only"
    return Verdict.PASS, f"anytime curve, {e.statistics.curve}"


def _monotone(e: Evidence) -> Found:
    what = "incumbent monotone, finite, to the end of the budget"
    broken = [f"{a.name} {reason}" for a in e.arms for reason in _unsound(a)]
    if broken:
        more = f"; {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        return Verdict.FAIL, f"{what}: not for {'; '.join(broken[:NAMED])}{more}"
    return _every(e, lambda a: None if a.incumbents is None else True, what)


def _unsound(a: ArmEvidence) -> list[str]:
    """Each run whose trajectory is not as it should be, and why."""
    found = []
    names = itertools.chain(a.stretches, itertools.repeat("one run"))
    for name, stretch in zip(names, a.incumbents or (), strict=False):
        rise = next(((x, y) for x, y in itertools.pairwise(stretch) if not x >= y), None)
        if not all(map(math.isfinite, stretch)):
            found.append(f"({name}: a value is not finite)")
        elif rise is not None:
            found.append(f"({name}: rose from {rise[0]:.4g} to {rise[1]:.4g} at one fidelity)")
    if a.kind != "random_sampling":  # one draw, whatever the budget
        names = itertools.chain(a.runs, itertools.repeat("one run"))
        short = [(n, r) for n, r in zip(names, a.reached, strict=False) if r < 1 - BUDGET_TOLERANCE]
        found += [f"({name}: ended at {share:.0%} of the budget)" for name, share in short]
    return found


def _accounted(e: Evidence) -> Found:
    if e.manifest_runs is None or e.stored_runs is None:
        return Verdict.WARN, "manifest or results not counted"
    seen = f"{e.stored_runs} of {e.manifest_runs} scheduled runs accounted for"
    if e.manifest_runs != e.stored_runs:
        return Verdict.FAIL, seen
    if e.redeclared.left_out:
        return (
            Verdict.FAIL,
            f"{seen}, but the last declaration leaves out {e.redeclared.left_out}: {e.redeclared.seeds}",
        )
    again = e.redeclared
    lost = Counter(s for a in e.arms for s in a.statuses if s != "ok")
    if lost and not e.failures_printed:
        return Verdict.FAIL, f"{seen}, but {sum(lost.values())} that did not complete are not printed"
    ended = ", ".join(f"{n} {s}" for s, n in sorted(lost.items())) or "none failed"
    if again.looks_taken > again.looks_declared:
        return Verdict.WARN, f"{seen}; {ended}; not all were scheduled before the first result: {again.seeds}"
    noted = [f"{a.name}, {note}" for a in e.arms for note in a.notes]
    if noted:
        more = f"; and {len(noted) - NAMED} more" if len(noted) > NAMED else ""
        return Verdict.WARN, f"{seen}; {ended}; {'; '.join(noted[:NAMED])}{more}"
    return Verdict.PASS, f"{seen}; {ended}"


def _duplicates(e: Evidence) -> Found:
    flat = [a.name for a in e.arms if len(a.scores) > 1 and len(set(a.scores)) == 1]
    by_vector: dict[tuple[float, ...], list[str]] = {}
    for a in e.arms:
        if len(a.scores) > 1:
            by_vector.setdefault(a.scores, []).append(a.name)
    same = [names for names in by_vector.values() if len(names) > 1]
    if same:
        return Verdict.FAIL, f"identical score vectors: {'; '.join(_names(n) for n in same)}"
    if flat:
        return Verdict.WARN, f"one score at every seed: {_names(flat)}"
    return (Verdict.PASS, "all score vectors differ") if by_vector else (Verdict.WARN, "no scores")


def _environment(e: Evidence) -> Found:
    if e.redeclared.versions:
        verdict = Verdict.FAIL if e.statistics.wall_clock_compared else Verdict.WARN
        return verdict, f"results were made with several versions: {e.redeclared.versions}"
    if not e.statistics.wall_clock_compared:
        return Verdict.PASS, "cost is not compared in wall-clock time"
    for field in ("hardware", "versions"):
        found = _shared(field)(e)
        if found[0] is not Verdict.PASS:
            return found
    return Verdict.PASS, "one hardware class, one set of versions"


def _provenance(e: Evidence) -> Found:
    def kept(a: ArmEvidence) -> bool | None:
        return _all_or_none((a.clean_commit, None if a.lock is None else bool(a.lock), a.config_stored))

    return _every(e, kept, "clean commit, lockfile, configuration")


def _probe(e: Evidence) -> Found:
    if e.by_arrival:
        return Verdict.FAIL, 'results were told in order of arrival (`order = "arrival"`), which no rerun repeats'
    if e.probe is None:
        return Verdict.WARN, "no seed was rerun (`searchbench verify` does)"
    return (Verdict.FAIL if e.probe == "differs" else Verdict.PASS), e.probe_said or f"rerun of one seed: {e.probe}"


def _ablation(e: Evidence) -> Found:
    many = [a for a in e.arms if a.components > 1]
    if not many:
        return Verdict.NA, "no strategy of several components"
    if missing := [a.name for a in many if a.ablation is None]:
        return Verdict.FAIL, f"no ablation of {_names(missing)}"
    if partial := [a.name for a in many if a.ablation == "partial"]:
        return Verdict.WARN, f"partial, interactions not identified: {_names(partial)}"
    return Verdict.PASS, f"factorial: {_names(a.name for a in many)}"


def _declared(e: Evidence) -> Found:
    again = e.redeclared
    if again.comparison:
        return Verdict.FAIL, f"changed after results were there: {again.comparison}"
    if missing := DECLARATIONS.keys() - e.declared:
        return Verdict.FAIL, f"not declared: {_names(sorted(DECLARATIONS[name] for name in missing))}"
    if again.looks_taken > again.looks_declared or again.left_out:
        return Verdict.FAIL, f"seeds and looks were not declared first: {again.seeds}"
    if e.declared_at is None or e.first_run_at is None:
        return Verdict.WARN, "declared, but when is not recorded"
    before = e.declared_at <= e.first_run_at
    return (Verdict.PASS if before else Verdict.FAIL), f"declared {'before' if before else 'after'} the first run"


def _correction(e: Evidence) -> Found:
    s = e.statistics
    if s.p_values == 0:
        return Verdict.NA, "no p-value is printed"
    if s.correction is None or s.family_size is None:
        return Verdict.FAIL, f"{s.p_values} p-values without correction or family size"
    return Verdict.PASS, f"{s.correction} over {s.family_size}"


def _effects(e: Evidence) -> Found:
    s = e.statistics
    if s.p_values == 0:
        return Verdict.NA, "no p-value is printed"
    least = min(s.with_effect, s.with_interval, s.with_n)
    seen = f"{least} of {s.p_values} p-values with effect, interval and n"
    return (Verdict.PASS if least >= s.p_values else Verdict.FAIL), seen


def _tasks(e: Evidence) -> Found:
    if e.tuned_on is None:
        return Verdict.WARN, "tasks used for tuning not recorded"
    fresh = [t for t in e.tasks if t not in e.tuned_on]
    if len(fresh) < 2:
        tuned = f" (tuned on: {_names(e.tuned_on)})" if e.tuned_on else ""
        return Verdict.FAIL, f"{len(fresh)} tasks that were not tuned on{tuned}; 2 are needed"
    if len(e.tasks) < 5 and not e.claims_limited:
        return Verdict.WARN, f"{len(e.tasks)} tasks: limit claims to {_names(e.tasks)}"
    return Verdict.PASS, f"{len(fresh)} tasks not tuned on"


def _table(e: Evidence) -> Found:
    if e.table is None:
        return Verdict.NA, "no table or surrogate"
    parts = {"name": e.table.name, "version": e.table.version, "seed sampling": e.table.sampling}
    if missing := [k for k, v in parts.items() if not v]:
        return Verdict.FAIL, f"table without {_names(missing)}"
    return Verdict.PASS, ", ".join(str(v) for v in parts.values())


def _proxy(e: Evidence) -> Found:
    if e.proxy_ceiling is None and e.proxy_floor is None:
        return Verdict.NA, "no proxy study"
    missing = [n for n, v in (("noise ceiling", e.proxy_ceiling), ("#params floor", e.proxy_floor)) if not v]
    return (Verdict.FAIL, f"not shown: {_names(missing)}") if missing else (Verdict.PASS, "ceiling and floor shown")


def _reported(e: Evidence) -> Found:
    if e.reported_rows == 0:
        return Verdict.NA, "no external number"
    seen = f"{e.reported_ranked} of {e.reported_rows} reported rows ranked or bold"
    return (Verdict.FAIL if e.reported_ranked else Verdict.PASS), seen


def _rebuilt(e: Evidence) -> Found:
    if e.rebuilt is None:
        return Verdict.WARN, "the exported bundle was not tried (`searchbench export` does)"
    said = e.rebuilt_said or ("rebuilt byte for byte" if e.rebuilt else "the rebuilt leaderboard differs")
    return (Verdict.PASS if e.rebuilt else Verdict.FAIL), said


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


CHECKS: tuple[tuple[str, str, str, bool, Callable[[Evidence], Found]], ...] = (
    ("C01", "same search-space hash for all ranked rows", "BP4", True, _shared("space")),
    ("C02", "same data split and version", "BP4", True, _shared("split")),
    ("C03", "same final-training pipeline", "BP1, Yang", True, _shared("pipeline")),
    ("C04", "same evaluation protocol; no best-of rows mixed", "BP6", True, _protocol),
    ("C05", "enough seeds per arm, the same list, printed", "BP9, L&T", False, _seeds),
    ("C06", "search and evaluation seeds recorded apart", "Yang", False, _two_seeds),
    ("C07", "random-search arm at equal budget", "BP8, L&T", False, _random_search),
    ("C08", "random-sampling arm, relative improvement printed", "BP8, Yang", False, _random_sampling),
    ("C09", "test metric read exactly once, after selection", "L&H", True, _test_reads),
    ("C10", "selection used validation only; selector declared", "BP6", False, _selection),
    ("C11", "equal budget in a declared unit, to within one more slice", "BP7", False, _budget),
    ("C12", "end-to-end cost per arm", "BP13", False, _cost),
    ("C13", "tuning cost included, or untuned defaults", "BP12, Yang", False, _tuning),
    ("C14", "configurations tried recorded; expected-best curve", "Dodge", False, _tried),
    ("C15", "anytime curve present, variant named", "BP7", False, _curve),
    ("C16", "incumbent monotone, finite, reaches the budget", "searchbench", False, _monotone),
    ("C17", "all scheduled runs accounted for, failures printed", "searchbench", True, _accounted),
    ("C18", "no duplicated score vectors", "HPOBench#138", False, _duplicates),
    ("C19", "same hardware and versions, or no wall-clock comparison", "BP11, BP14", False, _environment),
    ("C20", "clean commit, lockfile and configuration stored", "BP1-3, BP14", False, _provenance),
    ("C21", "rerun of one seed reproduces", "L&T", False, _probe),
    ("C22", "ablation of every multi-component strategy", "BP5", False, _ablation),
    ("C23", "metric, baseline, family, rope, looks declared first", "Bouthillier", False, _declared),
    ("C24", "correction and family size printed", "Demsar", False, _correction),
    ("C25", "effect, interval and n beside every p", "Agarwal", False, _effects),
    ("C26", "two tasks not used for tuning; claims limited", "Yang", False, _tasks),
    ("C27", "table named, versioned, seed sampling stated", "BP10, HPOBench#66", False, _table),
    ("C28", "proxy study shows ceiling and floor", "Yang", False, _proxy),
    ("C29", "external numbers reported, never ranked", "BP4", False, _reported),
    ("C30", "exported bundle rebuilds the leaderboard", "L&T", False, _rebuilt),
)
