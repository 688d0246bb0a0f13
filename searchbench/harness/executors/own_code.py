"""Modules of the user's own that the nodes of a joined cluster may not have: found here, and sent along.

What is installed is taken to be installed everywhere. The rest (a plug-in in the working folder, the module beside it
that it imports, a package that is being written) is found by what this process has imported, and by what that would
import later: the import statements of its source, inside functions too.
"""

from __future__ import annotations

import ast
import importlib.util
import shutil
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path

from searchbench.errors import InputError

PACKAGE = "searchbench"
MOST_BYTES = 100 * 2**20
"""Of all that is sent along; data lie where every node finds them."""
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "*.pyc")


def staged(modules: Mapping[str, Path], folder: Path) -> list[str]:
    """Copy modules into a folder; paths of the copies, each a package or a single file.

    Raises:
        InputError: they are larger than what can sensibly be sent.
    """
    copies = []
    for name, origin in sorted(modules.items()):
        copy = folder / (name if origin.is_dir() else origin.name)
        if origin.is_dir():
            shutil.copytree(origin, copy, ignore=_LEFT_OUT)
        else:
            shutil.copyfile(origin, copy)
        copies.append(copy)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        if size > MOST_BYTES:
            sent = f"{size / 2**20:,.0f} MiB would have to be sent to the cluster (at most {MOST_BYTES // 2**20})"
            raise InputError(
                f"the module `{name}` in `{origin}` is not installed, and with it {sent}; install it on every node, or "
                "keep its data elsewhere."
            )
    return [str(copy) for copy in copies]


def own_modules() -> dict[str, Path]:
    """Where top-level modules are that are not installed: a package's folder, or a file, by name."""
    found: dict[str, Path] = {}
    waiting = {name.partition(".")[0] for name in list(sys.modules)} - {"__main__", "__mp_main__", PACKAGE}
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main is not None and not _installed(Path(main)):  # what it defines travels as it is, what it imports does not
        waiting |= set(_imported([Path(main)]))
    seen: set[str] = set()
    while waiting - seen:
        name = min(waiting - seen)
        seen.add(name)
        origin = _origin(name)
        if origin is not None:
            found[name] = origin
            waiting |= set(_imported(sorted(origin.rglob("*.py")) if origin.is_dir() else [origin]))
    return found


def _origin(name: str) -> Path | None:
    """Where a module is; None for one that is installed, built in, or nowhere."""
    if name in sys.builtin_module_names or name in sys.stdlib_module_names or name == PACKAGE:
        return None
    module = sys.modules.get(name)
    spec: ModuleSpec | None = getattr(module, "__spec__", None)
    try:
        spec = spec or (importlib.util.find_spec(name) if module is None else None)
    except (ImportError, ValueError):
        return None
    if spec is None:
        file = getattr(module, "__file__", None)
        found = None if file is None else Path(file)
    elif spec.submodule_search_locations is not None:
        places = list(spec.submodule_search_locations)
        found = Path(places[0]) if len(places) == 1 else None  # spread over several folders: nobody's own script
    else:
        found = Path(spec.origin) if spec.origin is not None and spec.has_location else None
    if found is None or not found.exists() or (found.is_file() and found.suffix != ".py"):
        return None
    return None if _installed(found) else found


def _installed(path: Path) -> bool:
    if {"site-packages", "dist-packages"} & set(path.parts):  # of another environment that this one builds on, too
        return True
    return any(path.resolve().is_relative_to(place) for place in _places())


def _places() -> list[Path]:
    """Folders of Python's own modules and of packages that were installed."""
    paths = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    return [Path(path).resolve() for path in [*paths, *site.getsitepackages(), site.getusersitepackages()]]


def _imported(files: Iterable[Path]) -> Iterator[str]:
    """Top-level names that import statements of source files name."""
    for file in files:
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError):  # "<stdin>", say
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]
