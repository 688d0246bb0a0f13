"""What stands in the docs is what there is: keys, commands, options, and the code that is shown with its answers."""

from __future__ import annotations

import ast
import doctest
import importlib
import itertools
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from searchbench.cli import main
from searchbench.cli.docs import pages
from searchbench.cli.entry import cli
from searchbench.cost import BUDGET_AXES
from searchbench.errors import CheckpointError, DataMissing, SpaceError, StoreError, StudyError, TableError
from searchbench.harness.declared import limits, objective, place, resources, study_file, tuning, tuning_plan
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.study_file import study_from_mapping
from searchbench.harness.declared.tuning_plan import TuningPlan
from searchbench.harness.tune import trials_of
from searchbench.spaces import SPACES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WHOLE = {"name", "seeds", "budget", "problems", "strategies"}
BASE: dict[str, Any] = {
    "name": "base",
    "seeds": 2,
    "budget": {"evaluations": 20},
    "problems": [{"space": "nasbench201", "task": "digits", "estimator": "table"}],
    "strategies": [{"use": "random"}],
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def shown(language: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{page.relative_to(ROOT)}:{at}")
        for page in PAGES
        for at, block in enumerate(blocks(page, language))
    ]


@pytest.mark.parametrize("block", shown("toml"))
def test_studies_and_their_parts_are_declared_as_the_reader_takes_them(block: str) -> None:
    declared = tomllib.loads(block)
    if declared.keys() & {"tool", "project"}:
        pytest.skip("a project's file, no study")
    tuned = declared.pop("tune", None)
    strategies = [*declared.get("strategies", BASE["strategies"])]
    known = {entry.get("label", entry["use"]) for entry in strategies}
    ablation = declared.get("ablation", {})
    wanted = [*declared.get("tuning", {}), declared.get("comparison", {}).get("baseline"), ablation.get("base")]
    wanted = [label for label in (*wanted, *itertools.chain(*ablation.get("factors", {}).values())) if label]
    strategies += [{"use": "random", "label": label} for label in dict.fromkeys(wanted) if label not in known]
    study = study_from_mapping({**BASE, **declared, "strategies": strategies})
    if tuned is not None:
        trials_of(study, TuningPlan.of(tuned))
    for problem in declared.get("problems", ()):
        if isinstance(problem.get("space"), dict) and "use" not in problem["space"]:
            SPACES.factory("hyperparameters")(**problem["space"])
    if declared.keys() >= WHOLE and not _reads_a_readers_module(block):
        try:
            assert plan(study).runs
        except DataMissing as missing:
            pytest.skip(str(missing))


def _reads_a_readers_module(block: str) -> bool:
    """Whether it names a module or a program that the page has the reader write; that page has a test of its own."""
    return re.search(r'"\w+:\w+"|objective =|command =|\.parquet"|my-', block) is not None


@pytest.mark.parametrize("block", shown("python"))
def test_python_that_is_shown_is_python(block: str) -> None:
    ast.parse(block)


def test_every_key_of_a_study_file_is_explained() -> None:
    text = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    keys = {*study_file.KEYS, *study_file.PROBLEM_KEYS, *study_file.COMPARISON_KEYS, *study_file.ABLATION_KEYS}
    keys |= {study_file.TUNE, *tuning.KEYS, *tuning_plan.KEYS, *limits.KEYS, *objective.KEYS}
    keys |= {*resources.KEYS, *resources.PARTS, resources.NODES, *place.KEYS, *BUDGET_AXES}
    headed = {"comparison", "ablation", "tuning", "tune", "limits", "resources"}
    missing = {key for key in keys - headed if f"`{key}`" not in text}
    assert not missing
    assert all(f"`[{key}" in text for key in headed & keys)


def said_of_commands() -> list[Any]:
    """Every line of a shell block that begins with our command."""
    return [
        pytest.param(line, id=f"{page.relative_to(ROOT)}: {line[:60]}")
        for page in PAGES
        for block in re.findall(r"```(?:sh|console|bash|shell)?\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("searchbench ")
    ]


@pytest.mark.parametrize("line", said_of_commands())
def test_every_command_that_is_shown_exists_with_its_options(line: str) -> None:
    words = shlex.split(line.partition("  #")[0])[1:]
    at: click.Command = cli
    while words and isinstance(at, click.Group) and not words[0].startswith("-"):
        assert words[0] in at.commands, f"no command `{words[0]}`"
        at = at.commands[words.pop(0)]
    known = {option for parameter in at.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    for word in words:
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in known, f"`{at.name}` has no option {word}"


MODULES = [path for path in sorted((ROOT / "searchbench").rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_examples_in_docstrings_answer_as_they_say(path: Path) -> None:
    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    module = importlib.import_module(dotted)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    outcomes = [runner.run(found) for found in doctest.DocTestFinder().find(module, dotted) if found.examples]
    assert outcomes
    assert not any(outcome.failed for outcome in outcomes)


def answered() -> list[Any]:
    """Python that is followed at once by a block of what it prints."""
    return [
        pytest.param(code, said, id=str(page.relative_to(ROOT)))
        for page in PAGES
        for code, said in re.findall(
            r"```python\n(.*?)```\n+```\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
        )
    ]


@pytest.mark.parametrize(("code", "said"), answered())
def test_python_prints_what_is_shown_below_it(code: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(code, {"__name__": "page"})
    assert capsys.readouterr().out.split() == said.split()


def test_an_error_names_the_page_that_explains_it() -> None:
    with pytest.raises(StudyError) as caught:
        study_from_mapping({**BASE, "seedz": 3})
    assert caught.value.__notes__ == ["Explained by: searchbench docs study"]
    known = set(pages())
    told = {kind.page for kind in (StudyError, SpaceError, DataMissing, TableError, StoreError, CheckpointError)}
    assert {page for page in told if page} <= known


def test_pages_are_read_in_the_terminal_and_an_unknown_one_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments, status, holds in (
        (["docs"], 0, "howto/objective"),
        (["docs", "study"], 0, "The study file"),
        (["docs", "studie"], 2, "did you mean `study`?"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        assert ended.value.code == status
        assert holds in said.out + said.err
