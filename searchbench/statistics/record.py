"""The one shape in which every statistical question is answered.

A p-value never travels alone: an `Answer` carries the method, the library call, how many runs were used and
lost, the estimate with its interval, the effect, and one plain sentence. A refusal is an answer too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from searchbench.errors import StatisticsError

Status = Literal["ok", "refused", "degenerate", "incomplete", "undefined"]
CAVEATS = ("refused", "imported", "incomplete", "exploratory")
"""What may have to be read with an answer, in the order in which it is said."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval; `method` says how it was made ("t", "BCa bootstrap", "Wilson" …).

    Attributes:
        joint: how many intervals hold together at `level`; 1 is a single one.
    """

    low: float
    high: float
    level: float = 0.95
    method: str = "t"
    joint: int = 1

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise StatisticsError(f"an interval needs low <= high, but got [{self.low}, {self.high}]")

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"[{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True, slots=True)
class Effect:
    """A named effect size. `magnitude` is a word, withheld (None) where too few runs earn one."""

    name: str
    value: float
    interval: Interval | None = None
    magnitude: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was asked of some runs, what was done, and what may be said.

    Attributes:
        method: the statistical method, in words.
        call: the library call that computed it.
        n: runs, pairs, blocks or items the question is about (scheduled, failures included).
        n_effective: those that carried information (non-zero differences, completed runs …).
        n_failed: runs that the strategy itself lost (crash, timeout, NaN, missing without an excuse).
        estimate: the quantity asked for, in raw units; None where it cannot be had.
        interval: its confidence interval.
        effect: a standardised or rank effect beside the raw estimate.
        p: two-sided p-value, unadjusted.
        p_adj: the same, adjusted for `family_size` questions; None outside a family.
        status: "ok", or why not.
        code: the finer machine-readable reason ("insufficient_n", "identical" …); "ok" when all is well.
        refusal_reason: what is refused and what would be needed; empty unless something is.
        wording: one plain sentence, the only claim the numbers deserve.
        facts: further named values, read as `answer["name"]`.
        warnings: short sentences a reader must see beside the answer.
        caveats: what it must be read with, of `CAVEATS`; a refused or incomplete answer carries its status by itself.
    """

    method: str
    call: str
    n: int
    wording: str
    n_effective: int | None = None
    n_failed: int = 0
    estimate: float | None = None
    interval: Interval | None = None
    effect: Effect | None = None
    p: float | None = None
    p_adj: float | None = None
    family_size: int = 1
    status: Status = "ok"
    code: str = "ok"
    refusal_reason: str = ""
    facts: tuple[tuple[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "caveats", ordered((*self.caveats, self.status)))
        for name, p in (("p", self.p), ("p_adj", self.p_adj)):
            if p is not None and not 0.0 <= p <= 1.0:
                raise StatisticsError(f"`{name}` must lie in [0, 1], but got {p} from {self.method}")
        if self.p is not None and self.estimate is None and self.effect is None:
            raise StatisticsError(f"{self.method} gives a bare p-value; an estimate or an effect must stand by")
        if self.status == "refused" and not self.refusal_reason:
            raise StatisticsError(f"{self.method} refuses without a reason; say what is needed")

    def __getitem__(self, name: str) -> Any:
        known = dict(self.facts)
        if name in known:
            return known[name]
        raise KeyError(f"no fact `{name}`; there are {', '.join(k for k, _ in self.facts) or 'none'}")

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.facts)

    def get(self, name: str, default: Any = None) -> Any:
        """The fact called `name`, or `default`."""
        return dict(self.facts).get(name, default)

    def with_facts(self, **more: Any) -> Answer:
        """The answer with further named values, which replace those of the same name."""
        return replace(self, facts=tuple((dict(self.facts) | dict(facts(**more))).items()))

    def with_caveats(self, *kinds: str) -> Answer:
        """The answer under further caveats: they stand before its words, which claim nothing without them."""
        new = tuple(kind for kind in ordered(kinds) if kind not in self.caveats)
        wording = self.wording if self.status == "refused" else marked(self.wording, new)
        return replace(self, caveats=(*self.caveats, *new), wording=wording)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; intervals as [low, high], non-finite numbers as strings."""
        out: dict[str, Any] = {
            name: _plain(getattr(self, name))
            for name in ("method", "call", "n", "n_effective", "n_failed", "estimate", "p", "p_adj")
        }
        out["interval"] = None if self.interval is None else _plain((self.interval.low, self.interval.high))
        out["level"] = None if self.interval is None else self.interval.level
        out["joint"] = None if self.interval is None else self.interval.joint
        out["interval_method"] = None if self.interval is None else self.interval.method
        out["effect"] = None if self.effect is None else _plain(self.effect)
        out |= {n: getattr(self, n) for n in ("family_size", "status", "code", "refusal_reason", "wording")}
        out["warnings"], out["caveats"] = list(self.warnings), list(self.caveats)
        out["facts"] = {key: _plain(value) for key, value in self.facts}
        return out

    def __str__(self) -> str:
        return self.wording


def ordered(kinds: Iterable[str]) -> tuple[str, ...]:
    """Those of `CAVEATS` that are among `kinds`, in their order."""
    given = set(kinds)
    return tuple(kind for kind in CAVEATS if kind in given)


def marked(text: str, kinds: Iterable[str]) -> str:
    """ "imported, exploratory: A is better than B"; the text alone under no caveat."""
    said = ", ".join(ordered(kinds))
    return f"{said}: {text}" if said else text


def facts(**named: Any) -> tuple[tuple[str, Any], ...]:
    """Named values frozen into tuples and Python scalars, so that an answer hashes and pickles."""
    return tuple((name, freeze(value)) for name, value in named.items())


def freeze(value: Any) -> Any:
    """Arrays and lists become tuples, numpy scalars Python ones; dictionaries become pairs."""
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiub":
        return tuple(value.tolist())
    if isinstance(value, np.ndarray | np.generic):
        return freeze(value.tolist())
    if isinstance(value, dict):
        return tuple((key, freeze(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value


def refused(method: str, call: str, n: int, reason: str, *, code: str = "insufficient_n", **known: Any) -> Answer:
    """A refusal: the test is not done, and `reason` says why and what is needed. `known` fills other fields."""
    known.setdefault("wording", reason)
    return Answer(method=method, call=call, n=n, status="refused", code=code, refusal_reason=reason, **known)


def _plain(value: Any) -> Any:
    if isinstance(value, Effect):
        interval = None if value.interval is None else _plain((value.interval.low, value.interval.high))
        return {
            "name": value.name, "value": _plain(value.value), "interval": interval, "magnitude": value.magnitude
        }  # fmt: skip
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
