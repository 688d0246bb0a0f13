"""What was published of strategies: of those that there are, and shown where a strategy is described."""

from __future__ import annotations

from click.testing import CliRunner

from searchbench.cli.entry import cli
from searchbench.strategies import STRATEGIES
from searchbench.strategies.published import PUBLISHED


def test_figures_are_of_strategies_that_there_are_and_say_where_they_were_read() -> None:
    assert PUBLISHED.keys() <= STRATEGIES.builtin.keys()
    assert all(row.where and row.figure and row.origin for rows in PUBLISHED.values() for row in rows)


def test_describe_prints_what_was_published_of_a_strategy() -> None:
    done = CliRunner().invoke(cli, ["describe", "pc-darts"], env={"COLUMNS": "160"})
    assert done.exit_code == 0
    assert "2.57 ± 0.07" in done.output
    assert "a public copy of the paper's table" in done.output
