"""Reading a study from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

from searchbench import toml_text
from searchbench.cost import Budget
from searchbench.errors import StudyError, did_you_mean
from searchbench.harness.declared.ablation import AblationPlan
from searchbench.harness.declared.objective import KEYS as OBJECTIVE_KEYS
from searchbench.harness.declared.objective import posed
from searchbench.harness.declared.problem import Posed
from searchbench.harness.declared.study import ComparisonPlan, Study
from searchbench.harness.declared.tuning_plan import TuningPlan
from searchbench.metric import Metric

METRIC_KEYS = ("metric", "unit", "better", "share")
KEYS = (
    "name",
    "seeds",
    "budget",
    "duplicates",
    "problems",
    "strategies",
    "comparison",
    "ablation",
    "tuning",
    "limits",
    "resources",
    "checkpoints",
    *METRIC_KEYS,
)
TUNE = "tune"
"""The table of a tuning that comes before the study."""
PROBLEM_KEYS = ("space", "task", "estimator", "judge", "label", "latency", "constraint", "parallel", "order")
ABLATION_KEYS = ("base", "factors")
DEEPEST = 50
"""Levels of tables and lists within each other; parts within parts need a few."""
COMPARISON_KEYS = ("baseline", "alpha", "family", "estimand", "rope", "effect", "looks", "reference")


def read_study(path: str | Path) -> Study:
    """The study a TOML file declares.

    Raises:
        StudyError: the file is missing, is no TOML, or has unknown, missing or impossible entries, or declares a tuning
            that has to be done first; the message begins with the file's name.
    """
    study, plan = read(path)
    if plan is not None:
        told = f"{path}: declares a tuning (`[tune]`), which has to be done first"
        raise StudyError(
            f"{told}: `tune(*read_tuning(path)).study` is the study with what it found.",
            command=f"{told}: `searchbench tune {path}` writes a study file with what it found.",
        )
    return study


def read_tuning(path: str | Path) -> tuple[Study, TuningPlan]:
    """The study a TOML file declares, and how its strategies are to be tuned first: its table `tune`.

    Raises:
        StudyError: as `read_study`; or the file declares no tuning.
    """
    study, plan = read(path)
    if plan is None:
        raise StudyError(f'{path}: declares no tuning; say what of which strategy: [tune.strategies."LABEL"].')
    return study, plan


def read(path: str | Path) -> tuple[Study, TuningPlan | None]:
    """The study a TOML file declares, and the tuning that comes first, where it declares one.

    Raises:
        StudyError: as `read_study`.
    """
    content = _content(path := Path(path))
    with _named(path):
        study = study_from_mapping({key: value for key, value in content.items() if key != TUNE})
        return study, TuningPlan.of(content[TUNE]) if TUNE in content else None


def with_settings(path: str | Path, study: Study, settings: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of a study file after its tuning: the same declaration with other settings, and where they are from.

    Args:
        path: the file that was tuned.
        study: what tuning made of it.
        settings: what was chosen, by label; a path such as ``searcher.population`` is a setting of a part.

    Raises:
        StudyError: the file cannot be read.
    """
    content = _content(Path(path))
    del content[TUNE]
    for at, entry in enumerate(content["strategies"]):
        own = settings.get(entry.get("label", entry.get("use")), {})
        content["strategies"][at] = reduce(lambda table, item: _placed(table, *item), own.items(), entry)
    declared = {label: {k: v for k, v in own.to_spec().items() if v} for label, own in study.tuning}
    return toml_text.document({**content, "tuning": declared})


def _placed(table: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    name, dot, rest = path.partition(".")
    return {**table, name: _placed(table[name], rest, value) if dot else value}


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors begin with the file's name."""
    try:
        yield
    except StudyError as error:
        raise StudyError(f"{path}: {error}", command=f"{path}: {error.command}") from error


def _content(path: Path) -> dict[str, Any]:
    """What a TOML file holds. Raises StudyError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise StudyError(f"{path}: no such study file{_neighbours(path)}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path}: is not valid TOML: {error}.") from error
    except RecursionError:
        raise StudyError(f"{path}: is nested too deeply to be a study.") from None
    except ValueError as error:  # an integer of thousands of digits
        raise StudyError(f"{path}: holds a value that cannot be read: {error}.") from error
    with _named(path):
        _check_values(content)
    return content


def study_from_mapping(content: Mapping[str, Any]) -> Study:
    """The study a parsed file declares. Raises StudyError."""
    _check_keys(content, KEYS, "a study", required=("name", "seeds", "budget", "problems", "strategies"))
    _check_is(content["budget"], Mapping, "`budget`", "a table such as { evaluations = 100 }")
    for key in ("problems", "strategies"):
        _check_is(content[key], list, f"`{key}`", f"a list of tables, each beginning with [[{key}]]")
    optional = {key: content[key] for key in ("duplicates",) if key in content}
    return Study(
        name=content["name"],
        problems=[_problem(entry) for entry in content["problems"]],
        strategies=content["strategies"],
        seeds=content["seeds"],
        budget=Budget.from_mapping(content["budget"]),
        comparison=_comparison(content["comparison"]) if "comparison" in content else None,
        ablation=_ablation(content["ablation"]) if "ablation" in content else None,
        metric=_metric(content),
        tuning=content.get("tuning"),
        limits=content.get("limits"),
        resources=content.get("resources"),
        checkpoints=content.get("checkpoints"),
        **optional,
    )


def _metric(content: Mapping[str, Any]) -> Metric | None:
    """What is measured: a name with `unit`, `better` and `share` beside it, or one table of all."""
    given = {key: content[key] for key in METRIC_KEYS if key in content}
    if not given or "metric" not in given:
        for key in given:
            raise StudyError(f"`{key}` says something of a `metric`, which is missing; name it.")
        return None
    name = given.pop("metric")
    if isinstance(name, Mapping):
        for key in given:
            raise StudyError(f"`{key}` stands beside a `metric` that is a table; say it there.")
        return Metric.of(name)
    return Metric.of({"name": name, **given})


def _problem(entry: Any) -> Posed:
    _check_is(entry, Mapping, "an entry of `problems`", 'a table such as space = "nasbench201", task = "digits"')
    if "objective" not in entry and "command" not in entry:
        _check_keys(entry, PROBLEM_KEYS, "a problem", required=("space", "estimator"))
    for key in entry if "objective" in entry or "command" in entry else ():
        if key in PROBLEM_KEYS and key not in OBJECTIVE_KEYS:
            raise StudyError(f"a problem with an objective has no `{key}`: it is all there is; leave it out.")
    return posed(entry)


def _comparison(entry: Any) -> ComparisonPlan:
    _check_is(entry, Mapping, "`comparison`", 'a table such as baseline = "random"')
    _check_keys(entry, COMPARISON_KEYS, "`comparison`")
    try:
        return ComparisonPlan(**entry)
    except TypeError as error:
        raise StudyError(f"`comparison` has a value of the wrong kind: {error}.") from error


def _ablation(entry: Any) -> AblationPlan:
    example = 'a table such as base = "darts", factors = { PR = ["darts + PR"] }'
    _check_is(entry, Mapping, "`ablation`", example)
    _check_keys(entry, ABLATION_KEYS, "`ablation`", required=ABLATION_KEYS)
    _check_is(entry["factors"], Mapping, "`ablation.factors`", 'a table such as { PR = ["darts + PR"] }')
    return AblationPlan(**entry)


def _check_values(value: Any, where: str = "", depth: int = 0) -> None:
    """Raise StudyError for what TOML leaves to its readers: integers beyond 64 bits, endless nesting."""
    if depth > DEEPEST:
        raise StudyError(f"`{where[:60]}…` is nested more than {DEEPEST} levels deep.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise StudyError(f"`{where}` holds an integer beyond 64 bits.")
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        _check_values(part, f"{where}.{key}" if where else str(key), depth + 1)


def _check_keys(given: Mapping[str, Any], known: Collection[str], what: str, required: Collection[str] = ()) -> None:
    for key in given:
        if key not in known:
            raise StudyError(f"{what} has no key `{key}`; {did_you_mean(key, known)}")
    for key in required:
        if key not in given:
            raise StudyError(f"{what} needs the key `{key}`, which is missing.")


def _check_is(value: Any, kind: type, what: str, example: str) -> None:
    if not isinstance(value, kind):
        raise StudyError(f"{what} must be {example}, but got {value!r}.")


def _neighbours(path: Path) -> str:
    siblings = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
    return f"; {did_you_mean(path.name, siblings).rstrip('.')}" if siblings else ""
