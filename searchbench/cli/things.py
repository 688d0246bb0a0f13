"""`list` and `describe`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from searchbench.cli.options import store_option, terminal

if TYPE_CHECKING:
    from searchbench.registry import Registry

KINDS = ("strategies", "spaces", "tasks", "estimators", "judges", "latencies", "studies")


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS))
@store_option
def list_things(kind: str, store: str) -> None:
    """What there is of a KIND, a line each."""
    from rich.table import Table
    from rich.text import Text

    found = _names(kind, store)
    width = max(map(len, found), default=0)
    for title, names in _grouped(kind, list(found)).items():
        table = Table.grid(padding=(0, 3))
        table.add_column(min_width=width)
        for name in names:
            table.add_row(Text(name, style="bold"), found[name])
        if title:
            terminal().print(f"{title}:", style="dim")
        terminal().print(table)


def _grouped(kind: str, names: list[str]) -> dict[str, list[str]]:
    """Names under the titles that they are printed under; strategies by family."""
    if kind != "strategies":
        return {"": names}
    from searchbench.strategies import DIFFERENTIABLE, FAMILIES, LIBRARIES, SUPERNETS, family

    groups: dict[str, list[str]] = {title: [] for title in (*FAMILIES, DIFFERENTIABLE, SUPERNETS, LIBRARIES)}
    for name in names:
        groups.setdefault(family(name), []).append(name)
    return {title: own for title, own in groups.items() if own}


def _names(kind: str, store: str) -> dict[str, str]:
    if kind == "studies":
        from searchbench.results.store import open_store

        with open_store(store) as opened:
            return {s.name: f"declared {s.created}, revision {s.revision}" for s in opened.studies()}
    return registries()[kind].names()


def registries() -> dict[str, Registry]:
    """The registries by the plural of what they hold."""
    from searchbench.estimators import ESTIMATORS, JUDGES
    from searchbench.estimators.latency import LATENCIES
    from searchbench.spaces import SPACES
    from searchbench.strategies import STRATEGIES
    from searchbench.tasks import TASKS

    return {
        "strategies": STRATEGIES,
        "spaces": SPACES,
        "tasks": TASKS,
        "estimators": ESTIMATORS,
        "judges": JUDGES,
        "latencies": LATENCIES,
    }


@click.command()
@click.argument("name")
@store_option
def describe(name: str, store: str) -> None:
    """What NAME is: its parts, parameters with defaults, equations, source and deliberate differences.

    NAME is anything that `list` prints, a `module:attr`, or a study: of the store, or a STUDY.toml.
    """
    from rich.text import Text

    from searchbench.errors import UnknownName
    from searchbench.testing.kinds import kind_named

    console = terminal()
    kinds = registries().values()
    found = [(kind.kind, kind.described(name)) for kind in kinds if _registered(kind, name)]
    declared = _declared(name, store)
    if not found and declared is None and ":" in name:
        found = [kind_named(name)]
    if not found and declared is None:
        raise UnknownName("name", name, {*(n for kind in kinds for n in kind.names()), *_studies(store)})
    for kind, factory in found:
        console.print(Text.assemble((name, "bold"), f", {kind}\n"))
        console.print(inspect.getdoc(factory) or "(no description)", markup=False, highlight=False)
        _print_parameters(console, factory)
        if kind == "strategy":
            _print_published(console, name)
        if kind == "space":
            _print_space(console, factory)
        if kind == "problem":
            console.print(f"\n{factory!r}", markup=False, highlight=False)
    if declared is not None:
        _print_study(console, declared)


def _studies(store: str) -> list[str]:
    """Names of the studies of a store, which may not be there."""
    from searchbench.errors import StoreError
    from searchbench.results.store import open_store

    try:
        with open_store(store) as opened:
            return [study.name for study in opened.studies()]
    except StoreError:
        return []


def _declared(name: str, store: str) -> dict[str, Any] | None:
    """What a study declares, of a file or of the store; None where there is no such study."""
    if name.endswith(".toml"):
        from searchbench.harness.declared.study_file import read

        study, plan = read(name)
        return study.spec() | ({} if plan is None else {"tune": plan.to_spec()})
    if name not in _studies(store):
        return None
    from searchbench.results.store import open_store

    with open_store(store) as opened:
        return opened.study(name).declared


def _print_study(console: Any, spec: Mapping[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for key, value in _study_lines(spec):
        table.add_row(Text(key, style="bold"), Text(value))
    console.print(table)


def _study_lines(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    seeds, given = spec.get("seeds", []), spec.get("given", {})
    yield "study", spec["name"]
    yield "seeds", ", ".join(map(str, seeds[:10])) + (f", … ({len(seeds)} in all)" if len(seeds) > 10 else "")
    yield "budget", ", ".join(f"{axis} ≤ {limit:,.10g}" for axis, limit in (spec.get("budget") or {}).items())
    for problem, entry in zip(spec["problems"], given.get("problems") or spec["problems"], strict=False):
        yield "problem", f"{problem['label']}, fingerprint {problem['fingerprint']}"
        yield from (("", f"{k}: {_one_line(v)}") for k, v in entry.items() if v is not None and k != "label")
    for label, strategy in given.get("strategies") or [[s["label"], s.get("name", "")] for s in spec["strategies"]]:
        yield "strategy", f"{label}: {_one_line(strategy)}"
    for key in ("comparison", "tuning", "tune"):
        if spec.get(key):
            yield key, _one_line(spec[key])


def _one_line(value: Any) -> str:
    """A part with its parameters, or any other value."""
    if not isinstance(value, Mapping):
        return str(value)
    rest = ", ".join(f"{k}={_one_line(v)}" for k, v in value.items() if k not in ("use", "class") and v is not None)
    if "use" not in value:
        return rest
    return f"{value['use']}({rest})" if rest else str(value["use"])


def _registered(registry: Registry, name: str) -> bool:
    """Whether a name is listed, or names what an adapter adapts."""
    return name in registry.names() or name.partition(":")[0] in registry.adapters


def _print_parameters(console: Any, factory: Any) -> None:
    from rich.table import Table

    table = Table("parameter", "default", title="parameters", title_justify="left", box=None)
    if not callable(factory):
        return
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            table.add_row(parameter.name, _default(factory, parameter))
    if table.row_count:
        console.print()
        console.print(table)


def _print_published(console: Any, name: str) -> None:
    from rich.table import Table

    from searchbench.strategies.published import PUBLISHED

    table = Table("where", "figure", "cost, GPU days", "from", title="published", title_justify="left", box=None)
    for row in PUBLISHED.get(name, ()):
        table.add_row(*row)
    if table.row_count:
        console.print()
        console.print(table)


def _default(factory: Any, parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "(required)"
    if dataclasses.is_dataclass(factory):
        field = {f.name: f for f in dataclasses.fields(factory)}.get(parameter.name)
        if field is not None and field.default_factory is not dataclasses.MISSING:
            return repr(field.default_factory())
    return repr(parameter.default)


def _print_space(console: Any, factory: Any) -> None:
    from searchbench.errors import InputError

    needed = callable(factory) and any(p.default is p.empty for p in inspect.signature(factory).parameters.values())
    try:
        space = factory() if callable(factory) and not needed else factory
    except InputError:
        needed = True
    if needed:
        console.print("\nWhat its decisions are is declared where it is used.", markup=False)
        return
    console.print(f"\n{len(space.decisions)} decisions, {space.size:,.6g} points:")
    for decision in space.decisions:
        console.print(
            f"  {decision.name}: {', '.join(map(str, getattr(decision, 'options', (decision,))))}", markup=False
        )
