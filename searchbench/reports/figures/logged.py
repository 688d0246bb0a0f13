"""What the searches logged about themselves: by epoch where a line has one, else by its number in the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from searchbench.reports.figures.figure import Axis, Dots, Figure, Floats, Line, Mark, Multiples, slug
from searchbench.results.records import RunRecord

if TYPE_CHECKING:
    import pyarrow as pa

POINTS = 200
"""Points a curve is drawn with; its values come from every run."""
MAX_SEEDS = 20
"""Searches of a strategy drawn one by one; their mean is that of all."""
COLUMNS = 5
"""Strategies side by side at most; more are spread over further figures."""
WATCHED = {
    "skips": "skip connections",
    "valid_accuracy": "validation accuracy",
    "valid_perplexity": "validation perplexity",
}
"""What tells whether a search collapses, and whether the supernet would have shown it."""
WEIGHTS, DECISION, GO_ON = "operation_weights", "decision", "go on"

Curve = tuple[Floats, Floats]
"""Epochs, ascending, and what was logged then; NaN where a line lacked it."""


class Log:
    """The trace of one run. Where a search returned to an earlier epoch, the last line of an epoch counts."""

    def __init__(self, run: RunRecord) -> None:
        from searchbench.results.columns import read_traces

        self.strategy, self.replicate = run.strategy, run.replicate
        self._table: pa.Table | None = read_traces(run.traces)

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """A figure of every name under which numbers were logged."""
        from pyarrow import types

        if self._table is None:
            return {}
        numbers = [field.name for field in self._table.schema if types.is_floating(field.type)]
        logged = [name for name in numbers if name != "epoch" and not name.startswith("spent_")]
        found = {name: self._curve(np.asarray(self._table.column(name), dtype=np.float64)) for name in logged}
        return {name: curve for name, curve in found.items() if len(curve[0])}

    @cached_property
    def weights(self) -> dict[str, Curve]:
        """A figure of every operation: the mean of its weights over the decisions."""
        if self._table is None or WEIGHTS not in self._table.column_names:
            return {}
        lines: list[dict[str, list[float]] | None] = self._table.column(WEIGHTS).to_pylist()
        names = dict.fromkeys(name for line in lines for name in line or ())
        means = {name: [np.mean(line[name]) if line and line.get(name) else np.nan for line in lines] for name in names}
        return {name: self._curve(np.array(values, dtype=np.float64)) for name, values in means.items()}

    @cached_property
    def decided(self) -> dict[float, str]:
        """Decisions by epoch, every one other than to go on."""
        if self._table is None or DECISION not in self._table.column_names:
            return {}
        words = self._table.column(DECISION).to_pylist()
        return {float(at): word for at, word in zip(self._epochs, words, strict=True) if word and word != GO_ON}

    @cached_property
    def _epochs(self) -> Floats:
        """The epoch of each line; NaN where it names none."""
        assert self._table is not None
        if "epoch" not in self._table.column_names:
            return np.full(self._table.num_rows, np.nan)
        return np.asarray(self._table.column("epoch"), dtype=np.float64)

    def _curve(self, values: Floats) -> Curve:
        seen = np.isfinite(values)
        # A line without an epoch (a final pick, say) is placed by its number in the log.
        at = self._epochs if np.isfinite(self._epochs[seen]).all() else np.arange(len(values), dtype=np.float64)
        last = dict(zip(at[seen].tolist(), values[seen].tolist(), strict=True))
        return np.array(sorted(last)), np.array([last[epoch] for epoch in sorted(last)])


def logs_of(runs: Sequence[RunRecord]) -> list[Log]:
    """The logs of runs, in their order."""
    return [Log(run) for run in runs]


# -- a figure for each name ----------------------------------------------------------------------------------------


def traces(problem: str, logs: Sequence[Log], colours: Mapping[str, int]) -> list[Figure]:
    """A figure for each name under which numbers were logged, a line per strategy."""
    found: dict[str, dict[str, list[Curve]]] = {}
    for log in logs:
        for name, curve in log.curves.items():
            found.setdefault(name, {}).setdefault(log.strategy, []).append(curve)
    return [_trace(problem, name, own, colours) for name, own in found.items()]


def _trace(problem: str, name: str, found: Mapping[str, Sequence[Curve]], colours: Mapping[str, int]) -> Figure:
    marks: list[Mark] = []
    for strategy, curves in found.items():
        x, mean = _mean(curves)
        colour = colours.get(strategy, 0)
        marks.append(Line(strategy, x, mean, colour) if len(x) > 1 else Dots(strategy, x, mean, colour))
    return Figure(
        name=slug(f"trace-{problem}-{name}"),
        title=name.replace("_", " "),
        caption="Logged by the searches about themselves; line: mean over runs. A description, not a result.",
        x=Axis("epoch or line of the log"),
        y=Axis(name.replace("_", " ")),
        marks=tuple(marks),
    )


def _mean(curves: Sequence[Curve]) -> Curve:
    """Over the curves that have begun and not ended."""
    x = np.unique(np.concatenate([x for x, _ in curves]))
    x = x[np.unique(np.linspace(0, len(x) - 1, POINTS).round().astype(int))]
    held = np.stack([_step(x, *curve) for curve in curves])
    seen = np.isfinite(held).any(axis=0)
    return x[seen], np.nanmean(held[:, seen], axis=0) if seen.any() else np.empty(0)


def _step(x: Floats, at: Floats, value: Floats) -> Floats:
    """The last value logged by each x; NaN before the first and after the last."""
    place = np.searchsorted(at, x, side="right") - 1
    inside = (place >= 0) & (x <= (at[-1] if len(at) else -np.inf))
    return np.where(inside, np.append(value, np.nan)[place], np.nan)


# -- small multiples -----------------------------------------------------------------------------------------------


def epochs(problem: str, logs: Sequence[Log], colours: Mapping[str, int]) -> list[Multiples]:
    """Skip connections and validation accuracy of every search, and what became of the weights of the operations in
    the first search of each strategy: a panel for each strategy."""
    by_strategy = {name: [log for log in logs if log.strategy == name] for name in colours}
    watched = {name: own for name, own in by_strategy.items() if any(log.curves.keys() & WATCHED for log in own)}
    rows = [name for name in WATCHED if any(name in log.curves for own in watched.values() for log in own)]
    firsts = {name: log for name, own in by_strategy.items() if (log := _first(own)) is not None}
    found = [
        Multiples(
            slug(f"epochs-{problem}-{part}" if part else f"epochs-{problem}"),
            " and ".join(WATCHED[row] for row in rows).capitalize() + " epoch by epoch",
            "Thin: one search each; thick: mean of those still running; dots: where a search stopped or returned. Skip "
            "connections are those of the normal cell that would be handed over; accuracy is that of the supernet on "
            "the architecture's minibatches, as they were learnt from.",
            tuple(tuple(_panel(row, name, watched[name], colours[name]) for name in names) for row in rows),
        )
        for part, names in _parts(watched)
    ]
    orders = {
        operation: i for i, operation in enumerate(dict.fromkeys(op for f in firsts.values() for op in f.weights))
    }
    return found + [
        Multiples(
            slug(f"weights-{problem}-{part}" if part else f"weights-{problem}"),
            "Weights of the operations epoch by epoch",
            "Mean over all edges in one search of each strategy, that of its first seed.",
            (tuple(_shares(firsts[name], orders) for name in names),),
        )
        for part, names in _parts(firsts)
    ]


def _parts(names: Mapping[str, Any]) -> Iterator[tuple[int, list[str]]]:
    """Groups of as many strategies as stand side by side, with the number of the figure."""
    parts = -(-len(names) // COLUMNS)
    yield from enumerate(part.tolist() for part in np.array_split(list(names), parts)) if parts else ()


def _first(logs: Sequence[Log]) -> Log | None:
    """The log of the first seed, if weights are in it."""
    first = min(logs, key=lambda log: log.replicate, default=None)
    return first if first is not None and first.weights else None


def _panel(row: str, strategy: str, logs: Sequence[Log], colour: int) -> Figure:
    own = [log for log in logs if row in log.curves]
    marks: list[Mark] = [
        Line(strategy, *log.curves[row], colour, thin=True, legend=False) for log in own[:MAX_SEEDS] if len(own) > 1
    ]
    if own:
        marks.append(Line(strategy, *_mean([log.curves[row] for log in own]), colour, legend=False))
    ends = [
        (at, value, f"seed {log.replicate}: {log.decided[at]}")
        for log in own[:MAX_SEEDS]
        for at, value in zip(*(values.tolist() for values in log.curves[row]), strict=True)
        if at in log.decided
    ]
    if ends:
        x, y, told = zip(*ends, strict=True)
        marks.append(Dots(strategy, x, y, colour, told, small=True, legend=False))
    return Figure("", strategy, "", Axis("epoch"), Axis(WATCHED[row], whole=row == "skips"), tuple(marks))


def _shares(log: Log, orders: Mapping[str, int]) -> Figure:
    marks = tuple(Line(name, *curve, orders[name]) for name, curve in log.weights.items())
    return Figure("", f"{log.strategy}, seed {log.replicate}", "", Axis("epoch"), Axis("mean weight"), marks)
