"""Which parts a study takes a method apart into: declared, so that the analysis is not chosen after seeing results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from searchbench.errors import StudyError, did_you_mean

MAX_FACTORS = 5


@dataclass(frozen=True, slots=True, init=False)
class AblationPlan:
    """Factors of an ablation: which strategies contain which part.

    Args:
        base: label of the strategy that has none of the parts.
        factors: each part's name with the labels of the strategies that have it: ``{"FIMT": ["+FIMT", "both"]}``.
            All combinations present make a factorial; base, full method and single parts alone a ladder.

    Raises:
        StudyError: no factor or too many, a factor without strategies, the base among them, or two strategies with
            the same parts.
    """

    base: str
    factors: tuple[tuple[str, tuple[str, ...]], ...]

    def __init__(self, base: str, factors: Mapping[str, Iterable[str]] | Iterable[tuple[str, Iterable[str]]]) -> None:
        given = factors.items() if isinstance(factors, Mapping) else factors
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "factors", tuple((name, _labels(name, labels)) for name, labels in given))
        self._check()

    @property
    def cells(self) -> dict[str, frozenset[str]]:
        """The parts of each strategy, by its label."""
        labels = dict.fromkeys(label for _, having in self.factors for label in having)
        return {
            self.base: frozenset(),
            **{label: frozenset(name for name, having in self.factors if label in having) for label in labels},
        }

    def check_labels(self, known: Iterable[str]) -> None:
        """Raise StudyError where a label is no strategy of the study."""
        known = list(known)
        for label in self.cells:
            if label not in known:
                raise StudyError(f"`ablation` names `{label}`, which no strategy is labelled; "
                                 f"{did_you_mean(label, known)}")  # fmt: skip

    def to_spec(self) -> dict[str, Any]:
        """Plain JSON values; factors as a list, which keeps their order."""
        return {"base": self.base, "factors": [[name, list(labels)] for name, labels in self.factors]}

    def _check(self) -> None:
        if not isinstance(self.base, str) or not self.base:
            raise StudyError(f"`ablation.base` must be a strategy's label, but got {self.base!r}.")
        if not 1 <= len(self.factors) <= MAX_FACTORS:
            raise StudyError(f"`ablation.factors` must be 1 to {MAX_FACTORS} parts, but got {len(self.factors)}.")
        seen: dict[frozenset[str], str] = {}
        for label, parts in self.cells.items():
            if label == self.base and any(label in labels for _, labels in self.factors):
                raise StudyError(f"`ablation.base` is `{label}`, which is also listed as having a part.")
            if parts in seen:
                raise StudyError(f"`{seen[parts]}` and `{label}` have the same parts in `ablation`; list only one.")
            seen[parts] = label


def _labels(name: str, labels: Any) -> tuple[str, ...]:
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise StudyError(f"`ablation.factors.{name}` must be a list of labels, but got {labels!r}.")
    found = tuple(labels)
    if not found or not all(isinstance(label, str) for label in found):
        raise StudyError(f"`ablation.factors.{name}` must list the strategies that have the part, but got {labels!r}.")
    return found
