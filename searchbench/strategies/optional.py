"""What a strategy or a search may offer beside what it must; who offers it is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import Lab, Logged, Scenario
from searchbench.trial import Proposal, Trial


def check_part(name: str, part: object, kind: type) -> None:
    """Raise StudyError where a parameter is no part of a kind, a protocol: a word, say, which has some methods too."""
    if isinstance(part, type | str | int | float) or not isinstance(part, kind):
        raise StudyError(f"`{name}` must be a part of its own, a {kind.__name__} as the docstring says, not {part!r}.")


@runtime_checkable
class Restricted(Protocol):
    """A strategy that cannot run everywhere says why not, when the study is planned."""

    def unsupported(self, scenario: Scenario) -> str | None:
        """The rule this scenario breaks, or None."""


@runtime_checkable
class Foretelling(Protocol):
    """A strategy that knows before a run what of it cannot work within the budget."""

    def foretold(self, lab: Lab) -> str:
        """What is to be said before a run in a lab of its own, in which nothing has happened and nothing is to be
        charged; empty for nothing."""


@runtime_checkable
class Recommending(Protocol):
    """An ask/tell search with its own final choice; without it, the best validated architecture is handed over."""

    def recommend(self) -> Architecture: ...


@runtime_checkable
class Learning(Protocol):
    """An ask/tell search that can learn from trials which it did not propose: those of an earlier study, or of another
    searcher of the same run."""

    def ask(self) -> Proposal | None: ...
    def tell(self, trial: Trial) -> None: ...
    def learn(self, trial: Trial) -> None:
        """Take a trial into account as if it were its own; one that it would have begun with stands for it."""


@runtime_checkable
class Tracing(Protocol):
    """An ask/tell search with a trace of its own (how well its surrogate ranked …), kept in the record."""

    def trace(self) -> list[Mapping[str, Logged]]:
        """Lines as for `Lab.log`, asked for once, when the run has ended."""
