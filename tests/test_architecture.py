"""The shape of the package: who imports whom, what is heavy, where gradients are taken."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import searchbench

PACKAGE = Path(searchbench.__file__).parent
LAYERS = {  # each may import itself and what it names
    "core": set(),
    "statistics": {"errors"},
    "spaces": {"core"},
    "tasks": {"core", "spaces"},
    "tables": {"core", "spaces", "tasks"},
    "estimators": {"core", "spaces", "tasks", "tables"},
    "strategies": {"core", "spaces", "tasks", "estimators"},
    "results": {"core", "statistics"},
    "reports": {"core", "results", "statistics"},
    "harness": {"core", "spaces", "tasks", "tables", "estimators", "strategies", "results"},
    "integrations": {"core", "spaces", "estimators", "harness", "results"},
    "building": {"core", "spaces", "tasks", "tables", "estimators", "harness"},
    "testing": {"core", "spaces", "tasks", "tables", "estimators", "strategies", "results", "harness"},
    "__main__": {"core", "cli"},
    "cli": {
        "core",
        "spaces",
        "tasks",
        "tables",
        "estimators",
        "strategies",
        "results",
        "reports",
        "harness",
        "building",
        "integrations",
        "testing",
        "statistics",
    },
}
CORE = {
    "errors",
    "cost",
    "trial",
    "seeds",
    "registry",
    "metric",
    "printable",
    "toml_text",
    "whole_file",
    "working_folder",
}
UPWARD = {
    ("harness/results.py", "reports"): "Results.leaderboard() is the Python face of the leaderboard; imported lazily",
}


def layer_at(parts: tuple[str, ...]) -> str:
    """The layer of a path within the package; making tables stands above the harness, reading them far below."""
    if parts[:2] == ("tables", "building"):
        return "building"
    return "core" if parts[0] in CORE else parts[0]


def modules() -> Iterator[tuple[str, str, ast.Module]]:
    """(path within the package, layer, syntax tree) of every file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        yield str(relative), layer_at(relative.with_suffix("").parts), ast.parse(path.read_text())


def imports(tree: ast.AST, *, typing: bool) -> Iterator[str]:
    """Names of imported modules; those under `if TYPE_CHECKING` only where `typing` is set."""
    for node in ast.iter_child_nodes(tree):
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if guarded and not typing:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        yield from imports(node, typing=typing)


def layer_of(module: str) -> str | None:
    if not module.startswith("searchbench."):
        return None
    parts = tuple(module.split(".")[1:])
    return "errors" if parts[0] == "errors" else layer_at(parts)


@pytest.mark.parametrize(
    ("path", "layer", "tree"),
    [m for m in modules() if m[0] != "__init__.py"],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_every_file_imports_only_downwards(path: str, layer: str, tree: ast.Module) -> None:
    for module in imports(tree, typing=False):
        target = layer_of(module)
        if target is None or target == layer or (path, target) in UPWARD:
            continue
        if target == "errors" and "core" in LAYERS[layer] | {layer}:
            continue
        assert target in LAYERS[layer], f"{path} ({layer}) imports {module} ({target})"


FAMILIES = {  # folders of a layer: each may import itself, what it names, and of its layer what stands in `MACHINES`
    "spaces": {
        "layers": set(),
        "block_cells": set(),
        "chains": set(),
        "darts": {"nasbench201"},  # partial channels, dropped paths: what a mixed edge of either can do
        "enas": {"block_cells"},  # its cells are made of blocks
        "graphs": set(),
        "nasbench201": set(),
        "recurrent": set(),
    },
    "harness": {
        "declared": set(),
        "processes": set(),
        "running": {"declared", "processes"},
        "executors": {"declared", "processes", "running"},
        "driving": {"declared", "processes", "running", "executors"},
    },
}
MACHINES = {
    "spaces": {"layers"},  # what families are made of, as all that stands at the first level; none of it imports them
    "harness": set(),  # at the first level stand the doors, and nothing below may lead out of one
}
ACROSS = {
    ("harness/running/crews.py", "executors"): "a run on Ray asks, when it begins, for processes that measure for it"
}


@pytest.mark.parametrize("layer", FAMILIES)
def test_every_family_is_declared(layer: str) -> None:
    folders = {path.parent.name for path in (PACKAGE / layer).glob("*/__init__.py")}
    assert folders == set(FAMILIES[layer])


@pytest.mark.parametrize("layer", FAMILIES)
def test_families_form_no_circle(layer: str) -> None:
    assert list(TopologicalSorter(FAMILIES[layer]).static_order())


@pytest.mark.parametrize("layer", FAMILIES)
def test_families_import_declared_ones_only(layer: str) -> None:
    families = FAMILIES[layer]
    for path, of, tree in modules():
        room = path.split("/")[1] if path.count("/") == 2 else None
        if of != layer or (layer == "harness" and room is None):
            continue
        allowed = MACHINES[layer] | (families[room] | {room} if room is not None else set())
        for module in imports(tree, typing=True):
            if not module.startswith(f"searchbench.{layer}."):
                continue
            target = module.split(".")[2]
            stands = target in families or layer == "harness"
            if stands and target not in allowed and (path, target) not in ACROSS:
                raise AssertionError(f"{path} imports {module}")


def test_only_one_type_only_import_points_upwards() -> None:
    upward = [
        (path, module)
        for path, layer, tree in modules()
        for module in imports(tree, typing=True)
        if (target := layer_of(module))
        and target not in (layer, "errors")
        and path != "__init__.py"
        and target not in LAYERS[layer]
        and (path, target) not in UPWARD
    ]
    assert upward == [("trial.py", "searchbench.spaces.space")]


def test_ray_is_imported_in_one_folder_only_and_tune_by_what_meets_it() -> None:
    users = {path for path, _, tree in modules() for m in imports(tree, typing=True) if m.split(".")[0] == "ray"}
    assert {path.rsplit("/", 1)[0] for path in users} == {"harness/executors", "strategies/adapters", "integrations"}
    assert [path for path in users if "adapters" in path] == ["strategies/adapters/tune.py"]


def test_results_and_reports_know_no_torch_and_no_ray() -> None:
    code = (
        "import sys, pkgutil, importlib, searchbench.results, searchbench.reports\n"
        "for p in (searchbench.results, searchbench.reports):\n"
        "    for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.'): importlib.import_module(m.name)\n"
        "bad = [m for m in ('torch', 'ray', 'searchbench.strategies', 'searchbench.spaces') if m in sys.modules]\n"
        "sys.exit(' '.join(bad) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom searchbench.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'pandas', 'numpy', 'scipy', 'sqlalchemy', 'pyarrow', 'rich'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_backward_stands_in_the_training_loop_and_the_hypergradients_only() -> None:
    users = {
        path
        for path, _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "backward"
    }
    assert {path for path in users if "hypergradient" not in path} == {"estimators/training.py"}


def test_no_module_is_called_utils() -> None:
    vague = ("utils", "helpers", "common", "misc")
    assert not [path for path, _, _ in modules() if any(part in vague for part in Path(path).with_suffix("").parts)]


def test_public_names_are_what_is_exported() -> None:
    for name in searchbench.__all__:
        assert getattr(searchbench, name) is not None
    assert list(searchbench.__all__)[1:] == sorted(searchbench.__all__[1:])


def test_type_checkers_see_every_public_name() -> None:
    """`__getattr__` gives a checker Any; the imports under TYPE_CHECKING of `__init__` give it the real thing."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == searchbench._WHERE


@pytest.mark.parametrize("described", [searchbench.Problem, searchbench.Contestant, searchbench.Study])
def test_no_field_of_a_study_is_of_any_type(described: type) -> None:
    """A user's type checker can only help where something is said."""
    fields = described.__annotations__
    assert fields
    assert not [name for name, kind in fields.items() if str(kind) in ("Any", "typing.Any")]


def test_docstrings_begin_with_a_verb_or_with_what_is_returned() -> None:
    opens = re.compile(r"(Of|The same|As|Whether or not|For|By|With|In|From|Also|Its|Their|Likewise|Ditto)\b")
    said = [
        f"{path.relative_to(PACKAGE)}: {text.splitlines()[0]}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node))
        if opens.match(text)
    ]
    assert not said


def test_global_random_state_is_never_used() -> None:
    forbidden = {"np.random.seed", "numpy.random.seed", "random.seed", "torch.manual_seed", "np.random.rand"}
    for path, _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in forbidden, f"{path} line {node.lineno}"


def test_a_class_name_means_one_thing() -> None:
    """A name may stand twice only where it is one of these: words of a field for parts that never meet in a file."""
    shared = {
        "Answer", "Asked", "Band", "Block", "CellNetwork", "CellNetworks", "DropPath", "Finished", "Forest", "Frame",
        "Generator", "Learning", "Listed", "Metric", "MixedCell", "Networks", "Paper", "Place", "Policy", "Row", "Rows",
        "Rung", "Sampled", "Sampler", "Scores", "Sizes", "Split", "Stage", "StandAloneCell", "Summary", "Together",
        "Turn",
    }  # fmt: skip
    places: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, set()).add(str(path.relative_to(PACKAGE)))
    repeated = {name: sorted(found) for name, found in places.items() if len(found) > 1 and name not in shared}
    assert not repeated, "two classes of one name: give the newer one a name that says which it is"
