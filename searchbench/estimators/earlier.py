"""Trials of an earlier study: what is known of architectures before anything is measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.space import Architecture, Space
from searchbench.tables.file import digest, read_columns, stamp


@dataclass(frozen=True, slots=True)
class EarlierTrials:
    """A file with a row per trial, as `Results.trials()` gives them.

    Args:
        path: CSV or Parquet, found as tables are.
        sha256: of the file's bytes, which is what enters a run's identity; `earlier_trials` finds it.
        architecture, value: names of its columns. An architecture that stands several times has the mean of its values;
            an empty value is a failed trial.
        higher_is_better: whether the value is an accuracy.
    """

    path: str = field(metadata={"described": False})  # the digest tells files apart, wherever they lie
    sha256: str
    architecture: str = "architecture"
    value: str = "value"
    higher_is_better: bool = False

    def recorded(self, space: Space) -> dict[Architecture, float]:
        """The values to minimise by architecture, in the order of the file; NaN where every trial failed.

        Raises:
            StudyError: the file is another than when the study was planned.
            TableError: it lacks a column, or names an architecture that is none of the space.
        """
        file = stamp(self.path)
        if digest(file) != self.sha256:
            raise StudyError(
                f"the earlier trials in `{self.path}` have changed since this strategy was described; "
                "declare it anew, under another label."
            )
        columns = read_columns(file[0], [self.architecture], [self.value])
        values: dict[Architecture, list[float]] = {}
        for row, text in enumerate(columns.texts[self.architecture]):
            try:
                architecture = space.parse(text)
            except SpaceError as error:
                raise columns.refuse(row, self.architecture, str(error)) from error
            values.setdefault(architecture, []).append(float(columns.numbers[self.value][row]))
        sign = -1.0 if self.higher_is_better else 1.0
        return {a: sign * _mean(known) for a, known in values.items()}


def earlier_trials(
    path: str, architecture: str = "architecture", value: str = "value", higher_is_better: bool = False
) -> EarlierTrials:
    """The trials in a file as it stands now. Raises DataMissing where there is none."""
    return EarlierTrials(path, digest(stamp(path)), architecture, value, higher_is_better)


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return fmean(finite) if finite else math.nan
