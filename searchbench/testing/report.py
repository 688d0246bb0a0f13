"""What a conformance suite finds: a check per behaviour, with its verdict, what a failure means and the way out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["pass", "fail", "skip"]


class ConformanceError(AssertionError):
    """A part broke a rule that every part of its kind must keep; `report` holds every check."""

    def __init__(self, message: str, report: Conformance | None = None) -> None:
        super().__init__(message)
        self.report = report


class Inapplicable(Exception):
    """A behaviour cannot be asked of this part (no networks, no data here); the message says why."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One rule of a kind of part."""

    name: str
    """What the part does, as a sentence without its subject: "reads back what it writes"."""
    holds: Callable[..., str | None]
    """Takes what the suite examines; returns what is wrong, or None."""
    means: str
    """What becomes of a study where it does not hold."""
    way_out: str


@dataclass(frozen=True, slots=True)
class Check:
    """One behaviour, looked at once."""

    behaviour: str
    where: str
    """Name of the space or stage it was looked at on; empty where there is only one."""
    verdict: Verdict
    found: str = ""
    """What is wrong, or why it was skipped."""
    means: str = ""
    way_out: str = ""

    def __str__(self) -> str:
        """One line, and where the check failed, three more."""
        where = f" [{self.where}]" if self.where else ""
        reason = f": {self.found}" if self.verdict == "skip" else ""
        lines = [f"{self.verdict.upper()}  {self.behaviour}{where}{reason}"]
        if self.verdict == "fail":
            told = (("found", self.found), ("means", self.means), ("way out", self.way_out))
            lines += [f"        {name + ':':9}{text}" for name, text in told if text]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Conformance:
    """What a suite found of one part."""

    kind: str
    """ "strategy", "space", "task", "estimator" or "judge"."""
    part: str
    """Its name, or how it prints, in at most 80 characters."""
    checks: tuple[Check, ...]
    overhead_s: float = 0.0
    """A strategy's own seconds per trial, on the slowest space."""

    @property
    def wrong(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == "fail")

    @property
    def skipped(self) -> tuple[str, ...]:
        """Where the part does not run, and what could not be asked of it, with the reasons."""
        return tuple(f"{c.where or c.behaviour}: {c.found}" for c in self.checks if c.verdict == "skip")

    def __str__(self) -> str:
        """A line per check, and the count of verdicts."""
        counted = {verdict: sum(c.verdict == verdict for c in self.checks) for verdict in ("pass", "fail", "skip")}
        total = (
            f"{self.kind} {self.part}: {counted['pass']} passed, {counted['fail']} failed, {counted['skip']} skipped"
        )
        return "\n".join([*map(str, self.checks), total])

    def required(self) -> Conformance:
        """The report itself. Raises ConformanceError where a check failed; its message lists what failed."""
        if self.wrong:
            failed = "\n".join(map(str, self.wrong))
            raise ConformanceError(f"{self.kind} {self.part} does not conform:\n{failed}", self)
        return self


def brief(part: object) -> str:
    """A part in at most 80 characters: its name, or how it prints."""
    name = getattr(part, "name", None)
    return textwrap.shorten(name if isinstance(name, str) and name else repr(part), 80, placeholder=" …")


def examined(behaviours: Iterable[Behaviour], *subject: Any, where: str = "") -> Iterator[Check]:
    """A check per behaviour; an exception that the part lets through is a failure, and is named."""
    for behaviour in behaviours:
        yield examine(behaviour, *subject, where=where)


def examine(behaviour: Behaviour, *subject: Any, where: str = "") -> Check:
    """Look at one behaviour once."""
    try:
        wrong = behaviour.holds(*subject)
    except Inapplicable as reason:
        return Check(behaviour.name, where, "skip", str(reason))
    except (Exception, SystemExit) as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong is None:
        return Check(behaviour.name, where, "pass")
    return Check(behaviour.name, where, "fail", wrong, behaviour.means, behaviour.way_out)
