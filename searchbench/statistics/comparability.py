"""What may be ranked with what. Rows of another protocol, budget, space, pipeline or split stand apart, unranked.

A best-of-4 row of plain DARTS (2.82 ± 0.19) is expected at 2.62, the *mean* of DARTS-PRIME: one tag decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Literal

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Better
from searchbench.statistics.record import Answer, facts, refused


class Protocol(StrEnum):
    """How a row's number came about."""

    MULTI_SEARCH_ONE_EVAL = "multi_search_one_eval"
    MULTI_SEARCH_MULTI_EVAL = "multi_search_multi_eval"
    BEST_ARCH_REEVALUATED = "best_arch_reevaluated"
    SINGLE = "single"
    REPORTED_UNVERIFIED = "reported_unverified"


Source = Literal["measured", "reported"]


@dataclass(frozen=True, slots=True)
class Key:
    """Everything two rows must share to be ranked together; each field is a hash or a plain name."""

    task: str
    metric: str
    space: str
    pipeline: str
    split: str
    protocol: Protocol
    budget: str

    def differs_from(self, other: Key) -> tuple[str, ...]:
        """Names of the fields in which two keys differ."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Attributes:
        name: the strategy.
        key: what it is comparable with.
        mean, std, n: the number; std and n None where the source gives none.
        source: "reported" rows are shown with their marks and never ranked.
        marks: "*" best-of re-evaluated, "†" other space, "‡" re-evaluated by others.
        reference: where a reported row was printed.
        cost: search cost in `cost_unit`.
    """

    name: str
    key: Key
    mean: float
    std: float | None = None
    n: int | None = None
    source: Source = "measured"
    marks: str = ""
    reference: str = ""
    cost: float | None = None
    cost_unit: str = "GPU-days"

    @property
    def shown(self) -> str:
        """`2.62 ± 0.07 (n=4)`, never `± 0.00` for a single run."""
        spread = f" ± {self.std:g}" if self.std is not None and self.n != 1 else ""
        count = f" (n={self.n})" if self.n is not None else ""
        return f"{self.mean:g}{spread}{count}{self.marks}"


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that share a key. `ranked` is the one block that may carry ranks; `why` says how the others differ."""

    key: Key
    rows: tuple[Row, ...]
    ranked: bool
    why: str = ""


def blocks(rows: Iterable[Row], *, key: Key | None = None, better: Better = "lower") -> tuple[Block, ...]:
    """Split rows into comparable blocks: the ranked one first, then the others, unranked, each with its reason.

    Args:
        key: the study's own key; by default that of the most measured rows.
        better: order of rows inside a block.
    """
    table = list(rows)
    measured = [r for r in table if r.source == "measured"]
    lead = key or _most_common([r.key for r in measured])
    grouped: dict[tuple[Key, Source], list[Row]] = {}
    for row in table:
        grouped.setdefault((row.key, row.source), []).append(row)
    sign = 1.0 if better == "lower" else -1.0
    out = []
    for (where, source), members in grouped.items():
        members.sort(key=lambda r: sign * r.mean)
        ranked = source == "measured" and where == lead
        out.append(Block(where, tuple(members), ranked, "" if ranked else _why(where, source, lead)))
    return tuple(sorted(out, key=lambda b: (not b.ranked, b.why.startswith("reported"))))


def _most_common(keys: Sequence[Key]) -> Key | None:
    return max(dict.fromkeys(keys), key=keys.count) if keys else None


def _why(key: Key, source: Source, lead: Key | None) -> str:
    parts = ["reported, not measured here"] if source == "reported" else []
    other = () if lead is None else key.differs_from(lead)
    if other and lead is not None:
        parts.append("another " + ", ".join(f"{f} ({getattr(key, f)}, not {getattr(lead, f)})" for f in other))
    return "; ".join(parts)


def comparable(rows: Sequence[Row]) -> Answer:
    """Whether rows may be ranked together: same key, all measured. The refusal names what differs."""
    method, call, n = "comparability of rows", "equality of keys", len(rows)
    if not rows:
        raise StatisticsError("comparability needs at least one row")
    reported = [r.name for r in rows if r.source == "reported"]
    if reported:
        return refused(method, call, n, f"reported rows are never ranked: {', '.join(reported)}; measure them here",
                       code="reported_rows", facts=facts(reported=reported))  # fmt: skip
    differ = sorted({f for r in rows[1:] for f in r.key.differs_from(rows[0].key)})
    if differ:
        seen = {f: sorted({str(getattr(r.key, f)) for r in rows}) for f in differ}
        listed = "; ".join(f"{f}: {' / '.join(v)}" for f, v in seen.items())
        return refused(method, call, n, f"rows differ in {listed}; show them in separate, unranked blocks",
                       code="protocol_mixed" if "protocol" in differ else "not_comparable",
                       facts=facts(differ=differ))  # fmt: skip
    return Answer(method=method, call=call, n=n, wording=f"{n} rows share task, space, pipeline, protocol and budget")
