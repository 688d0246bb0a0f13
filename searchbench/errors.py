"""Every exception the package raises on purpose.

::

    SearchbenchError
    ├── InputError                something a user wrote is wrong; the command line exits with status 2
    │   ├── UnknownName           no such strategy, space, task, estimator …; carries the nearest valid names
    │   ├── StudyError            a study file or Study is malformed or impossible
    │   ├── SpaceError            an architecture does not belong to its space
    │   ├── DataMissing           a data set or table was not found where it was looked for
    │   ├── TableError            a table of recorded results is truncated, duplicated or out of range
    │   └── StoreError            a result store is foreign, newer, unwritable or already holds the study
    │       └── CheckpointError   what an interrupted run left was written by another version
    │   └── ClusterGone           the cluster that a driver has joined is not there any more
    ├── BudgetExhausted           raised by the lab *before* the step that would exceed the budget
    ├── EvaluationFailed          one evaluation failed; becomes a failed trial, never a crashed run
    └── StatisticsError           a statistic was asked of data that cannot have one (a bug in the caller)
    Interrupted                   the user or the system ends the process; no failure of anything

Messages state the rule, then the offending value, then the way out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class SearchbenchError(Exception):
    """Root of everything raised on purpose."""


class InputError(SearchbenchError):
    """Something a user wrote is wrong: what, where, and the nearest valid thing.

    Args:
        message: names the way out as Python has it, ``resume=True``.
        command: the same with the way out of the command line, ``--resume``; the message where there is no other.
    """

    page: ClassVar[str] = ""
    """Name of the page of the docs that explains such errors; none where the message says all."""

    def __init__(self, message: str = "", *, command: str | None = None) -> None:
        super().__init__(message)
        self.command = message if command is None else command
        if self.page:
            self.add_note(f"Explained by: searchbench docs {self.page}")


class UnknownName(InputError):
    """A name that nothing is registered under.

    Args:
        kind: what was looked up, in the singular: "strategy", "space", …
        name: what the user wrote.
        known: every valid name.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        super().__init__(f"unknown {kind} `{name}`; {did_you_mean(name, self.known)}")

    def __reduce__(self) -> tuple[type[UnknownName], tuple[str, str, list[str]]]:
        return UnknownName, (self.kind, self.name, self.known)


class StudyError(InputError):
    """A study file or Study is malformed, or asks for the impossible."""

    page = "study"


class SpaceError(InputError):
    """An architecture does not belong to its space, or a space is declared inconsistently."""

    page = "howto/space"


class DataMissing(InputError):
    """Data was not found: says what is missing, where it was looked for and how to get it."""

    page = "tables"


class TableError(InputError):
    """A table of recorded results cannot be used; names the row and the column."""

    page = "tables"


class StoreError(InputError):
    """A result store cannot be opened, written or continued."""

    page = "store"


class CheckpointError(StoreError):
    """What an interrupted run left cannot be continued by this version."""


class ClusterGone(InputError):
    """The cluster that a driver has joined, or its own node of it, has gone; what had been recorded stands."""

    page = "howto/cluster"


class BudgetExhausted(SearchbenchError):
    """The next charge would exceed the budget. Raised before anything is spent."""


class EvaluationFailed(SearchbenchError):
    """One evaluation failed (crash, NaN, time limit); the lab turns it into a failed trial.

    Args:
        reason: one of "error", "nan", "timeout", "memory".
        message: what happened, in words.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason, self.message = reason, message
        super().__init__(f"{reason}: {message}")

    def __reduce__(self) -> tuple[type[EvaluationFailed], tuple[str, str]]:
        return EvaluationFailed, (self.reason, self.message)


class StatisticsError(SearchbenchError):
    """A statistic was asked of data that cannot have one."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM. A class of its own, so that a plug-in that raises KeyboardInterrupt, or exits, only fails."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The second half of an error message: the nearest known names, or all of them if none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"`{n}`" for n in near) + "?"
    return "known: " + (", ".join(known) if known else "none") + "."
