"""What a study measures: the name, the unit and the direction of the number by which strategies are ranked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from searchbench.errors import StudyError, did_you_mean

PERCENT = 100.0
KEYS = ("name", "unit", "better", "share")


@dataclass(frozen=True, slots=True)
class Metric:
    """The meaning of a number: tables, figures and sentences take their words and digits from it.

    What is recorded of a run is always what was minimised: the number itself, or the negative of a number of which
    more is better. People see the number itself, a share as a percentage.

    Raises:
        StudyError: the name is empty, the direction is neither "lower" nor "higher", or a share has a unit.
    """

    name: str = "test error"
    unit: str = ""
    """Behind every number; empty for none."""
    better: Literal["lower", "higher"] = "lower"
    share: bool = False
    """Whether it is a share of something, such as an error rate, and so shown in percent."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise StudyError(f"`metric` must be a name that is not empty, but got {self.name!r}.")
        if not isinstance(self.unit, str):
            raise StudyError(f'`unit` must be a text such as "ms", but got {self.unit!r}.')
        if self.better not in ("lower", "higher"):
            raise StudyError(f'`better` must be "lower" or "higher", but got {self.better!r}.')
        if not isinstance(self.share, bool):
            raise StudyError(f"`share` must be true or false, but got {self.share!r}.")
        if self.share and self.unit not in ("", "%"):
            raise StudyError(f"a share is shown in percent, but `unit` is {self.unit!r}; leave one of them out.")

    @classmethod
    def of(cls, given: str | Mapping[str, Any] | Metric) -> Metric:
        """A metric from its name, from a table of its fields, or itself. Raises StudyError."""
        if isinstance(given, Metric):
            return given
        if isinstance(given, str):
            return cls(given)
        if not isinstance(given, Mapping):
            raise StudyError(f"`metric` must be a name, a table or a Metric, but got {given!r}.")
        for key in given:
            if key not in KEYS:
                raise StudyError(f"`metric` has no key `{key}`; {did_you_mean(key, KEYS)}")
        return cls(**given)

    @property
    def seen(self) -> str:
        """What a search sees of it, after the word "validation"."""
        return "error" if self.name == "test error" else self.name.removeprefix("validation ")

    @property
    def scale(self) -> float:
        """Shown units per unit of the number."""
        return PERCENT if self.share else 1.0

    @property
    def factor(self) -> float:
        """What a recorded number is multiplied by to be shown."""
        return self.scale if self.better == "lower" else -self.scale

    @property
    def shown_unit(self) -> str:
        """ "%" of a share, else the unit."""
        return "%" if self.share else self.unit

    @property
    def difference_unit(self) -> str:
        """What differences are counted in: "percentage points" of a share, else the unit."""
        return "percentage points" if self.share else self.unit

    @property
    def short_difference_unit(self) -> str:
        """ "points" of a share, else the unit."""
        return "points" if self.share else self.unit

    @property
    def arrow(self) -> str:
        """Beside its name: which way is better."""
        return "↓" if self.better == "lower" else "↑"

    @property
    def heading(self) -> str:
        """The name with its unit, as an axis has it: "test error (%)"."""
        return f"{self.name} ({self.shown_unit})" if self.shown_unit else self.name

    @property
    def with_article(self) -> str:
        """ "a test error", "an accuracy": before a vowel by its spelling."""
        return f"{'an' if self.name[0].lower() in 'aeiou' else 'a'} {self.name}"

    @property
    def key(self) -> str:
        """The name as a column of programs has it: "validation_mse"."""
        return "_".join("".join(c.lower() if c.isalnum() else " " for c in self.name).split()) or "score"

    def number(self, shown: float, spread: float = math.nan) -> str:
        """A shown number in digits that follow its spread, where that is known; a share with two decimals at least."""
        return written(shown, spread, decimals=2 if self.share else None)

    def spread(self, mean: float, std: float) -> str:
        """ "6.12 ± 0.31", both to the same decimal; without ± where there is no spread."""
        if math.isnan(std):
            return self.number(mean)
        if std == 0 and not self.share:
            return f"{self.number(mean)} ± 0"
        ten = _exponent(mean)
        if self.share or -5 < ten < 7:
            places = _places(mean, std, 2 if self.share else None)
            return f"{mean:.{places}f} ± {std:.{places}f}"
        places = _places(mean / 10.0**ten, std / 10.0**ten, None)
        return f"({mean / 10.0**ten:.{places}f} ± {std / 10.0**ten:.{places}f})e{ten:+03d}"

    def with_unit(self, text: str) -> str:
        """A written number and its unit behind it."""
        return f"{text} {self.shown_unit}" if self.shown_unit else text

    def to_spec(self) -> dict[str, Any]:
        """The fields as plain values, for a declaration."""
        return asdict(self)


def written(value: float, spread: float = math.nan, *, decimals: int | None = None) -> str:
    """A number with two significant digits of its spread. Without one: four significant digits, or `decimals`."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else str(value)
    ten = _exponent(value)
    known = math.isfinite(spread) and spread > 0
    if known and (decimals is not None or -5 < ten < 7):
        return f"{value:.{_places(value, spread, decimals)}f}"
    if known:
        return f"{value:.{min(max(4, ten - _exponent(spread) + 2), 17) - 1}e}"
    small = decimals is not None and value != 0 and abs(value) < 0.5 * 10.0**-decimals
    return f"{value:.4g}" if decimals is None else f"{value:.3g}" if small else f"{value:.{decimals}f}"


def _places(value: float, spread: float, decimals: int | None) -> int:
    """Decimals that show two significant digits of the spread, or four of the value where that is more."""
    least = 3 - _exponent(value) if decimals is None else decimals
    return min(max(least, 1 - _exponent(spread) if spread > 0 else 0, 0), 17)


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0
