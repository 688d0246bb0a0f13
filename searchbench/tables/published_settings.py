"""Published benchmarks of recorded settings: LCBench's JSON, rows of YAHPO's scenarios, NAS-Bench-301's results.

Sources: Zimmer et al. 2021 (LCBench), Pfisterer et al. 2022 (YAHPO Gym), Siems et al. 2020 (NAS-Bench-301).
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from searchbench.errors import TableError, did_you_mean
from searchbench.spaces.darts.space import darts
from searchbench.spaces.hyperparameters import hyperparameters
from searchbench.tables.file import column_names, locate, read_columns, reading
from searchbench.tables.recorded_rows import Between, RecordedRows
from searchbench.tables.settings import Settings, inferred

CURVE = "valid_"
LCBENCH: Mapping[str, Any] = {
    "batch_size": {"int": [16, 512], "log": True},
    "learning_rate": {"float": [1e-4, 1e-1], "log": True},
    "momentum": {"float": [0.1, 0.99]},
    "weight_decay": {"float": [1e-5, 1e-1]},
    "num_layers": {"int": [1, 5]},
    "max_units": {"int": [64, 1024], "log": True},
    "max_dropout": {"float": [0.0, 1.0]},
}
"""The ranges that LCBench drew from; widened to what is recorded, which rounding may carry beyond."""
INSTANCES = ("OpenML_task_id", "task_id", "dataset")
"""What YAHPO calls the data sets of a scenario."""
TARGETS = ("val_", "valid_", "test_", "time", "runtime")
"""What names of columns begin with that are no settings."""


def from_lcbench(
    path: str, data: str | None, between: Between, validation: str | None = None, test: str | None = None
) -> Settings:
    """LCBench's JSON: ``{"<data set>": {"<number>": {"config": {…}, "log": {"epoch": […], …}}}}``.

    What each epoch recorded is a moment of one training; what stands at epoch 0, before any training, is left out.

    Args:
        path: the file.
        data: the data set's name.
        between: how proposals between rows are answered.
        validation, test: keys of the log; ``Train/val_accuracy`` and ``Train/test_result`` by default.

    Raises:
        DataMissing, TableError: the file cannot be read, or lacks the data set or what is asked of its log.
    """
    place = str(locate(path))
    found = _entries(place)
    settings = _chosen(place, found, data)
    seen, judged = validation or "Train/val_accuracy", test or "Train/test_result"
    rows = []
    for number, entry in settings.items():
        where = f"table {place}, setting {number}"
        config, log = _part(entry, "config", where), _part(entry, "log", where)
        curves = {name: _part(log, name, where) for name in ("epoch", seen, judged, "time")}
        if len({len(curve) for curve in curves.values()}) != 1:
            raise TableError(
                f"{where}: its logs have {sorted({len(c) for c in curves.values()})} entries, not as many."
            )
        rows.append(_Row(_settings_of(config, LCBENCH, where), *(curves[n] for n in ("epoch", seen, judged, "time"))))
    return _with_curves(place, rows, _widened(LCBENCH, [row.values for row in rows]), between, seen)


def from_yahpo(
    path: str, data: str | None, between: Between, validation: str | None = None, test: str | None = None
) -> Settings:
    """Rows of a YAHPO scenario, a row per setting and epoch: CSV or Parquet with the scenario's own column names.

    Types and ranges are those of a ``config_space.json`` beside the file, and else inferred.

    Args:
        path: the file.
        data: the instance, where the scenario has several.
        between: how proposals between rows are answered.
        validation, test: columns; ``val_balanced_accuracy`` and ``test_balanced_accuracy`` by default, of which LCBench
            has both.

    Raises:
        DataMissing, TableError: the file cannot be read, or has no such column or instance.
    """
    place = str(locate(path))
    header = column_names(place)
    instance = next((name for name in INSTANCES if name in header), None)
    seen, judged = validation or "val_balanced_accuracy", test or "test_balanced_accuracy"
    declared = _config_space(Path(place).parent / "config_space.json")
    parameters = [name for name in header if name not in (instance, "epoch") and not name.startswith(TARGETS)]
    if declared:
        parameters = [name for name in declared if name not in (instance, "epoch")]
    clock = next((name for name in ("time", "runtime") if name in header), None)
    epochs = ["epoch"] if "epoch" in header else []
    names = [seen, judged, *([clock] if clock else []), *epochs]
    read = read_columns(place, [*parameters, *([instance] if instance else [])], names)
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(read.texts[instance] if instance else ["" for _ in read.numbers[seen]]):
        groups.setdefault(text, []).append(row)
    kept = _chosen(place, groups, data)
    settings: dict[tuple[str, ...], list[int]] = {}
    for row in kept:
        settings.setdefault(tuple(read.texts[name][row] for name in parameters), []).append(row)
    numbers = read.numbers
    rows = [
        _Row(
            dict(zip(parameters, texts, strict=True)),
            *(
                [float(numbers[name][row]) for row in own] if name else [float("nan")] * len(own)
                for name in (epochs[0] if epochs else None, seen, judged, clock)
            ),
        )
        for texts, own in settings.items()
    ]
    ranges = {name: declared[name] for name in parameters} if declared else _ranges(parameters, rows)
    return _with_curves(place, rows, _widened(ranges, [row.values for row in rows]), between, seen)


def from_nasbench301(path: str, between: Between) -> Settings:
    """NAS-Bench-301's results: a folder, or the published archive, of ``results_<n>.json``, a training each.

    A cell trained several times is the mean of its trainings. Trainings of other sizes (layers, channels, epochs) than
    most have are left out, and counted.

    Raises:
        DataMissing, TableError: nothing is found, or a file lacks what it must have.
    """
    place = Path(path)
    trainings: dict[tuple[int, ...], list[tuple[dict[str, str], tuple[float, ...]]]] = {}
    for name, text in _results(place):
        with reading(name):
            entry = json.loads(text)
        trainings.setdefault(_sizes(entry, name), []).append((_cells(entry, name), _accuracies(entry, name)))
    if not trainings:
        raise TableError(f"`{path}` holds no results_….json of NAS-Bench-301.")
    size = max(trainings, key=lambda one: len(trainings[one]))
    cells: dict[tuple[str, ...], list[tuple[float, ...]]] = {}
    for decided, accuracies in trainings[size]:
        cells.setdefault(tuple(decided.values()), []).append(accuracies)
    names = list(trainings[size][0][0])
    means = [[math.fsum(column) / len(column) for column in zip(*repeats, strict=True)] for repeats in cells.values()]
    columns = dict(zip(("validation", "test", "seconds"), zip(*means, strict=True), strict=True))
    others = sum(map(len, trainings.values())) - len(trainings[size])
    layers, channels, epochs = size
    most = f"{layers} layers, {channels} channels and {epochs} epochs"
    left = f"{others:,} training{'s' * (others > 1)} of other sizes than {most}"
    table = RecordedRows(str(path), "validation", "test", between, True, "seconds", epochs=float(epochs))
    texts = dict(zip(names, map(list, zip(*cells, strict=True)), strict=True))
    numbers = {name: list(values) for name, values in columns.items()}
    return Settings(texts, numbers, darts(), table, left if others else "")


# -- settings with learning curves --------------------------------------------------------------------------------


class _Row:
    """A setting, and what was recorded of it at each of its epochs."""

    __slots__ = ("at", "judged", "seconds", "seen", "values")

    def __init__(
        self,
        values: Mapping[str, str],
        at: Sequence[float],
        seen: Sequence[float],
        judged: Sequence[float],
        seconds: Sequence[float],
    ) -> None:
        self.values, self.at, self.seen, self.judged, self.seconds = values, at, seen, judged, seconds


def _with_curves(place: str, rows: Sequence[_Row], ranges: Mapping[str, Any], between: Between, seen: str) -> Settings:
    """Settings of which each row has the values after every epoch that any has; NaN where its training ended before."""
    moments = sorted({epoch for row in rows for epoch in row.at if epoch > 0})
    better = not any(word in seen.lower() for word in ("loss", "entropy", "error"))
    texts = {name: [row.values[name] for row in rows] for name in ranges}
    if not moments:
        if repeated := next((row for row in rows if len(row.seen) > 1), None):
            raise TableError(
                f"table {place}: the setting {dict(repeated.values)} stands there {len(repeated.seen)} times."
            )
        numbers = {"validation": [row.seen[0] for row in rows], "test": [row.judged[0] for row in rows]}
        numbers["seconds"] = [row.seconds[0] for row in rows]
        table = RecordedRows(place, "validation", "test", between, better, _clock(numbers))
        return Settings(texts, _timed(numbers), hyperparameters(**ranges), table)
    last = moments[-1]
    at = [dict(zip(row.at, zip(row.seen, row.judged, row.seconds, strict=True), strict=True)) for row in rows]
    nothing = (math.nan, math.nan, math.nan)
    numbers = {f"{CURVE}{epoch:g}": [one.get(epoch, nothing)[0] for one in at] for epoch in moments}
    numbers["test"] = [one.get(last, nothing)[1] for one in at]
    numbers["seconds"] = [max((float(s) for s in row.seconds), default=math.nan) for row in rows]
    shorter = CURVE if len(moments) > 1 else ""
    table = RecordedRows(place, f"{CURVE}{last:g}", "test", between, better, _clock(numbers), shorter, float(last))
    return Settings(texts, _timed(numbers), hyperparameters(**ranges), table)


def _clock(numbers: Mapping[str, Sequence[float]]) -> str:
    """The column of seconds, where every setting has some."""
    return "seconds" if all(map(math.isfinite, numbers["seconds"])) else ""


def _timed(numbers: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    return {name: values for name, values in numbers.items() if name != "seconds" or _clock(numbers)}


def _settings_of(config: Mapping[str, Any], ranges: Mapping[str, Any], where: str) -> dict[str, str]:
    return {name: str(_part(config, name, where)) for name in ranges}


def _ranges(parameters: Sequence[str], rows: Sequence[_Row]) -> dict[str, Any]:
    return inferred({name: [row.values[name] for row in rows] for name in parameters})


def _widened(ranges: Mapping[str, Any], recorded: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Ranges that hold every recorded number."""
    found = {}
    for name, declared in ranges.items():
        kind = next((kind for kind in ("int", "float") if isinstance(declared, Mapping) and kind in declared), None)
        if kind is None:
            found[name] = declared
            continue
        numbers = [float(row[name]) for row in recorded]
        low, high = min(declared[kind][0], *numbers), max(declared[kind][1], *numbers)
        found[name] = {**declared, kind: [int(low), int(high)] if kind == "int" else [low, high]}
    return found


def _config_space(file: Path) -> dict[str, Any]:
    """What a ConfigSpace's JSON declares, in a study file's words; nothing where there is no such file.

    Raises:
        TableError: it cannot be read, has conditions, or a kind of hyper-parameter that is not known here.
    """
    if not file.is_file():
        return {}
    with reading(file):
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.get("conditions"):
            raise TableError(f"{file}: conditions are not read; move it away, and ranges are inferred from the rows.")
        found: dict[str, Any] = {}
        for one in content["hyperparameters"]:
            kind = one["type"]
            if kind in ("uniform_int", "uniform_float"):
                log = {"log": True} if one.get("log") else {}
                found[one["name"]] = {kind.removeprefix("uniform_"): [one["lower"], one["upper"]], **log}
            elif kind == "categorical":
                found[one["name"]] = {"choice": [str(choice) for choice in one["choices"]]}
            elif kind == "constant":
                found[one["name"]] = {"choice": [str(one["value"])]}
            else:
                raise TableError(f"{file}: `{one['name']}` is of the kind {kind!r}, which is not read.")
        return found


def _entries(place: str) -> dict[str, Any]:
    with reading(place):
        found = json.loads(Path(place).read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not found:
        raise TableError(f"table {place} must hold an object of data sets, but holds a {type(found).__name__}.")
    return found


def _chosen(place: str, groups: Mapping[str, Any], wanted: str | None) -> Any:
    """What belongs to one data set. Raises TableError where it is not there, or not said."""
    if wanted is None and len(groups) == 1:
        return next(iter(groups.values()))
    if wanted is None:
        raise TableError(
            f"table {place} holds {len(groups)} data sets ({', '.join(list(groups)[:6])}"
            f"{', …' if len(groups) > 6 else ''}); name one.",
            command=f"table {place} holds {len(groups)} data sets ({', '.join(list(groups)[:6])}"
            f"{', …' if len(groups) > 6 else ''}); name one by --data.",
        )
    if wanted not in groups:
        raise TableError(f"table {place} has no data set `{wanted}`; {did_you_mean(wanted, groups)}")
    return groups[wanted]


def _part(entry: Any, name: str, where: str) -> Any:
    if not isinstance(entry, Mapping) or name not in entry:
        known = list(entry) if isinstance(entry, Mapping) else []
        raise TableError(f"{where}: has no `{name}`; {did_you_mean(name, known)}")
    return entry[name]


# -- NAS-Bench-301 ------------------------------------------------------------------------------------------------

CONFIG = "optimized_hyperparamater_config"  # sic
DARTS = "NetworkSelectorDatasetInfo:darts:"
SCHEDULE = "SimpleLearningrateSchedulerSelector:cosine_annealing:T_max"
FIRST_EDGE = {2: 0, 3: 2, 4: 5, 5: 9}
"""Number of a node's first edge, the one from input 0, among the 14 of a cell."""


def _results(place: Path) -> Iterator[tuple[str, str]]:
    """Every result's name and text, in the order of names."""
    if place.is_dir():
        for file in sorted(place.rglob("results_*.json")):
            yield str(file), file.read_text(encoding="utf-8")
        return
    file = locate(str(place))
    if not zipfile.is_zipfile(file):
        yield str(file), file.read_text(encoding="utf-8")
        return
    with zipfile.ZipFile(file) as archive:
        for name in sorted(archive.namelist()):
            if Path(name).name.startswith("results_") and name.endswith(".json"):
                yield f"{file}:{name}", archive.read(name).decode()


def _sizes(entry: Any, name: str) -> tuple[int, ...]:
    config = _part(entry, CONFIG, name)
    return tuple(int(_part(config, key, name)) for key in (f"{DARTS}layers", f"{DARTS}init_channels", SCHEDULE))


def _accuracies(entry: Any, name: str) -> tuple[float, float, float]:
    """Validation and test accuracy as shares, and the seconds of the training."""
    info = _part(entry, "info", name)
    first = info[0] if isinstance(info, list) and info else {}
    numbers = (_part(first, "val_accuracy", name), _part(entry, "test_accuracy", name), _part(entry, "runtime", name))
    try:
        seen, judged, seconds = (float(number) for number in numbers)
    except (TypeError, ValueError):
        raise TableError(f"{name}: numbers are needed, but it holds {numbers!r}.") from None
    return seen / 100, judged / 100, seconds


def _cells(entry: Any, name: str) -> dict[str, str]:
    """The decisions of the DARTS space that a result's configuration is."""
    config = _part(entry, CONFIG, name)
    found: dict[str, str] = {}
    for cell in ("normal", "reduce"):
        for node, first in FIRST_EDGE.items():
            inputs = "0_1" if node == 2 else _part(config, f"{DARTS}inputs_node_{cell}_{node}", name)
            pair = [int(text) for text in str(inputs).split("_")]
            if node > 2:
                found[f"{cell}.{node}.inputs"] = ",".join(map(str, pair))
            for place, source in zip(("first", "second"), pair, strict=True):
                found[f"{cell}.{node}.{place}"] = _part(config, f"{DARTS}edge_{cell}_{first + source}", name)
    return found
