"""Every registered task passes the public conformance suite, where its data is here: a row each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from searchbench.errors import DataMissing
from searchbench.tasks import TASKS
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import JudgeData, Recipe, SearchData, Split
from searchbench.testing import ConformanceError, check_task

ROWS: dict[str, dict[str, Any]] = {
    "digits": {},
    "descriptions": {},
    "mnist": {"subset": 0.02},
    "cifar10": {"subset": 0.02},
    "cifar100": {"subset": 0.02},
    "image-folder": {},
    "wikitext2": {"tokens": 20_000, "measured": 5_000},
    "penn-treebank": {"tokens": 20_000, "measured": 5_000},
}


def test_every_registered_task_has_its_row() -> None:
    assert set(ROWS) == set(TASKS.builtin)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n == "cifar10" else []) for n in ROWS])
def test_task_conforms(name: str) -> None:
    report = check_task(TASKS.factory(name)(**ROWS[name]), another_process=name in ("digits", "descriptions"))
    assert report.checks[0].verdict == "pass"
    if report.skipped and report.skipped[0].startswith("reads its data"):
        pytest.skip(report.skipped[0])
    assert len([c for c in report.checks if c.verdict == "pass"]) >= 12


# -- the suite itself finds what is wrong --------------------------------------------------------------------------


@dataclass(frozen=True)
class Faulty:
    """Digits with one fault."""

    fault: str

    name = "faulty"
    shape = (1, 8, 8)
    classes = 10
    recipe = Recipe(epochs=2, batch_size=32, lr=0.1)

    def checksum(self) -> str:
        return str(np.random.default_rng().random()) if self.fault == "checksum" else "0123456789abcdef"

    def search_data(self, seeds: Any) -> SearchData:
        data = Digits().search_data(seeds)
        if self.fault == "missing":
            raise DataMissing("it is elsewhere; fetch it.")
        if self.fault == "overlap":
            return SearchData(data.train, Split(data.train.inputs[:300], data.train.targets[:300]), 10)  # type: ignore[union-attr]
        if self.fault == "test":
            return SearchData(data.train, Digits().judge_data(seeds).test, 10)
        if self.fault == "unseeded":
            order = np.random.default_rng().permutation(len(data.train))
            return replace_train(data, order)
        if self.fault == "global":
            np.random.rand()  # noqa: NPY002
        if self.fault == "class":
            return replace_train(data, np.flatnonzero(data.train.targets != 3))  # type: ignore[union-attr]
        if self.fault == "nan":
            data.train.inputs[0] = np.nan  # type: ignore[union-attr]
        return data

    def judge_data(self, seeds: Any) -> JudgeData:
        data = Digits().judge_data(seeds)
        if self.fault == "other test":
            chosen = seeds.rng("split").permutation(len(data.test))[:300]
            return replace(data, test=Split(data.test.inputs[chosen], data.test.targets[chosen]))  # type: ignore[union-attr]
        if self.fault == "judge":
            return replace(data, train=Split(data.train.inputs[:600], data.train.targets[:600]))  # type: ignore[union-attr]
        return data


def replace_train(data: SearchData, chosen: Any) -> SearchData:
    return replace(data, train=Split(data.train.inputs[chosen], data.train.targets[chosen]))  # type: ignore[union-attr]


FOUND = {
    "checksum": "has a checksum that stays",
    "overlap": "keeps train, valid and test apart",
    "test": "keeps train, valid and test apart",
    "unseeded": "splits the same way again",
    "global": "leaves every global generator alone",
    "class": "gives samples of its shape, of every class",
    "nan": "gives samples of its shape, of every class",
    "other test": "tests every replicate on the same samples",
    "judge": "judges on what was searched on",
}


@pytest.mark.parametrize("fault", FOUND)
def test_suite_finds_a_faulty_task(fault: str) -> None:
    with pytest.raises(ConformanceError, match=FOUND[fault]):
        check_task(Faulty(fault), another_process=False)


def test_data_that_is_not_here_is_said_once_and_nothing_else_is_asked() -> None:
    report = check_task(Faulty("missing"))
    assert len(report.checks) == 3
    assert report.skipped == ("reads its data: its data is not here: it is elsewhere; fetch it.",)


def test_a_task_that_lacks_a_method_is_told_which() -> None:
    class Half:
        name, shape, classes, recipe = "half", (1, 8, 8), 10, Recipe(epochs=1, batch_size=1, lr=1.0)

        def search_data(self, seeds: Any) -> None: ...

    with pytest.raises(ConformanceError, match="it lacks `checksum`, `judge_data`"):
        check_task(Half())  # type: ignore[arg-type]
