"""Supernets that are split by decisions."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_lab import SPACE, lab, scenario

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.declared.components import describe
from searchbench.harness.running.loop import drive
from searchbench.spaces.darts.space import darts as darts_space
from searchbench.spaces.networks import Mixed
from searchbench.strategies.noted import Noted
from searchbench.strategies.oneshot import OneShot, Recalibration, Split, SposEvolution
from searchbench.strategies.oneshot.papers import few_shot, spos
from searchbench.strategies.oneshot.several import Several
from searchbench.strategies.supernet import SupernetTraining

SHORT = OneShot(
    finder=SposEvolution(6, 1, 3, 3, 3),
    weights=SupernetTraining(epochs=4, batch_size=20, lr=0.1),
    recalibration=Recalibration(1, 20),
    split=Split((1,), 0.5),
)


def values(supernet: Any) -> list[torch.Tensor]:
    return [w.detach().clone() for w in supernet.parameters()]


def unlike(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_path_runs_through_the_supernet_of_its_own_decisions() -> None:
    supernet = lab().supernet()
    several = Several(supernet, (0, 2))
    assert len(several.parts) == 25
    with torch.no_grad():
        for number, part in enumerate(several.parts):
            for weight in part.parameters():
                weight.add_(0.01 * number)
    images = torch.randn(4, 1, 5, 5)
    for path in [(0, 3, 2, 4, 1, 3), (4, 3, 0, 3, 2, 3)]:
        part: Any = several.parts[5 * path[0] + path[2]]
        assert torch.equal(several(images, path), part(images, path))
        assert several.macs(path) == supernet.macs(path)
        assert several.path(several.architecture(path)) == path
    with pytest.raises(StudyError, match="not mixtures"):
        several(images, Mixed([torch.ones(5)] * 6))
    for wrong in ((6,), (1, 1)):
        with pytest.raises(StudyError, match="distinct decisions"):
            Several(supernet, wrong)


def test_copies_begin_as_the_supernet_and_learn_from_their_own_paths_alone() -> None:
    metered = lab()
    search: Any = SHORT.start(metered.scenario)
    for _ in range(2):
        search.advance(metered)
    weights = search._session.trained
    assert not isinstance(weights.supernet, Several)
    one = values(weights.supernet)
    weights.split((1,))
    assert all(not unlike(values(part), one) for part in weights.supernet.parts)
    weights.draw = lambda rng, done: ((3, 2, 3, 3, 3, 3),)
    search._round(metered, weights, metered.batches("train", 20), Noted())
    assert [unlike(values(part), one) for part in weights.supernet.parts] == [False, False, True, False, False]


def test_a_split_search_continues_from_a_checkpoint_as_if_it_had_not_ended() -> None:
    whole = lab()
    drive(SHORT.start(whole.scenario), whole)
    first = lab()
    search: Any = SHORT.start(first.scenario)
    for _ in range(3):
        search.advance(first)
    file = io.BytesIO()
    torch.save({"search": search.state_dict(), "lab": first.state_dict()}, file)
    file.seek(0)
    kept = torch.load(file, weights_only=False)
    second = lab()
    again: Any = SHORT.start(second.scenario)
    again.load_state_dict(kept["search"])
    second.load_state_dict(kept["lab"])
    drive(again, second)
    assert isinstance(again._session.trained.supernet, Several)
    assert second.final == replace(whole.final, spent=second.final.spent)  # type: ignore[arg-type,union-attr]


def test_a_split_is_within_the_budget_and_of_a_decision_that_there_is() -> None:
    metered = lab(Budget(samples=2000))
    drive(replace(few_shot(batch_size=20), finder=SHORT.finder).start(metered.scenario), metered)
    assert metered.spent.samples <= 2000
    assert metered.final is not None
    assert few_shot(decisions=(len(SPACE.decisions),)).unsupported(scenario()) == (
        "it splits the supernet by decision 6, and the space has 6, from 0."
    )
    assert "always taken" in str(few_shot().unsupported(scenario(space=darts_space(4, 3))))
    assert "split" not in describe(spos())
    for wrong in ({"decisions": ()}, {"decisions": (1, 1)}, {"after": 1.0}):
        with pytest.raises(StudyError):
            few_shot(**wrong)  # type: ignore[arg-type]
