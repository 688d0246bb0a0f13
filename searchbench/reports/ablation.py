"""What each part of a method contributes, as far as the study's design lets it be told.

All combinations of the declared parts make a factorial: main effects and interactions. Parts added to the base, or
left out of the full method, one at a time make a ladder, which cannot tell interactions apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from searchbench.errors import InputError
from searchbench.metric import Metric
from searchbench.reports.leaderboard import current_runs, incomplete, noted
from searchbench.reports.standing import Declared, as_arm
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import ResultStore

if TYPE_CHECKING:
    from searchbench.statistics import Answer, Arm, Factorial, Rung

HOW = 'declare it in the study file: [ablation] with base = "label" and factors = { PART = ["labels that have it"] }'


@dataclass(frozen=True, slots=True)
class AblationCell:
    """One combination of parts."""

    parts: frozenset[str]
    strategy: str
    answer: Answer
    """Mean and interval of its test error, in shown units."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """The ablation of one problem."""

    study: str
    problem: str
    factors: tuple[str, ...]
    parts: tuple[str, ...]
    """What strategies may have beside the base: each part, and each level of a setting that is not the base's."""
    cells: tuple[AblationCell, ...]
    missing: tuple[str, ...]
    """Combinations that no strategy stands for."""
    effects: Mapping[str, Answer]
    """Main effects and interactions; empty where combinations are missing."""
    ladder: tuple[Rung, ...]
    """Each part added to the base and taken from the full method, as far as those ran."""
    metric: Metric
    """What was measured."""
    alpha: float
    notes: tuple[str, ...] = field(default=())
    caveats: tuple[str, ...] = ()
    """What the conclusion must be read with; see `Answer.caveats`."""

    @property
    def unit(self) -> str:
        """What effects are counted in: "percentage points", the metric's unit, or nothing."""
        return self.metric.difference_unit

    @property
    def confidence(self) -> str:
        """ "95 %": the level of the effects' intervals, each by itself."""
        levels = {answer.interval.level for answer in self._answers() if answer.interval is not None}
        return " / ".join(f"{100 * level:.4g} %" for level in sorted(levels)) or f"{100 * (1 - self.alpha):.4g} %"

    def _answers(self) -> Iterator[Answer]:
        yield from self.effects.values()
        yield from (a for rung in self.ladder for a in (rung.added, rung.removed) if a is not None)

    @property
    def established(self) -> tuple[str, ...]:
        """Effects that are shown, by the rule that lets a strategy be called better."""
        return tuple(name for name, answer in self.effects.items() if _holds(answer, self.alpha))

    @property
    def conclusion(self) -> str:
        """What is established, in one sentence, under its caveats."""
        from searchbench.statistics.record import marked

        return marked(self._concluded(), self.caveats)

    def _concluded(self) -> str:
        if not self.effects:
            what = f"the design is partial ({', '.join(self.missing)} not run), so interactions are not identified"
            rungs = [r for r in self.ladder if any(_holds(a, self.alpha) for a in (r.added, r.removed))]
            if rungs:
                return f"Established one at a time: {', '.join(r.component for r in rungs)}; {what}."
            return f"Nothing is established: {what}, and no single step reaches significance."
        yes = [f"{name} ({_signed(self.effects[name], self.metric)})" for name in self.established]
        no = [name for name in self.effects if name not in self.established]
        unit = f" {self.unit}" if self.unit else ""
        first = (
            f"Established{' (in' + unit + ')' if unit else ''}: {', '.join(yes)}" if yes else "Nothing is established"
        )
        if not no:
            return f"{first}."
        refusals = dict.fromkeys(a.refusal_reason for a in self.effects.values() if a.status == "refused")
        why = f" ({'; '.join(refusals)})" if refusals else ""
        additive = " That parts merely add up is not shown either: that would take an equivalence test."
        tail = additive if any("×" in name for name in no) else ""
        return f"{first}; not established: {', '.join(no)}{why}.{tail}"


def ablation(store: ResultStore, study: str | None = None) -> list[Ablation]:
    """The ablation of a study on each problem.

    Raises:
        StoreError: there is no such study.
        InputError: it declares no ablation.
    """
    declared = store.history(study).whole
    spec = declared.declared
    if not spec.get("ablation"):
        raise InputError(f"study `{declared.name}` declares no ablation; {HOW}.")
    runs, _ = current_runs(declared, store.runs(declared.name, recordings=False))
    return build(declared, runs)


def build(study: StudyRecord, runs: Mapping[str, Sequence[RunRecord]]) -> list[Ablation]:
    """The ablations of the comparable runs of each problem; nothing where no ablation is declared."""
    spec = study.declared
    if not spec.get("ablation"):
        return []
    labels = [problem["label"] for problem in spec["problems"]]
    planned = Counter((entry["problem"], entry["strategy"]) for entry in spec.get("planned", ()))
    plans = {label: Declared.of(spec, "ablation", label) for label in labels}
    return [_one(study.name, p, spec["ablation"], runs.get(p, ()), plans[p], planned) for p in labels]


def _one(
    study: str,
    problem: str,
    plan: Mapping[str, Any],
    runs: Sequence[RunRecord],
    declared: Declared,
    planned: Mapping[tuple[str, str], int],
) -> Ablation:
    from searchbench import statistics as st
    from searchbench.statistics.factorial import Design

    levels = levels_of(plan)
    design, factors = Design.of(levels), tuple(levels)
    possible = tuple(_part(factor, level) for factor, own in levels.items() for level in own[1:])
    parts = parts_of(plan)
    own = {label: [run for run in runs if run.strategy == label] for label in parts}
    metric = declared.measured(run for some in own.values() for run in some)
    arms = {parts[label]: as_arm(label, some, metric) for label, some in own.items() if some}
    placed = {_place(own, levels): arm for own, arm in arms.items()}
    missing = tuple(design.label(c) for c in design.cells() if c not in placed)
    alpha = declared.level
    ordered = sorted(arms.items(), key=lambda item: _order(item[0], possible))
    lacking = sum(max(0, planned.get((problem, label), 0) - len(some)) for label, some in own.items())
    caveats = declared.caveats + incomplete(lacking, sum(planned.get((problem, label), 0) for label in own))
    kinds = tuple(dict.fromkeys(caveat.kind for caveat in caveats))
    found: Factorial | None = None
    if not missing:
        found = st.factorial(placed, levels, paired_by_seed=True, **_asked(declared, metric))
    rungs = _ladder(arms, possible, _asked(declared, metric), decides=found is None)
    return Ablation(
        study=study,
        problem=problem,
        factors=factors,
        parts=possible,
        cells=tuple(AblationCell(parts, arm.name, st.describe(arm, level=1 - alpha)) for parts, arm in ordered),
        missing=missing,
        effects={name: a.with_caveats(*kinds) for name, a in found.effects.items()} if found is not None else {},
        ladder=tuple(_under(rung, kinds) for rung in rungs),
        metric=metric,
        alpha=alpha,
        notes=(*map(str, caveats), *noted(run for some in own.values() for run in some)),
        caveats=kinds,
    )


def parts_of(plan: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The parts of each strategy named in a declaration, by label; "rate=high" for a level that is not the base's."""
    found: dict[str, set[str]] = {plan["base"]: set()}
    for factor, own in dict(plan["factors"]).items():
        base = _level_of(plan["base"], own)
        for level, labels in own if _has_levels(own) else [(factor, own)]:
            for label in labels:
                have = found.setdefault(label, set())
                if level != base:
                    have.add(_part(factor, level))
    return {label: frozenset(have) for label, have in found.items()}


def levels_of(plan: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The levels of each factor, the base's first; of a part that is present or absent, "" and its name."""
    found = {}
    for factor, own in dict(plan["factors"]).items():
        base = _level_of(plan["base"], own)
        found[factor] = (base, *(x for x, _ in own if x != base)) if _has_levels(own) else ("", factor)
    return found


def _has_levels(own: Sequence[Any]) -> bool:
    return not isinstance(own[0], str)


def _level_of(label: str, own: Sequence[Any]) -> str:
    return next((str(level) for level, labels in own if label in labels), "") if _has_levels(own) else ""


def _part(factor: str, level: str) -> str:
    return factor if level == factor else f"{factor}={level}"


def _place(parts: frozenset[str], levels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The level of each factor in one combination of parts."""
    return tuple(next((x for x in own[1:] if _part(f, x) in parts), own[0]) for f, own in levels.items())


def _asked(declared: Declared, metric: Metric) -> dict[str, Any]:
    """Alpha, rope and estimand as they were declared, in shown units."""
    rope = None if declared.rope is None else declared.rope * metric.scale
    return {"alpha": declared.level, "rope": rope, "estimand": declared.estimand}


def _ladder(
    arms: Mapping[frozenset[str], Arm], factors: Sequence[str], asked: Mapping[str, Any], *, decides: bool
) -> tuple[Rung, ...]:
    """Single steps; where a factorial decides they describe, for a second family would double the error."""
    from searchbench import statistics as st

    base, whole = frozenset[str](), frozenset(factors)
    if base not in arms or whole not in arms or len(factors) < 2:
        return ()
    added = {f: arms[frozenset({f})] for f in factors if frozenset({f}) in arms}
    removed = {f: arms[whole - {f}] for f in factors if whole - {f} in arms}
    if not added and not removed:
        return ()
    rungs = st.ladder(arms[base], arms[whole], added, removed, better=arms[base].better or "lower", **asked)
    return rungs if decides else tuple(_described(rung) for rung in rungs)


def _described(rung: Rung) -> Rung:
    return replace(rung, added=_without_p(rung.added), removed=_without_p(rung.removed))


def _without_p(answer: Answer | None) -> Answer | None:
    from searchbench.statistics.claims import said_interval

    if answer is None or answer.estimate is None:
        return answer
    interval = "" if answer.interval is None else f" {said_interval(answer.interval)}"
    text = f"effect {answer.estimate:+.4g}{interval}: described, the factorial decides"
    return replace(answer, p=None, p_adj=None, wording=text)


def _under(rung: Rung, kinds: Sequence[str]) -> Rung:
    added, removed = (None if a is None else a.with_caveats(*kinds) for a in (rung.added, rung.removed))
    return replace(rung, added=added, removed=removed)


def _order(parts: frozenset[str], factors: Sequence[str]) -> tuple[int, list[int]]:
    return len(parts), sorted(factors.index(part) for part in parts)


def _holds(answer: Answer | None, alpha: float) -> bool:
    from searchbench.statistics.claims import established

    return established(answer, alpha=alpha, rope=None if answer is None else answer.get("rope"))


def _signed(answer: Answer, metric: Metric) -> str:
    if answer.estimate is None:
        return "–"
    text = metric.number(answer.estimate, abs(answer.estimate))
    return text if text.startswith("-") else f"+{text}"
