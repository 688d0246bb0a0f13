"""What is shown while a study runs."""

from __future__ import annotations

import math
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from searchbench.cost import Cost
from searchbench.harness.declared.plan import Plan, RunSpec
from searchbench.harness.driving.forecast import duration, forecast
from searchbench.metric import Metric
from searchbench.results.records import RunRecord


class Observer(Protocol):
    """Sees what happens to a study's runs, to show it."""

    def planned(self, plan: Plan, done: int) -> None: ...
    def started(self, spec: RunSpec) -> None: ...
    def finished(self, spec: RunSpec, record: RunRecord) -> None: ...
    def tick(self) -> None: ...


LOGGED = 24
"""Lines of progress in a log, about."""


class Silent:
    """Shows nothing; for use from Python."""

    def planned(self, plan: Plan, done: int) -> None: ...
    def started(self, spec: RunSpec) -> None: ...
    def finished(self, spec: RunSpec, record: RunRecord) -> None: ...
    def tick(self) -> None: ...


class SeveralObservers:
    """Tells several observers. One that fails is told no more, and a warning says so; the study goes on.

    Args:
        shown: of the harness itself, whose failures pass through.
        others: of the user.
    """

    def __init__(self, shown: Observer, others: Iterable[Observer]) -> None:
        self._shown, self._others = shown, list(others)

    def planned(self, plan: Plan, done: int) -> None:
        self._shown.planned(plan, done)
        self._tell("planned", plan, done)

    def started(self, spec: RunSpec) -> None:
        self._shown.started(spec)
        self._tell("started", spec)

    def finished(self, spec: RunSpec, record: RunRecord) -> None:
        self._shown.finished(spec, record)
        self._tell("finished", spec, record)

    def tick(self) -> None:
        self._shown.tick()
        self._tell("tick")

    def _tell(self, what: str, *given: Any) -> None:
        for observer in list(self._others):
            try:
                getattr(observer, what)(*given)
            except Exception as failure:
                self._others.remove(observer)
                told = f"{type(failure).__name__}: {failure}"
                warnings.warn(f"{type(observer).__name__} is told no more: {told}", RuntimeWarning, stacklevel=2)


def shown_here(workers: int | None = None) -> LiveProgress | NotebookProgress:
    """Progress on the standard error, or under the cell of a notebook that runs the study."""
    console = Console(stderr=True)
    if console.is_jupyter:
        return NotebookProgress(workers)
    return LiveProgress(console if console.is_terminal else Console(stderr=True, width=120), workers)


class LiveProgress:
    """A live terminal display: runs done, running and failed, cost against budget, and time left.

    Where the output is no terminal (a log file), a plain line per finished run is printed instead.
    """

    def __init__(self, console: Console, workers: int | None = None) -> None:
        self._console, self._workers = console, workers
        self._expected: float | None = None
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._task = self._bar.add_task("runs", total=None, left="")
        self._running: dict[str, str] = {}
        self._statuses: Counter[str] = Counter()
        self._spent = Cost()
        self._limits: dict[str, float] = {}
        self._metrics: Mapping[str, Metric] = {}
        self._total = self._done = self._before = 0
        self._every = 1
        """In a log, a line for every so many finished runs; failures are always said."""
        self._began = time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._render)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def planned(self, plan: Plan, done: int) -> None:
        self._total, self._before = len(plan.runs), done
        self._metrics = plan.metrics
        self._limits = plan.runs[0].budget.limits if plan.runs else {}
        self._bar.update(self._task, total=self._total, completed=done)
        self._began = time.monotonic()
        self._every = max(1, math.ceil(len(plan.runs) / LOGGED))
        for skipped in plan.skipped:
            told = f" {skipped.strategy} on {skipped.problem}: {skipped.reason}"
            self._console.print(Text.assemble(("skipped", "yellow"), told))
        if done:
            self._console.print(f"{done} of {self._total} runs stand already in the store.")
        if done < self._total:
            found = forecast(plan.runs[done:], self._workers)  # which ones are missing matters little
            self._expected = found.seconds
            for line in (*found.said, str(found)):
                self._console.print(line, markup=False, highlight=False)

    def started(self, spec: RunSpec) -> None:
        self._running[spec.run_id] = f"{spec.contestant.label} · seed {spec.replicate}"

    def finished(self, spec: RunSpec, record: RunRecord) -> None:
        self._running.pop(spec.run_id, None)
        self._statuses[record.status if record.status != "ok" or record.judged else "judge failed"] += 1
        self._spent = self._spent + record.cost
        self._done += 1
        self._bar.update(self._task, advance=1, left=self._time_left())
        if record.status != "ok":
            self._console.print(Text(f"failed {spec}: {record.failure}", style="red"))
        elif not self._console.is_terminal and (count := self._before + self._done) % self._every == 0:
            self._console.print(f"[{count}/{self._total}] {spec}: {self._reached(spec, record)}", markup=False)

    def _reached(self, spec: RunSpec, record: RunRecord) -> str:
        metric = self._metrics[spec.problem.name]
        return f"{metric.name} {metric.with_unit(metric.number(metric.factor * record.test_error))}"

    def tick(self) -> None:
        self._bar.update(self._task, left=self._time_left())

    def _time_left(self) -> str:
        elapsed = time.monotonic() - self._began
        if self._done:
            return f"about {duration(elapsed / self._done * (self._total - self._before - self._done))} left"
        left = None if self._expected is None else self._expected - elapsed
        return "" if left is None or left <= 0 else f"about {duration(left)} left"

    def _render(self) -> Group:
        counts = Text.assemble(
            (f"{self._statuses['ok']} done  ", "green"),
            f"{len(self._running)} running or queued  ",
            (f"{sum(n for s, n in self._statuses.items() if s != 'ok')} failed", "red"),
        )
        return Group(self._bar, counts, self._costs(), *self._shown_running())

    def _costs(self) -> Table:
        """Spent so far on each limited axis, against what the finished runs were allowed."""
        table = Table.grid(padding=(0, 2))
        for axis, limit in self._limits.items():
            spent, allowed = float(getattr(self._spent, axis)), limit * self._done
            share = f"{spent / allowed:.0%} of what the finished runs may spend" if allowed else ""
            table.add_row(f"cost in {axis}", f"{spent:,.4g}", share)
        return table

    def _shown_running(self) -> list[Text]:
        shown = list(self._running.values())[:4]
        more = len(self._running) - len(shown)
        return [Text("  " + line, style="dim") for line in [*shown, *([f"… and {more} more"] if more else [])]]


class NotebookProgress:
    """One line under a notebook's cell, written over as runs come back; failures stay below it."""

    EVERY_S = 0.5

    def __init__(self, workers: int | None = None) -> None:
        from IPython.display import display

        self._workers, self._failed = workers, list[str]()
        self._total = self._done = self._before = 0
        self._forecast, self._began, self._told = "", time.monotonic(), 0.0
        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._show()

    def planned(self, plan: Plan, done: int) -> None:
        self._total, self._before, self._began = len(plan.runs), done, time.monotonic()
        self._failed += [f"skipped {one.strategy} on {one.problem}: {one.reason}" for one in plan.skipped]
        if done < self._total:
            found = forecast(plan.runs[done:], self._workers)
            self._forecast, self._failed = str(found), [*self._failed, *found.said]
        self._show()

    def started(self, spec: RunSpec) -> None: ...

    def finished(self, spec: RunSpec, record: RunRecord) -> None:
        self._done += 1
        if record.status != "ok":
            self._failed.append(f"failed {spec}: {record.failure}")
        self.tick()

    def tick(self) -> None:
        if time.monotonic() - self._told >= self.EVERY_S:
            self._show()

    def _show(self) -> None:
        self._told = time.monotonic()
        elapsed = self._told - self._began
        left = elapsed / self._done * (self._total - self._before - self._done) if self._done else None
        now = f"{self._before + self._done}/{self._total} runs, {duration(elapsed)}"
        now += f", about {duration(left)} left" if left else "" if self._done else f"; {self._forecast}"
        self._handle.update({"text/plain": "\n".join([now, *self._failed[-20:]])}, raw=True)
