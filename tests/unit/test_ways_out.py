"""Errors name the way out where they are read: Python's in Python, a command's option on the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import searchbench

PACKAGE = Path(searchbench.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
WHOLE_COMMAND = re.compile(r"(searchbench|\./train|pip install) [^`\"]*")
PYTHON = re.compile(r"`\w+=(True|False|None|\d+)`")
TERMINAL = ("cli/", "reports/render/terminal.py")
"""Where texts are the terminal's own."""


def trees(pattern: re.Pattern[str]) -> Iterator[tuple[str, ast.Module]]:
    """The files in which a pattern is found at all."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if pattern.search(source):
            yield str(path.relative_to(PACKAGE)), ast.parse(source)


def text(node: ast.AST) -> str:
    """The text of a string as it is written, whatever is filled in left out."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return text(node.left) + text(node.right)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "…"


def texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text that is no docstring and nothing that only commands say."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.keyword) and child.arg == "command":
            continue
        if isinstance(child, ast.JoinedStr | ast.Constant):
            yield getattr(child, "lineno", 0), text(child)
        else:
            yield from texts(child)


def test_what_python_says_names_no_option_of_a_command() -> None:
    found = [
        f"{path}:{line}: {said}"
        for path, tree in trees(OPTION)
        if not path.startswith(TERMINAL)
        for line, said in texts(tree)
        if " " in said.strip() and OPTION.search(WHOLE_COMMAND.sub("", said))  # an option alone is a program's argument
    ]
    assert not found, "\n".join(found)


def test_what_names_pythons_way_out_has_another_for_the_command_line() -> None:
    found = []
    for path, tree in trees(PYTHON):
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
                continue
            said = text(node.exc.args[0])
            if PYTHON.search(said) and not any(keyword.arg == "command" for keyword in node.exc.keywords):
                found.append(f"{path}:{node.lineno}: {said}")
    assert not found, "\n".join(found)
