"""A study's declarations as one history: what was run under any of them stays, and what was changed after results
could be seen is known.

Until the first run is recorded a study may be declared anew as often as one likes: nothing could be seen. The
declaration that stood then is the first that counts. Later ones may add seeds, strategies, problems and looks; what
they leave out stays all the same. Seeds added after results were there are a look at growing data, within the number
of looks that stood at the beginning or not.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from searchbench.results.records import StudyRecord

UNLIKE = ("budget", "duplicates")
"""Runs under another of these are not comparable."""
ADDABLE = "looks"
DEFAULTS: Mapping[str, Any] = {"alpha": 0.05, "family": "baseline", "estimand": "mean", "looks": 1, "reference": {}}
"""What a comparison means by a key it does not give."""
EXPLORATORY = "exploratory"


@dataclass(frozen=True, slots=True)
class Caveat:
    """What must be read with every statement about a study."""

    kind: str
    """ "exploratory", "imported", "incomplete" or "noted"."""
    reason: str
    about: str = ""
    """What it is about: "ablation", or everything where it is empty."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


@dataclass(frozen=True, slots=True)
class History:
    """Declarations of one study, from the one that stood when the first result came on.

    Attributes:
        revisions: oldest first; the last is how the study is declared now.
        seen: how many results there were when each was declared; zero for the first.
        ended: how many there are now.
    """

    revisions: tuple[StudyRecord, ...]
    seen: tuple[int, ...]
    ended: int = 0

    @classmethod
    def of(cls, revisions: Sequence[StudyRecord], finished: Mapping[str, str]) -> History:
        """The history of `revisions`, by the times at which runs finished (ISO 8601, by run id).

        A revision that was replaced before any result counts all the same where it planned a run that was recorded
        and that its successors do not plan.
        """
        ends = sorted(filter(None, map(_time, finished.values())))
        seen = [0] + [_ended_by(ends, b.created, a.created) for a, b in pairwise(revisions)]
        start = max(i for i, count in enumerate(seen) if count == 0)
        recorded = finished.keys() - _run_ids(revisions[start])
        start = next((i for i in range(start) if recorded & _run_ids(revisions[i])), start)
        return cls(tuple(revisions[start:]), tuple(seen[start:]), len(ends))

    @property
    def first(self) -> StudyRecord:
        """The declaration that stood when the first result came."""
        return self.revisions[0]

    @property
    def last(self) -> StudyRecord:
        """The declaration now."""
        return self.revisions[-1]

    @property
    def whole(self) -> StudyRecord:
        """The declaration now together with all that earlier ones planned; `looks_taken`, `left_out` and `caveats`
        stand in it, and the most looks that were ever declared."""
        return whole(self)

    @property
    def looks_taken(self) -> int:
        """Looks at growing data, this one included: each time seeds were added and there were further results."""
        known = set(_seeds(self.first))
        at = [0]
        for revision, seen in zip(self.revisions[1:], self.seen[1:], strict=True):
            if set(_seeds(revision)) - known and seen > at[-1]:
                at.append(seen)
            known |= set(_seeds(revision))
        return len(at)

    @property
    def looks_declared(self) -> int:
        """Looks declared before the first result."""
        return _looks(self.first)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What an earlier declaration has and the last has not, a phrase each: seeds, strategies, problems, rules."""
        found = [
            change for revision in self.revisions[:-1] for change in missing(revision.declared, self.last.declared)
        ]
        return tuple(dict.fromkeys(found))

    @property
    def changed(self) -> tuple[tuple[str, Any, Any], ...]:
        """Keys of the comparison that are not what they were when the first result came: key, before, now.

        Looks are not among them: those of the first declaration count, and the most of all set the level.
        """
        plans = [plan_of(revision.declared) for revision in (self.first, self.last)]
        return tuple(change for change in differences(*plans) if change[0] != ADDABLE)

    @property
    def versions(self) -> dict[str, tuple[str, ...]]:
        """Versions of each package that results were made with several of; "none" where it was not there."""
        until = (*self.seen[1:], self.ended)
        used = [
            revision.provenance.get("packages")
            for revision, before, after in zip(self.revisions, self.seen, until, strict=True)
            if after > before
        ]
        kept = [packages for packages in used if packages]
        names = dict.fromkeys(name for packages in kept for name in packages)
        found = {name: tuple(dict.fromkeys(packages.get(name, "none") for packages in kept)) for name in names}
        return {name: versions for name, versions in found.items() if len(versions) > 1}

    @property
    def mixed(self) -> str:
        """Say `versions` in words: "optuna 4.0.0 and 5.0.0; torch …"."""
        return "; ".join(f"{name} {' and '.join(versions)}" for name, versions in self.versions.items())

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """Why statements about the study are exploratory, if they are; and what its results do not share."""
        found = []
        if self.looks_taken > self.looks_declared:
            found.append(
                f"seeds were added after results were there (look {self.looks_taken}, declared: {self.looks_declared}; "
                f"{self.side_by_side('seeds')})"
            )
        if self.left_out:
            found.append(f"declared anew after results were there, without {'; '.join(self.left_out)}")
        if self.changed:
            found.append(f"the comparison was changed after results were there ({self.side_by_side('comparison')})")
        said = [Caveat(EXPLORATORY, reason) for reason in found]
        before, now = (revision.declared.get("ablation") for revision in (self.first, self.last))
        if before != now:
            how = "changed" if before else "declared"
            said.append(Caveat(EXPLORATORY, f"the ablation was {how} after results were there", about="ablation"))
        if self.mixed:
            said.append(Caveat("noted", f"results were made with several versions, which may differ: {self.mixed}"))
        return tuple(said)

    def side_by_side(self, what: str) -> str:
        """ "revision 1: 16 seeds; revision 2: 8 seeds", of "seeds", "strategies", "problems" or "comparison"."""
        shown = ((r.revision, _said(what, r.declared)) for r in (self.first, self.last))
        return "; ".join(f"revision {number}: {text}" for number, text in shown)


def missing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What the earlier of two declarations has and the later has not, or has otherwise; a phrase for each kind."""
    found = []
    if gone := [seed for seed in before.get("seeds", ()) if seed not in set(now.get("seeds", ()))]:
        found.append(f"seeds {_some(gone)}")
    for kind, identity in (("strategies", "description"), ("problems", "fingerprint")):
        old, new = (
            {entry["label"]: entry.get(identity) for entry in spec.get(kind, ()) if "label" in entry}
            for spec in (before, now)
        )
        one = kind[:-1] if kind == "problems" else "strategy"
        if gone := [f"`{label}`" for label in old if label not in new]:
            found.append(f"{one} {_some(gone)}")
        if otherwise := [f"`{label}`" for label in old if label in new and old[label] != new[label]]:
            found.append(f"{one} {_some(otherwise)} as it was")
    found += [f"the `{key}` it had" for key in UNLIKE if before.get(key, ...) != now.get(key, ...)]
    return found or _unplanned(before, now)


def _unplanned(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    planned = {entry["run_id"] for entry in now.get("planned", ())}
    gone = sum(entry["run_id"] not in planned for entry in before.get("planned", ()))
    return [f"{gone} of its planned runs"] if gone else []


def plan_of(declared: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides what is said of results, defaults left out: the comparison, and which way is better."""
    given = declared.get("comparison")
    plan = {k: v for k, v in (given or {}).items() if k != "class" and v is not None and v != DEFAULTS.get(k)}
    if given is not None:
        plan.setdefault("baseline", "none")  # told from a study that declares nothing
    metrics = {p["label"]: p.get("metric") or declared.get("metric") for p in declared.get("problems", ())}
    ways = {label: metric["better"] for label, metric in metrics.items() if metric}
    return plan | ({"better": ways} if "higher" in ways.values() else {})


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys whose values differ, with both; None stands for a key that is absent."""
    keys = dict.fromkeys([*before, *now])
    return [(key, before.get(key), now.get(key)) for key in keys if before.get(key) != now.get(key)]


def whole(history: History) -> StudyRecord:
    """The union of a history's declarations, as one declaration."""
    spec = dict(history.last.declared)
    others = [r for r in reversed(history.revisions[:-1]) if _alike(r.declared, spec)]
    spec["seeds"] = list(dict.fromkeys(seed for r in history.revisions for seed in _seeds(r)))
    for kind in ("problems", "strategies"):
        spec[kind] = _united([spec.get(kind, [])] + [_own(r, spec, kind) for r in others], "label")
    spec["planned"] = _united([spec.get("planned", [])] + [_planned(r, history.last) for r in others], "run_id")
    if spec.get("comparison"):
        spec["comparison"] = spec["comparison"] | {ADDABLE: max(map(_looks, history.revisions))}
    spec["looks_taken"], spec["left_out"] = history.looks_taken, list(history.left_out)
    caveats = [*spec.get("caveats", ()), *map(asdict, history.caveats)]
    kept = dict(history.last.provenance)
    if history.versions:
        mixed = {name: " and ".join(versions) for name, versions in history.versions.items()}
        kept |= {"packages": dict(kept.get("packages") or {}) | mixed}
    return replace(history.last, spec=json.dumps(spec | {"caveats": caveats}), provenance=kept)


def caveats_of(declared: Mapping[str, Any]) -> tuple[Caveat, ...]:
    """The caveats that stand in a declaration; results that come from elsewhere say so in `imported`."""
    imported = tuple(Caveat("imported", str(reason)) for reason in declared.get("imported", ()))
    return imported + tuple(Caveat(e["kind"], e["reason"], e.get("about", "")) for e in declared.get("caveats", ()))


def _alike(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return all(before.get(key) == now.get(key) for key in UNLIKE)


def _united(lists: Iterable[Iterable[Mapping[str, Any]]], key: str) -> list[Mapping[str, Any]]:
    """Entries in order, the first of each key."""
    found: dict[Any, Mapping[str, Any]] = {}
    for entries in lists:
        for entry in entries:
            found.setdefault(entry.get(key, id(entry)), entry)
    return list(found.values())


def _own(revision: StudyRecord, now: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    """A revision's problems or strategies; a strategy that is described otherwise now gets a label of its own."""
    entries = revision.declared.get(kind, [])
    if kind == "problems":
        return list(entries)
    names = _relabelled(revision, now)
    return [entry | {"label": names.get(entry["label"], entry["label"])} for entry in entries if "label" in entry]


def _planned(revision: StudyRecord, last: StudyRecord) -> list[Mapping[str, Any]]:
    """What a revision planned, on problems that are the same now."""
    now, names = last.declared, _relabelled(revision, last.declared)
    same = {p["label"]: p["fingerprint"] for p in now.get("problems", ()) if "fingerprint" in p}
    own = {p["label"]: p.get("fingerprint") for p in revision.declared.get("problems", ())}
    return [
        entry | {"strategy": names.get(entry["strategy"], entry["strategy"])}
        for entry in revision.declared.get("planned", ())
        if same.get(entry["problem"], own.get(entry["problem"])) == own.get(entry["problem"])
    ]


def _relabelled(revision: StudyRecord, now: Mapping[str, Any]) -> dict[str, str]:
    """Labels that stand for another description now, and what the earlier one is called."""
    present = {entry["label"]: entry.get("description") for entry in now.get("strategies", ()) if "label" in entry}
    return {
        entry["label"]: f"{entry['label']} (revision {revision.revision})"
        for entry in revision.declared.get("strategies", ())
        if entry.get("label") in present and entry.get("description") != present[entry["label"]]
    }


def _seeds(revision: StudyRecord) -> list[int]:
    return list(revision.declared.get("seeds", ()))


def _looks(revision: StudyRecord) -> int:
    return int((revision.declared.get("comparison") or {}).get("looks") or 1)


def _said(what: str, declared: Mapping[str, Any]) -> str:
    if what == "comparison":
        plan = plan_of(declared)
        return ", ".join(f"{key} {_shown(value)}" for key, value in plan.items()) or "nothing"
    values = declared.get(what, ())
    names = [str(v["label"]) if isinstance(v, Mapping) else v for v in values]
    return f"{len(names)} {what} ({_some(names)})"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _some(values: Sequence[Any], most: int = 8) -> str:
    """ "0-7, 9", or a list; no more than `most` of it."""
    if values and all(isinstance(v, int) for v in values):
        values = _ranges(sorted(values))
    more = f", … ({len(values) - most} more)" if len(values) > most else ""
    return ", ".join(str(v) for v in values[:most]) + more


def _ranges(numbers: Sequence[int]) -> list[str]:
    cuts = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(numbers)) if b != a + 1), len(numbers)]
    parts = [numbers[a:b] for a, b in pairwise(cuts)]
    return [str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts]


def _run_ids(revision: StudyRecord) -> set[str]:
    return {entry["run_id"] for entry in revision.declared.get("planned", ())}


def _ended_by(ends: Sequence[datetime], created: str, previous: str) -> int:
    """How many runs had ended when a declaration was made. One dated to the second counts that second whole, one that
    is not dated after its predecessor counts all: what was seen by then is not known."""
    at, before = _time(created), _time(previous)
    if at is None or before is None or at <= before:
        return len(ends)
    return bisect_right(ends, at if at.microsecond else at.replace(microsecond=999_999))


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.astimezone()
