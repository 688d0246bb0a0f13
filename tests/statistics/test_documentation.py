"""The page shows what the code prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from searchbench import statistics as st

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = re.findall(r"```(?:python)?\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/statistics.md", "exec"), {})
    assert capsys.readouterr().out == shown


def test_every_function_named_in_the_table_exists_and_every_public_one_is_described() -> None:
    table = PAGE.split("## What is computed")[1].split("## Rules")[0]
    named = set(re.findall(r"`([a-z_]+)`", table))
    functions = {n for n in st.__all__ if callable(getattr(st, n)) and n.islower()}
    assert named <= functions
    assert len(functions & named) > 0.6 * len(functions)
