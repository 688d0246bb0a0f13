"""A language model that is shown what has been measured and asked for cells, as an ask/tell strategy.

    python examples/llm_guided.py

runs offline: the model's answers were recorded beside this file, one for each prompt of the first replicate, and are
found by the prompt's digest. To ask a model of your own, give `Guided` an object with `answer(prompt) -> str`; what it
answers is worth recording, or nobody can repeat the run. What the model read of this benchmark while it was trained is
no part of the budget and cannot be taken back: compare on tables that are younger than the model.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import searchbench as sb
from searchbench.errors import SpaceError
from searchbench.strategies.random import Unseen
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Proposal, Trial

RECORDED = Path(__file__).with_name("llm_answers.jsonl")
OPERATIONS = "none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3"


class Model(Protocol):
    """Whatever answers in words."""

    def answer(self, prompt: str) -> str: ...


@dataclass(frozen=True)
class Recorded:
    """Answers that were given before, a JSON object a line: the prompt's digest, and the answer."""

    sha256: str
    path: str = field(metadata={"described": False})

    def answer(self, prompt: str) -> str:
        """The recorded answer; nothing where the prompt is another."""
        lines = [json.loads(line) for line in Path(self.path).read_text().splitlines()]
        return str({line["prompt"]: line["answer"] for line in lines}.get(digest(prompt), ""))


def recorded(path: Path = RECORDED) -> Recorded:
    """The answers in a file, known by its bytes."""
    return Recorded(hashlib.sha256(path.read_bytes()).hexdigest(), str(path))


def digest(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Guided:
    """Random designs; then, round by round: show the model the best cells so far, and measure the cells that it names.

    Lines of an answer that are no cell, or one that was measured, are passed over; where nothing is left, a random cell
    is measured.

    Source: the loop of Zheng et al. 2023, "Can GPT-4 perform neural architecture search?" (GENIUS).
    Differs: several cells a round; the model is told ranks and errors, not networks.
    """

    model: Any = field(default_factory=recorded)
    initial: int = 10
    shown: int = 8
    named: int = 5

    def start(self, scenario: Scenario) -> GuidedSearch:
        return GuidedSearch(self, scenario)


class GuidedSearch:
    def __init__(self, settings: Guided, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._unseen = Unseen(scenario.space, scenario.seeds.rng("init"))
        self._asked = 0
        self._measured: list[tuple[float, str]] = []
        self._queue: list[Any] = []
        self._rounds: list[dict[str, Any]] = []

    def ask(self) -> Proposal | None:
        self._asked += 1
        if self._asked > self._settings.initial and self._measured and not self._queue:
            self._queue = self._named()
        architecture = self._queue.pop(0) if self._queue else self._unseen.draw()
        return None if architecture is None else Proposal(architecture)

    def tell(self, trial: Trial) -> None:
        if not trial.failed:
            self._measured.append((trial.value, str(trial.architecture)))

    def trace(self) -> list[dict[str, Any]]:
        """Of each round, which prompt it was and how many of the lines were new cells."""
        return self._rounds

    def prompt(self) -> str:
        best = sorted(self._measured)[: self._settings.shown]
        table = "\n".join(f"{text}  error {100 * value:.2f} %" for value, text in best)
        return (
            f"A cell of a convolutional network has six edges, each with one of {OPERATIONS}, written "
            "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|. The best of those measured so far, validation error on small images "
            f"of digits:\n{table}\nName {self._settings.named} other cells that may be better, one a line, "
            "nothing else."
        )

    def _named(self) -> list[Any]:
        prompt, found = self.prompt(), []
        for line in self._settings.model.answer(prompt).splitlines():
            try:
                architecture = self._space.parse(line.strip())
            except SpaceError:
                continue
            if self._unseen.add(architecture):
                found.append(architecture)
        self._rounds.append({"prompt": digest(prompt), "cells": float(len(found))})
        return found[: self._settings.named]


def study() -> sb.Study:
    """Thirty evaluations on the table that ships with the package, beside random draws."""
    return sb.Study(
        "llm_guided",
        problems=[sb.Problem(space="nasbench201", task="digits", estimator="table", label="digits")],
        strategies={"guided": Guided(), "random": "random"},
        seeds=1,
        budget=sb.Budget(evaluations=30),
    )


if __name__ == "__main__":
    print(sb.run(study(), store="llm_guided.sqlite"))
