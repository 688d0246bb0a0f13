"""Which parts a study takes a method apart into: declared, so that the analysis is not chosen after seeing results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from searchbench.errors import StudyError, did_you_mean

MAX_FACTORS = 5


Labels = tuple[str, ...]
Levels = tuple[tuple[str, Labels], ...]
"""Each level of a factor with the labels of the strategies that are at it."""


@dataclass(frozen=True, slots=True, init=False)
class AblationPlan:
    """Factors of an ablation: which strategies contain which part, or are at which level of a setting.

    Args:
        base: label of the strategy that has none of the parts, and whose levels the others are compared with.
        factors: each part's name with the labels of the strategies that have it: ``{"FIMT": ["+FIMT", "both"]}``; or a
            setting's name with its levels: ``{"rate": {"low": ["darts", "+FIMT"], "high": ["hot", "hot+FIMT"]}}``. A
            strategy that no level names is at the base's. All combinations present make a factorial; base, full method
            and single parts alone a ladder.

    Raises:
        StudyError: no factor or too many, a factor without strategies, the base among those that have a part, a
            strategy at two levels, a base at none, or two strategies with the same parts.
    """

    base: str
    factors: tuple[tuple[str, Labels | Levels], ...]

    def __init__(self, base: str, factors: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        given = factors.items() if isinstance(factors, Mapping) else factors
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "factors", tuple((name, _factor(name, own)) for name, own in given))
        self._check()

    @property
    def cells(self) -> dict[str, frozenset[str]]:
        """The parts of each strategy by its label: "FIMT", or "rate=high" where it differs from the base's level."""
        labels = dict.fromkeys([self.base, *(label for _, own in self.factors for label in _named(own))])
        return {
            label: frozenset(part for name, own in self.factors if (part := self._part(name, own, label)))
            for label in labels
        }

    def check_labels(self, known: Iterable[str]) -> None:
        """Raise StudyError where a label is no strategy of the study."""
        known = list(known)
        for label in self.cells:
            if label not in known:
                raise StudyError(f"`ablation` names `{label}`, which no strategy is labelled; "
                                 f"{did_you_mean(label, known)}")  # fmt: skip

    def to_spec(self) -> dict[str, Any]:
        """Plain JSON values; factors and levels as lists, which keep their order."""
        return {"base": self.base, "factors": [[name, _plain(own)] for name, own in self.factors]}

    def _part(self, name: str, own: Labels | Levels, label: str) -> str:
        """What of a factor a strategy has; nothing where it is as the base."""
        levels = _levels(own)
        if not levels:
            return name if label in _named(own) else ""
        base = next(level for level, labels in levels if self.base in labels)
        at = next((level for level, labels in levels if label in labels), base)
        return "" if at == base else f"{name}={at}"

    def _check(self) -> None:
        if not isinstance(self.base, str) or not self.base:
            raise StudyError(f"`ablation.base` must be a strategy's label, but got {self.base!r}.")
        if not 1 <= len(self.factors) <= MAX_FACTORS:
            raise StudyError(f"`ablation.factors` must be 1 to {MAX_FACTORS} parts, but got {len(self.factors)}.")
        for name, own in self.factors:
            self._check_levels(name, _levels(own))
            if not _levels(own) and self.base in own:
                raise StudyError(f"`ablation.base` is `{self.base}`, which is also listed as having a part.")
        seen: dict[frozenset[str], str] = {}
        for label, parts in self.cells.items():
            if parts in seen:
                raise StudyError(f"`{seen[parts]}` and `{label}` have the same parts in `ablation`; list only one.")
            seen[parts] = label

    def _check_levels(self, name: str, levels: Levels) -> None:
        if not levels:
            return
        if len(levels) < 2:
            raise StudyError(f"`ablation.factors.{name}` needs at least two levels, but got `{levels[0][0]}` alone.")
        at: dict[str, str] = {}
        for level, labels in levels:
            for label in labels:
                if label in at:
                    raise StudyError(f"`ablation.factors.{name}` has `{label}` at two levels, {at[label]} and {level}.")
                at[label] = level
        if self.base not in at:
            raise StudyError(f"`ablation.factors.{name}` must say at which of its levels the base, `{self.base}`, is.")


def _levels(own: Labels | Levels) -> Levels:
    """The levels of a factor that has some; none of a part that is present or absent."""
    return tuple(level for level in own if isinstance(level, tuple))


def _named(own: Labels | Levels) -> Labels:
    """Every strategy that a factor names."""
    return tuple(label for _, labels in _levels(own) for label in labels) or tuple(x for x in own if isinstance(x, str))


def _plain(own: Labels | Levels) -> list[Any]:
    return [[level, list(labels)] for level, labels in _levels(own)] or list(own)


def _factor(name: str, given: Any) -> Labels | Levels:
    if isinstance(given, Mapping):
        given = list(given.items())
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise StudyError(
            f"`ablation.factors.{name}` must be a list of labels, or a table of levels, but got {given!r}."
        )
    found = tuple(given)
    if found and all(isinstance(entry, tuple | list) and len(entry) == 2 for entry in found):
        return tuple((str(level), _labels(f"{name}.{level}", labels)) for level, labels in found)
    return _labels(name, found)


def _labels(name: str, labels: Any) -> Labels:
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise StudyError(f"`ablation.factors.{name}` must be a list of labels, but got {labels!r}.")
    found = tuple(labels)
    if not found or not all(isinstance(label, str) for label in found):
        raise StudyError(f"`ablation.factors.{name}` must list the strategies that have the part, but got {labels!r}.")
    return found
