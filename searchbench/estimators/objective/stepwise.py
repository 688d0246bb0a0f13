"""An objective that trains under a schedule: what is asked for one interval at a time, with that interval's setting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchbench.errors import StudyError
from searchbench.estimators.objective.command import Command
from searchbench.estimators.objective.function import Call, Function
from searchbench.spaces.schedules import by_interval
from searchbench.spaces.space import Space

INTERVAL, INTERVALS = "interval", "intervals"
"""What one interval is told of, and the fidelity of the whole, where it has no other name."""
REACHED = ".reached"
"""The file of a checkpoint that says after how many intervals it was left."""


@dataclass(frozen=True, eq=False)
class Stepwise:
    """Trains interval by interval: each is asked with its own setting as configuration, and goes on from the state that
    the one before it left. What the last one answers is the answer.

    Args:
        step: what trains an interval.
        space: of schedules.
    """

    step: Function | Command
    space: Space

    @property
    def name(self) -> str:
        return self.step.name

    @property
    def path(self) -> str | None:
        return self.step.path

    @property
    def continues(self) -> bool:
        """True: it goes on from wherever a training that began alike has come to."""
        return True

    def identity(self) -> Any:
        """Plain values for the problem's fingerprint."""
        return {"step": self.step.identity()}

    def takes(self, name: str | None) -> bool:
        """Whether it can be given something under that name; how many intervals there are, always."""
        return True

    def check(self, space: Space, fidelity: str | None) -> None:
        """Raise StudyError where it cannot be asked for an interval."""
        if not self.step.continues:
            raise StudyError(
                f"objective `{self.name}` is trained under a schedule, an interval at a time, so it must go on from "
                "the interval before: give it a parameter `state` (which it returns beside its number) or `checkpoint` "
                "(a folder)."
            )
        assert self.space.setting is not None
        self.step.check(self.space.setting, self._interval)

    def caller(self, fidelity: str | None) -> Call:
        """What trains up to an interval."""
        step, space = self.step.caller(self._interval), self.space

        def call(config: dict[str, Any], seed: int, amount: float | int | None, folder: Path | None) -> Any:
            assert folder is not None
            assert amount is not None
            return _trained(step, by_interval(space, config)[: int(amount)], seed, folder)

        return call

    @property
    def _interval(self) -> str | None:
        return INTERVAL if self.step.takes(INTERVAL) else None


def _trained(step: Call, settings: list[dict[str, Any]], seed: int, folder: Path) -> Any:
    """What the last interval answers; those are trained that the folder does not say to have been."""
    reached = folder / REACHED
    done = int(reached.read_text()) if reached.exists() else 0
    answer: Any = None
    for interval, setting in enumerate(settings[done:], start=done + 1):
        answer = step(setting, seed, interval, folder)
    reached.unlink(missing_ok=True)  # some file systems wait for the disk where a file is written over
    reached.write_text(str(len(settings)))
    return answer
