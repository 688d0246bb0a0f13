"""Count how the house is kept: rooms and arrows, the files a newcomer reads, docstrings, comments, tests.

python benchmarks/house.py            # of this checkout
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "searchbench"
CORE = (
    "strategies/strategy.py", "harness/running/loop.py", "harness/running/account.py", "harness/running/evaluation.py",
    "harness/running/run.py", "harness/driving/campaign.py",
)  # fmt: skip
BESIDE = (
    "harness/running/lab.py", "harness/running/ledger.py", "harness/running/record.py", "harness/running/repeats.py",
    "harness/running/supernets.py", "harness/driving/jobs.py", "harness/driving/batches.py",
    "harness/driving/declaration.py", "strategies/supernet_session.py",
)  # fmt: skip
"""Parts of the same story that a newcomer may leave for later."""
FRAGMENT = re.compile(r"(Of|The same|As|Whether or not|For|By|With|In|From|Also|Its|Their|Likewise|Ditto)\b")
"""How a docstring opens that is no verb and no noun that is returned."""
Graph = dict[str, set[str]]


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Modules of the package that a file imports when it runs; what stands under TYPE_CHECKING is left out."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("searchbench."):
            yield str(node.module)
        waiting.extend(ast.iter_child_nodes(node))


def room(path: Path, folder: Path) -> str | None:
    """The first level of `folder` at which a file or module stands; None outside of it."""
    if not path.is_relative_to(folder) or path == folder:
        return None
    return path.relative_to(folder).parts[0].removesuffix(".py")


def arrows(folder: Path) -> Graph:
    """Which rooms of a folder import which."""
    graph: Graph = defaultdict(set)
    for path in files(folder):
        here = room(path, folder)
        for module in imported(path):
            there = room(ROOT / module.replace(".", "/"), folder)
            if here and there and here != there and "__init__" not in (here, there):
                graph[here].add(there)
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """Groups of rooms that import each other, directly or round about."""
    reach = {start: _reached(graph, start) for start in graph}
    groups = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in graph if a in reach[a]}
    return sorted(sorted(group) for group in groups)


def _reached(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting += graph.get(at, ())
    return found


def docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            yield text


def comment_lines(path: Path) -> int:
    """Lines with a comment, those that only steer a tool left out."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    steering = ("noqa", "type: ignore", "fmt:", "pragma")
    return len(
        {t.start[0] for t in tokens if t.type == tokenize.COMMENT and not any(word in t.string for word in steering)}
    )


def repeated_classes() -> dict[str, list[str]]:
    """Public class names that stand in more than one file, and where."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in files(PACKAGE):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(PACKAGE)))
    return {name: found for name, found in sorted(places.items()) if len(found) > 1}


def constant_hooks() -> dict[str, list[str]]:
    """Methods that only return a constant or an argument, by their name, and the classes that have them; a property, a
    Protocol's stub and a special method are none."""
    hooks: dict[str, list[str]] = defaultdict(list)
    for path in files(PACKAGE):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not any("Protocol" in ast.unparse(base) for base in node.bases):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and _is_constant(method):
                        hooks[method.name].append(node.name)
    return dict(sorted(hooks.items(), key=lambda item: -len(item[1])))


def _is_constant(method: ast.FunctionDef) -> bool:
    if method.name.startswith("__") or method.decorator_list:
        return False
    body = method.body[1:] if ast.get_docstring(method) is not None else method.body
    if not body or isinstance(body[0], ast.Pass):
        return True
    value = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else body[0]
    arguments = {argument.arg for argument in method.args.args}
    return (
        value is None
        or isinstance(value, ast.Constant)
        or (isinstance(value, ast.Tuple) and not value.elts)
        or (isinstance(value, ast.Name) and value.id in arguments)
    )


def lines(paths: list[Path]) -> int:
    return sum(len(path.read_text().splitlines()) for path in paths)


def main() -> None:
    print("rooms and arrows at the first level")
    for folder in [PACKAGE, *sorted(p for p in PACKAGE.iterdir() if (p / "__init__.py").exists())]:
        graph = arrows(folder)
        rooms = {room(path, folder) for path in files(folder)} - {"__init__"}
        name = "." if folder == PACKAGE else folder.name
        count = sum(map(len, graph.values()))
        print(f"  {name:12} {len(files(folder)):4} files  {len(rooms):3} rooms  {count:4} arrows  ", end="")
        print("; ".join(" <> ".join(group) for group in circles(graph)) or "no circle")
    print("the core")
    for path in CORE:
        print(f"  {lines([PACKAGE / path]):4} {path}")
    print(f"  {lines([PACKAGE / path for path in CORE]):4} together (at most 900)")
    print("  beside: " + ", ".join(f"{path} {lines([PACKAGE / path])}" for path in BESIDE))
    said = [text for path in files(PACKAGE) for text in docstrings(path)]
    openings = Counter(match[1] for text in said if (match := FRAGMENT.match(text)))
    print(f"docstrings that open as fragments: {openings.total()} of {len(said)} ({openings.total() / len(said):.1%})")
    print("  " + ", ".join(f"{word} {number}" for word, number in openings.most_common()))
    hooks, classes = constant_hooks(), repeated_classes()
    print(f"methods that only return a constant or an argument: {sum(map(len, hooks.values()))}")
    print("  " + ", ".join(f"{name} {len(found)}" for name, found in hooks.items()))
    print(f"public class names in more than one file: {len(classes)}")
    print("  " + ", ".join(f"{name} {len(found)}" for name, found in classes.items()))
    print("lines with a comment")
    for folder in [*sorted(p for p in PACKAGE.iterdir() if (p / "__init__.py").exists())]:
        total = lines(files(folder))
        print(f"  {folder.name:12} {sum(map(comment_lines, files(folder))) / total:6.1%} of {total:,}")
    for path in (*CORE, "strategies/differentiable/engine.py", "strategies/oneshot/engine.py"):
        print(f"  {comment_lines(PACKAGE / path) / lines([PACKAGE / path]):6.1%} {path}")
    source, tests = lines(files(PACKAGE)), lines(files(ROOT / "tests"))
    print(f"tests : source = {tests:,} : {source:,} = {tests / source:.2f}")


if __name__ == "__main__":
    main()
